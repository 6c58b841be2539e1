"""Every adapter that the conformance suite tries, and its stand-in."""

from __future__ import annotations

from tests.vendors.kinds import Subject
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn

MODELS: tuple[Subject, ...] = (
    Subject(
        "llm",
        "openai_realtime",
        OpenAIRealtimeStandIn,
        settings={"model": "gpt-realtime-2.1"},
        key_name="OPENAI_API_KEY",
        stops_in_words=True,
    ),
)
VOICES: tuple[Subject, ...] = ()
EARS: tuple[Subject, ...] = ()
