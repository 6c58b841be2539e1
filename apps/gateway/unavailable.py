"""Stands in for providers that this server cannot run, so that the caller at least hears why."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

from apps.gateway.building import Providers
from apps.voice.ports import ChatMessage, ModelEvent, ProviderError, Tool, TranscriptEvent

NO_EVENTS: tuple[ModelEvent, ...] = ()
NO_AUDIO: tuple[bytes, ...] = ()


class Unavailable:
    """Implements all three of a call's provider ports, and none of it works."""

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        """Hears nothing."""

    def hear(self, audio: bytes) -> None:
        """Hears nothing."""

    def begin(self, utterance: int) -> None:
        """Hears nothing."""

    def pause(self) -> None:
        """Hears nothing."""

    def resume(self) -> None:
        """Hears nothing."""

    def finish(self) -> None:
        """Hears nothing."""

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        for event in NO_EVENTS:
            yield event
        raise _missing()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        for piece in NO_AUDIO:
            yield piece
        raise _missing()

    async def aclose(self) -> None:
        """Holds nothing."""


def unavailable() -> Providers:
    """Return providers that fail at whatever they are asked."""
    return Providers(ears=Unavailable(), mind=Unavailable(), voice=Unavailable())


def _missing() -> ProviderError:
    return ProviderError("missing", "this server cannot run it", reason="unavailable")
