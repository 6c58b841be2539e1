"""The caller's end of OpenAI's Realtime API under test: what is said, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime import OpenAIRealtime
from apps.voice.ports import (
    ChatMessage,
    Final,
    ModelEvent,
    ProviderError,
    SpokenDelta,
    Tool,
    TranscriptEvent,
    TranscriptionFailed,
)
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.serving import KEY

PROMPT = ChatMessage("system", "Be brief.")
ASKED = (PROMPT, ChatMessage("user", "book a table"))
LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"seats": {"type": "integer"}}})
FRAME = b"\x20\xa0" * 80
TONE = b"\x31\xb1" * 80
LONG = "We have a table for two by the window and another one near the kitchen door."


async def until(vendor: OpenAIRealtimeStandIn, true: Callable[[], object]) -> None:
    await vendor.until(lambda: bool(true()))


class Phone:
    """A call's end: what the ears delivered, and a mouth."""

    def __init__(self, mind: OpenAIRealtime) -> None:
        self.mind = mind
        self.told: list[TranscriptEvent] = []
        self.spoken = 0

    async def opened(self) -> Phone:
        await self.mind.ears.open(self.told.append)
        return self

    def begin(self, frames: int = 20) -> None:
        """Start to say something."""
        self.spoken += 1
        self.mind.ears.begin(self.spoken)
        for _ in range(frames):
            self.mind.ears.hear(FRAME)

    def say(self, frames: int = 20) -> None:
        self.begin(frames)
        self.mind.ears.pause()
        self.mind.ears.resume()
        self.mind.ears.finish()

    def finals(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, Final)]

    def failures(self) -> list[ProviderError]:
        return [event.error for event in self.told if isinstance(event, TranscriptionFailed)]


def built(vendor: OpenAIRealtimeStandIn, **more: Any) -> OpenAIRealtime:
    given = {"secrets": {"api_key": KEY}, "patience_s": 3.0, **more}
    return OpenAIRealtime(ServiceSettings("openai_realtime", base_url=vendor.url, **given))


async def events_of(
    mind: OpenAIRealtime, messages: Sequence[ChatMessage] = ASKED
) -> list[ModelEvent]:
    async with aclosing(mind.reply(messages, [LOOK])) as events:
        return [event async for event in events]


def words_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, SpokenDelta))


def sound_of(events: Sequence[ModelEvent]) -> bytes:
    return b"".join(event.audio for event in events if isinstance(event, SpokenDelta))


async def failing(mind: OpenAIRealtime) -> ProviderError:
    with pytest.raises(ProviderError) as told:
        await events_of(mind)
    return told.value
