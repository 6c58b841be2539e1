"""A recogniser made of several: when one fails, the next one hears what it has heard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.voice.fallback import Link, Ring, mute
from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import (
    Endpointing,
    Final,
    ProviderError,
    Transcriber,
    TranscriptEvent,
    TranscriptionFailed,
)

logger = logging.getLogger(__name__)

# How long a recogniser may take to open, and to give the words of an utterance that is over.
EARS_PATIENCE_S = 1.5
# What is kept of the call for whoever takes over: longer than most utterances, and 64 kB.
KEPT_MS = 8_000
# What a recogniser wants to have heard before an utterance: ``begin`` comes after its onset.
BEFORE_MS = 600


@dataclass(frozen=True, slots=True)
class _Mark:
    """One of the calls around an utterance."""

    name: str
    utterance: int


class Tape:
    """The last seconds of a call as a recogniser is told them: audio, with marks between."""

    def __init__(self) -> None:
        self._told: deque[bytes | _Mark] = deque()
        self._bytes = 0

    def audio(self, audio: bytes) -> None:
        self._told.append(audio)
        self._bytes += len(audio)
        while self._bytes > KEPT_MS * BYTES_PER_MS:
            self._forget()

    def mark(self, name: str, utterance: int) -> None:
        self._told.append(_Mark(name, utterance))

    def _forget(self) -> None:
        oldest = self._told.popleft()
        if isinstance(oldest, bytes):
            self._bytes -= len(oldest)

    def since(self, utterance: int) -> ...
