"""Twilio Media Streams' messages as Twilio writes them: the far end of ``streams``.

Counters and times are decimal strings, ``sampleRate`` and ``channels`` numbers, and ``connected``
carries neither a number nor a SID. Source: Twilio's "Media Streams - WebSocket Messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

_MEDIA_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1}


@dataclass(frozen=True, slots=True)
class Stream:
    """Who is streaming. parameters: the ``<Parameter>`` pairs of the TwiML."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


def connected() -> str:
    """Write the first message: the socket is open, no stream is known yet."""
    return _json({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def started(stream: Stream, *, sequence: int) -> str:
    """Write the stream's metadata, once, before anything else that is numbered."""
    start = {
        "streamSid": stream.stream_sid,
        "accountSid": stream.account_sid,
        "callSid": stream.call_sid,
        "tracks": ["inbound"],
        "mediaFormat": _MEDIA_FORMAT,
        "customParameters": dict(stream.parameters),
    }
    return _numbered("start", stream, sequence, start)


def media(stream_sid: str, *, sequence: int, chunk: int, timestamp_ms: int, payload: str) -> str:
    """Write a frame of caller audio. payload: base64 of mu-law 8 kHz, ready made.

    Built by hand, because it is written fifty times a second for every call; nothing in it can
    need escaping.
    """
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound",'
        f'"chunk":"{chunk}","timestamp":"{timestamp_ms}","payload":"{payload}"}},'
        f'"streamSid":"{stream_sid}"}}'
    )


def dtmf(stream: Stream, *, sequence: int, digit: str) -> str:
    """Write a key press. Its track is spelled unlike that of media; Twilio does so too."""
    return _numbered("dtmf", stream, sequence, {"track": "inbound_track", "digit": digit})


def mark(stream: Stream, *, sequence: int, name: str) -> str:
    """Write the echo of a mark: played, or flushed."""
    return _numbered("mark", stream, sequence, {"name": name})


def stopped(stream: Stream, *, sequence: int) -> str:
    """Write the end of the stream."""
    body = {"accountSid": stream.account_sid, "callSid": stream.call_sid}
    return _numbered("stop", stream, sequence, body)


def _numbered(event: str, stream: Stream, sequence: int, body: Mapping[str, Any]) -> str:
    return _json(
        {
            "event": event,
            "sequenceNumber": str(sequence),
            event: body,
            "streamSid": stream.stream_sid,
        }
    )


def _json(body: Mapping[str, Any]) -> str:
    return orjson.dumps(body).decode()
