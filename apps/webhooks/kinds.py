"""The kinds of events, each with an example of its data: what docs, schema and tests go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CONFIG_PUBLISHED: Final = "config.published"
PING: Final = "ping"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event. example: its ``data``."""

    name: str
    description: str
    example: Mapping[str, Any]


_CONFIG = "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"
_STARTED = {
    "id": "95f66db6-69a5-5c78-8015-17d59963a897",
    "call_sid": "CAe41ac869fc184b71a9db3cd8171fdd77",
    "direction": "inbound",
    "medium": "phone",
    "from": "+4930123456",
    "to": "+4930654321",
    "status": "in-progress",
    "config_id": _CONFIG,
    "config_version": 3,
    "metadata": {"order": "4711"},
    "started_at": "2026-01-31T12:00:00Z",
}
_ENDED = {
    **_STARTED,
    "status": "completed",
    "end_reason": "caller_hung_up",
    "ended_at": "2026-01-31T12:00:09Z",
    "duration_s": 9.0,
    "cost_usd": "0.00163900",
    "cost_is_complete": True,
    "latency": {"first_word_ms": 310.0, "p50_ms": 640.0, "p95_ms": 910.0},
    "turns": [
        {
            "role": "bot",
            "text_said": "Hello, how can I help?",
            "text_heard": "Hello, how can I help?",
            "started_at": "2026-01-31T12:00:00.310Z",
            "latency_ms": None,
        },
        {
            "role": "caller",
            "text_said": "When do you open?",
            "text_heard": "When do you open?",
            "started_at": "2026-01-31T12:00:03Z",
            "latency_ms": None,
        },
        {
            "role": "bot",
            "text_said": "At nine. Anything else?",
            "text_heard": "At nine.",
            "started_at": "2026-01-31T12:00:05.240Z",
            "latency_ms": 640.0,
        },
    ],
}
_CALL_ID = {"call_id": _STARTED["id"]}
_NUMBER = {
    "phone_number_sid": "PN2a0747eba6abf96b7e3c3ff0b4530f6e",
    "number": "+4930654321",
    "wanted": {"voice_url": f"https://voice.example.com/twilio/voice/{_CONFIG}"},
    "actual": {"voice_url": "https://demo.twilio.com/welcome/voice/"},
    "fields": ["voice_url"],
}

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("call.started", "The conversation of a call has begun.", {"call": _STARTED}),
        Kind(
            "call.ended",
            "A call is over: how, what was said, how quickly it answered, and what it cost.",
            {"call": _ENDED},
        ),
        Kind(
            "call.recording_ready",
            "A call's recording can be fetched, with an API key.",
            {
                **_CALL_ID,
                "recording": f"/calls/{_STARTED['id']}/recording",
                "duration_s": 9.0,
                "bytes": 288_044,
            },
        ),
        Kind(
            "call.transferred",
            "A caller was put through.",
            {
                **_CALL_ID,
                "to": "+4930999999",
                "mode": "cold",
                "leg_call_sid": "CA0b2a5f5e0d2c4d0f8d3f8a6f5b6c7d8e",
            },
        ),
        Kind(
            "call.transfer_failed",
            "A caller was not put through, or their connection broke off at once.",
            {**_CALL_ID, "to": "+4930999999", "reason": "no-answer"},
        ),
        Kind(
            CONFIG_PUBLISHED,
            "A bot's new version takes calls.",
            {
                "config_id": _CONFIG,
                "name": "Front desk",
                "version": 4,
                "by": {"kind": "key", "id": "0d1f3c52-8a4e-4f0b-9c2d-5e6f7a8b9c0d", "name": "CI"},
            },
        ),
        Kind("number.drifted", "A number at Twilio is not set as it should be.", _NUMBER),
        Kind(
            "number.repaired",
            "A number at Twilio is set as it should be again.",
            {**_NUMBER, "actual": _NUMBER["wanted"]},
        ),
        Kind(PING, "Somebody tries an endpoint. It goes to that one alone.", {"ping": True}),
    )
}

# Their names, in the order of the catalogue.
NAMES: Final = tuple(KINDS)
