"""A caller to speech-to-text adapters: sound in, events out, marked as the engine marks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from apps.voice.ports import Final, ProviderError, TranscriptEvent, TranscriptionFailed, TurnEnded
from tests.vendors.kinds import Subject
from tests.vendors.listening import LiveStandIn
from tests.vendors.serving import KEY
from tests.vendors.subjects import EARS

FRAME = 160
_PATIENCE_S = 5.0


class Caller:
    """Speaks to one adapter and keeps what it delivers.

    spoken: all sound (no silence) that it made, every frame another, so that order shows.
    """

    def __init__(self, ears: Any) -> None:
        self.ears = ears
        self.events: list[TranscriptEvent] = []
        self.spoken = bytearray()
        self._news = asyncio.Event()
        self._count = 0

    def __call__(self, event: TranscriptEvent) -> None:
        self.events.append(event)
        self._news.set()

    def sound(self, ms: int) -> None:
        """Speak, in frames of 20 ms as they come from the telephone."""
        for _ in range(ms // 20):
            low, high = self._count % 100, self._count // 100 % 100
            frame = bytes((0x10 + low, 0x80 + high)) * (FRAME // 2)
            self._count += 1
            self.spoken += frame
            self.ears.hear(frame)

    def silence(self, ms: int) -> None:
        for _ in range(ms // 20):
            self.ears.hear(b"\xff" * FRAME)

    def speak(self, utterance: int, ms: int = 1_000) -> None:
        """Speak an utterance; its mark comes late, as it does."""
        self.sound(200)
        self.ears.begin(utterance)
        self.sound(ms - 200)

    def stop(self) -> None:
        """Fall silent, as long as an utterance's end takes."""
        self.silence(100)
        self.ears.pause()
        self.silence(200)
        self.ears.finish()

    def say(self, utterance: int, ms: int = 1_000) -> None:
        self.speak(utterance, ms)
        self.stop()

    async def until(self, kind: Any, utterance: int | None = None) -> Any:
        """Wait for the first event of a kind, of an utterance."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and utterance in (None, event.utterance):
                        return event
                self._news.clear()
                await self._news.wait()

    async def words(self, utterance: int) -> str:
        """Wait for an utterance's final words. A failure fails the test."""
        found = await self.until(Final | TranscriptionFailed, utterance)
        assert isinstance(found, Final), found
        return found.text

    async def failure(self, utterance: int) -> ProviderError:
        found = await self.until(Final | TranscriptionFailed, utterance)
        assert isinstance(found, TranscriptionFailed), found
        return found.error

    def ends(self) -> list[int]:
        """Return the utterances that had a Final or a failure, in order."""
        return [
            event.utterance
            for event in self.events
            if isinstance(event, Final | TranscriptionFailed)
        ]

    def turns_over(self) -> list[int]:
        return [event.utterance for event in self.events if isinstance(event, TurnEnded)]


@asynccontextmanager
async def calling(
    subject: Subject,
    stand_in: LiveStandIn,
    *,
    key: str = KEY,
    patience_s: float = 5.0,
    opens: bool = True,
) -> AsyncIterator[Caller]:
    """Build an adapter, open it, and close it in the end."""
    ears = subject.build(subject.service(stand_in.url, key=key, patience_s=patience_s))
    caller = Caller(ears)
    try:
        if opens:
            await ears.open(caller)
        yield caller
    finally:
        await ears.aclose()


def heard(audio: bytes | bytearray) -> bytes:
    """Return the sound in audio without its silence."""
    return bytes(audio).replace(b"\xff", b"")


def variants(*values: Any) -> pytest.MarkDecorator:
    """Run a test for every adapter and every value; the conformance table has a row for each."""
    pairs = [pytest.param(one, value, id=f"{one.id}:{value}") for one in EARS for value in values]
    return pytest.mark.parametrize(("subject", "value"), pairs, indirect=["subject"])
