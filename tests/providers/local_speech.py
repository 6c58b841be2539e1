"""Shared by the tests of the local trio: sentences as audio, and what was heard of them."""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar

from apps.providers.base import ServiceSettings
from apps.providers.local_ears import LocalTranscriber
from apps.providers.local_voice import LocalVoice
from apps.voice import g711
from apps.voice.ports import TranscriptEvent

FRAME = 160
QUIET = g711.SILENCE * FRAME
SETTINGS = ServiceSettings("local")
Kind = TypeVar("Kind", bound=TranscriptEvent)


async def spoken(text: str, **options: float) -> bytes:
    voice = LocalVoice(ServiceSettings("local", options=options))
    return b"".join([piece async for piece in voice.speak(text)])


def plain(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower().replace("-", ""))


class Listener:
    """Records what a transcriber delivers, and waits for the end of an utterance."""

    def __init__(self) -> None:
        self.events: list[TranscriptEvent] = []
        self._arrived = asyncio.Event()

    def __call__(self, event: TranscriptEvent) -> None:
        self.events.append(event)
        self._arrived.set()

    async def first(self, kind: type[Kind]) -> Kind:
        return (await self.several(kind, 1))[0]

    async def several(self, kind: type[Kind], count: int) -> list[Kind]:
        while len(found := self.all(kind)) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 20)
        return found

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]


def say(ears: LocalTranscriber, audio: bytes, utterance: int) -> None:
    """Feed ``audio`` as one utterance; its start is only marked 240 ms in, as in a call."""
    for n, start in enumerate(range(0, len(audio), FRAME)):
        ears.hear(audio[start : start + FRAME])
        if n == 11:
            ears.begin(utterance)
    if len(audio) <= 11 * FRAME:
        ears.begin(utterance)
