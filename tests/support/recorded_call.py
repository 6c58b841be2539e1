"""A call as real ones are: recorded, answered quickly and slowly, and interrupted."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.bots.models import TwilioConfig
from apps.calls.endings import call_started
from apps.calls.models import Call, CallEvent, Recording, RecordingSegment, Transfer, Turn
from apps.calls.recordings.files import recordings_storage
from apps.gateway.stock import stock_clips
from apps.voice import g711
from apps.voice.placement import RATE
from apps.voice.stereo import wav_header

BEGAN = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
LENGTH_S = 34.0
STREAM = "MZ" + "5" * 32

# Who, from, to, what was heard, and what was said beyond that.
SAID: tuple[tuple[str, float, float, str, str], ...] = (
    ("bot", 0.42, 4.2, "Thank you for calling the Hotel Adler, how can I help you?", ""),
    ("caller", 5.1, 7.4, "Hello, do you have a double room for Friday night?", ""),
    ("bot", 8.243, 12.3, "One moment, I look that up. Yes, a double room is free on Friday.", ""),
    ("caller", 12.9, 14.6, "What does it cost?", ""),
    (
        "bot",
        15.286,
        18.0,
        "It is 140 euros a night, with breakfast,",
        "and you can cancel until six.",
    ),
    ("caller", 17.5, 20.3, "And is there a place to park?", ""),
    ("bot", 21.55, 26.8, "There is, behind the house, for 12 euros a night.", ""),
    ("caller", 28.0, 29.2, "Great, thank you. Bye!", ""),
    ("bot", 29.97, 33.0, "You are welcome. Goodbye!", ""),
)
_STAGES: tuple[dict[str, float], ...] = (
    {"endpointing": 310.4, "transcription": 62.1, "tools": 240.3, "voice": 88.2, "network": 142.0},
    {
        **{"endpointing": 305.7, "transcription": 58.8, "model": 171.0, "sentence": 24.4},
        **{"voice": 81.3, "line": 0.2, "lead_in": 12.6, "network": 32.0},
    },
    {
        **{"endpointing": 318.0, "transcription": 95.2, "model": 604.6, "sentence": 61.5},
        **{"voice": 92.7, "line": 0.3, "network": 77.7},
    },
    {
        **{"endpointing": 311.9, "transcription": 61.0, "model": 202.4, "sentence": 20.2},
        **{"voice": 90.4, "line": 0.1, "network": 84.0},
    },
)


def recordings_in(settings: Any, folder: Path) -> None:
    """Have a test's recordings stored in a folder of its own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "recordings": {
            "BACKEND": "apps.calls.recordings.files.RecordingsFolder",
            "OPTIONS": {"location": str(folder)},
        },
    }


def recorded_call(config: TwilioConfig, *, sound: bool = True, **values: Any) -> Call:
    """Make the call. sound: it was recorded."""
    assert config.current is not None
    call = Call.objects.create(
        **{
            "account_id": config.account_id,
            "config": config,
            "version": config.current,
            "call_sid": "CA" + "4" * 32,
            "stream_sid": STREAM,
            "twilio_account_sid": "AC" + "3" * 32,
            "from_number": "+4930123456",
            "to_number": "+4930654321",
            "status": Call.Status.COMPLETED,
            "end_reason": "caller_hung_up",
            "started_at": BEGAN,
            "answered_at": BEGAN,
            "ended_at": BEGAN + timedelta(seconds=LENGTH_S),
            "billed_s": 35,
            "first_word_ms": 420,
            "variables": {"guest": "Ms Ada King"},
            "metadata": {"crm": "4711"},
            "cost_usd": Decimal("0.02113"),
            "cost_is_complete": True,
            "costs": _costs(),
            **values,
        }
    )
    _turns(call)
    _events(call)
    call_started(call)
    if sound:
        _recording(call)
    return call


def _costs() -> list[dict[str, Any]]:
    lines = (
        ("stt", "deepgram", "nova-3", {"stt_stream_s": 34.0, "stt_speech_s": 9.3}, "0.00283"),
        ("llm", "openai", "gpt-5-mini", {"llm_requests": 5, "prompt_tokens": 4210}, "0.0123"),
        ("tts", "cartesia", "sonic-3", {"tts_characters": 311, "tts_audio_s": 18.4}, "0.006"),
    )
    return [
        {
            **{"stream_sid": STREAM, "slot": slot, "provider": provider, "model": model},
            **{"units": units, "cost_usd": usd, "is_complete": True},
        }
        for slot, provider, model, units, usd in lines
    ]


def _turns(call: Call) -> None:
    stages = iter(_STAGES)
    for index, (role, start_s, end_s, heard, unheard) in enumerate(SAID):
        Turn.objects.create(
            call=call,
            stream_sid=STREAM,
            index=index,
            role=role,
            source="" if role == "caller" else "model" if index else "greeting",
            text_said=f"{heard} {unheard}".strip(),
            text_heard=heard,
            interrupted=bool(unheard),
            started_at=call.started_at + timedelta(seconds=start_s),
            ended_at=call.started_at + timedelta(seconds=end_s),
            stages_ms=next(stages) if role == "bot" and index else {},
        )


def _events(call: Call) -> None:
    happened: tuple[tuple[float, str, dict[str, Any]], ...] = (
        (8.1, "tool.ran", {"tool": "rooms_free", "ms": 231, "outcome": "ok", "status": 200}),
        (15.0, "dtmf", {}),
        (21.0, "provider.failed", {"provider": "openai", "reason": "unavailable"}),
    )
    for after_s, kind, data in happened:
        at = call.started_at + timedelta(seconds=after_s)
        CallEvent.objects.create(call=call, at=at, kind=kind, data=data)
    Transfer.objects.create(
        call=call,
        to="+4930999999",
        status="no-answer",
        reason="no-answer",
        started_at=call.started_at + timedelta(seconds=33),
        ended_at=call.started_at + timedelta(seconds=34),
    )


def _recording(call: Call) -> None:
    track = sound_of(SAID)
    name = f"{call.account_id}/{call.pk}.wav"
    whole = wav_header(len(track)) + track.astype("<i2").tobytes()
    recordings_storage().save(name, io.BytesIO(whole))
    about = {"started_at": call.started_at, "path": name, "duration_s": len(track) / RATE}
    recording = Recording.objects.create(
        call=call, status=Recording.Status.READY, bytes=len(whole), parts=1, **about
    )
    RecordingSegment.objects.create(
        recording=recording, stream_sid=STREAM, stored_at=call.ended_at, **about
    )


def sound_of(said: Any) -> npt.NDArray[Any]:
    """Return both channels: a voice of ours speaks where somebody spoke."""
    clips = stock_clips()
    voices = {"caller": clips["idle"].audio, "bot": clips["apology"].audio}
    both = np.zeros((int(LENGTH_S * RATE), 2))
    for role, start_s, end_s, *_ in said:
        samples = np.frombuffer(g711.decode(voices[role]), "<i2").astype(float)
        size = int((end_s - start_s) * RATE)
        part = np.resize(samples, size)
        first = int(start_s * RATE)
        both[first : first + size, int(role == "bot")] = part * (0.7 if role == "caller" else 1.0)
    return both
