"""How a call that is on is seen and heard by somebody who has no part in it.

A viewer has a channel on the channel layer. It orders the gateway that holds the call to send there
what happens, and renews that every few seconds: a viewer that is gone is forgotten. What comes are
batches, ten a second at the most, of events and of audio. The gateway sends to nobody without an
order, and drops rather than waits: the audio path knows of no viewer.

Without Redis the channel layer belongs to one process, so that only its own gateway can be watched.

A batch is ``{"type": "watch.batch", "call": id, "stream": sid, "items": [...]}``. An item is bytes,
as ``sound`` packs them, or an event: a dict with ``kind`` and ``at_ms``, ms of the stream.

==============  ================================================================================
kind            what else
==============  ================================================================================
watching        phase, and what the bot is saying: the state that the rest goes on from
phase           phase, cause: a row of the turn table was taken
caller.partial  utterance, text: replaces the one before
caller.final    utterance, text
bot.answer      stages_ms, latency_ms: the bot's first audio was sent; its turn tells the rest
bot.says        talk, source, said, heard: said so far, and what of it has been heard
turn            index, role, source, said, heard, interrupted, started_ms, ended_ms, stages_ms,
                latency_ms: as the transcript has it
tools           running: names
event           name, data: as the call's events have it
dropped         events, audio_ms: what found no room since the last batch
stream.ended    reason: the last one. The call may go on in another stream
==============  ================================================================================
"""

from __future__ import annotations

import enum
import struct
from typing import Any, Final

from apps.calls.models import Turn

# How long an order to be watched holds, and how often it is renewed.
TTL_S: Final = 15.0
RENEW_S: Final = 5.0

_HEAD = struct.Struct("<BI")


class Side(enum.IntEnum):
    """Whose sound it is. CLEARED: what the bot had said from that moment on was never played."""

    CALLER = 0
    BOT = 1
    CLEARED = 2


def sound(side: Side, at_ms: int, audio: bytes = b"") -> bytes:
    """Pack audio for viewers: side (1 byte), ms of the stream (4, little-endian), mu-law 8 kHz.

    at_ms: when it was heard; of the bot's, when it is played, if it travels in no time.
    """
    return _HEAD.pack(side, at_ms & 0xFFFFFFFF) + audio


def turn_event(turn: Turn) -> dict[str, Any]:
    """Return a turn that was written down as the event that viewers were told, or missed."""
    return {
        "kind": "turn",
        "stream": turn.stream_sid,
        "index": turn.index,
        "role": turn.role,
        "source": turn.source,
        "said": turn.text_said,
        "heard": turn.text_heard,
        "interrupted": turn.interrupted,
        "stages_ms": turn.stages,
        "latency_ms": turn.latency_ms,
        "started_at": turn.started_at.isoformat(),
        "ended_at": turn.ended_at.isoformat(),
    }
