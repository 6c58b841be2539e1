"""The scripted providers themselves. See ``scripted`` for what their options mean."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.providers.base import ServiceSettings
from apps.voice import g711
from apps.voice.ports import (
    ChatMessage,
    Final,
    ModelEvent,
    ProviderError,
    TextDelta,
    Tool,
    ToolCall,
    TranscriptEvent,
    TranscriptionFailed,
    Usage,
)

NAME = "scripted"
DRIBBLE_S = 2.0
HANGS_S = 30.0
GARBAGE_TEXT = "\x00\ufffd{{[[<<" * 40
_ERRORS = {
    "refuse": ProviderError(NAME, "HTTP 401", reason="auth"),
    "rate_limit": ProviderError(NAME, "HTTP 429", reason="quota", retryable=True),
    "cut": ProviderError(NAME, "connection lost", reason="unavailable", retryable=True),
}


class Script:
    """Counts requests and says which of them goes wrong, and how."""

    def __init__(self, settings: ServiceSettings, lines: str) -> None:
        self._options = settings.options
        self._lines: Sequence[str] = [str(line) for line in settings.options.get(lines) or ()]
        self._requests = 0
        self._calls: Mapping[str, Any] = settings.options.get("tool_calls") or {}

    def number(self, option: str, default: float) -> float:
        return float(self._options.get(option, default))

    def next(self) -> str:
        """Begin the next request; return its fault."""
        self._requests += 1
        at = self._options.get("fault_at") or 0
        return str(self._options.get("fault", "none")) if at in (0, self._requests) else "none"

    def line(self) -> str | None:
        """Return this request's line, or None if there is no script."""
        return self._lines[(self._requests - 1) % len(self._lines)] if self._lines else None

    def calls(self) -> list[ToolCall]:
        """Return what this request's answer calls. Its ids begin anew each time, as some do."""
        asked = self._calls.get(str(self._requests), ())
        return [
            ToolCall(f"call_{number}", found["name"], found.get("arguments") or {})
            for number, found in enumerate(asked)
        ]

    async def opening(self, fault: str) -> None:
        """Wait or fail as the script wants before the first answer."""
        if fault in ("refuse", "rate_limit"):
            raise _ERRORS[fault]
        if fault == "mute":
            await asyncio.Event().wait()
        if fault == "hang":
            await _ignore_cancellation()
        if delay := self.number("delay_ms", 0):
            await asyncio.sleep(delay / 1_000)


async def _ignore_cancellation() -> None:
    """Behave as badly as a provider can: for HANGS_S not even a cancellation ends this."""
    loop = asyncio.get_running_loop()
    until = loop.time() + HANGS_S
    while (left := until - loop.time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


class ScriptedTranscriber:
    """Implements ``ports.Transcriber``."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._script = Script(settings, "lines")
        self._utterance = 0
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        self._deliver = deliver

    def hear(self, audio: bytes) -> None:
        pass

    def begin(self, utterance: int) -> None:
        self._utterance = utterance

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def finish(self) -> None:
        fault = self._script.next()
        if fault in ("mute", "hang"):
            return
        delay = DRIBBLE_S * 5 if fault == "dribble" else self._script.number("delay_ms", 0) / 1_000
        event = self._event(fault, self._utterance)
        self._timer = asyncio.get_running_loop().call_later(delay, self._send, event)

    async def aclose(self) -> None:
        self._deliver = None
        if self._timer is not None:
            self._timer.cancel()

    def _event(self, fault: str, utterance: int) -> TranscriptEvent:
        if fault in _ERRORS:
            return TranscriptionFailed(utterance, _ERRORS[fault])
        spoken = self._script.line()
        text = spoken if spoken is not None else f"This is utterance {utterance}."
        return Final(utterance, {"empty": "", "garbage": GARBAGE_TEXT}.get(fault, text))

    def _send(self, event: TranscriptEvent) -> None:
        if self._deliver is not None:
            self._deliver(event)


class ScriptedMind:
    """Implements ``ports.LanguageModel``."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._script = Script(settings, "replies")

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        fault = self._script.next()
        await self._script.opening(fault)
        text = self._text(fault, messages)
        pause = DRIBBLE_S if fault == "dribble" else self._script.number("token_ms", 0) / 1_000
        words = text.split(" ") if text else []
        for place, word in enumerate(words):
            if fault == "cut" and place == (len(words) + 1) // 2:
                raise _ERRORS["cut"]
            yield TextDelta(word if place == 0 else f" {word}")
            if pause:
                await asyncio.sleep(pause)
        for call in self._script.calls():
            yield call
        yield Usage(prompt_tokens=len(messages), completion_tokens=len(words))

    async def aclose(self) -> None:
        pass

    def _text(self, fault: str, messages: Sequence[ChatMessage]) -> str:
        if fault in ("empty", "garbage"):
            return {"empty": "", "garbage": GARBAGE_TEXT}[fault]
        line = self._script.line()
        return line if line is not None else f"You said: {messages[-1].content}"


class ScriptedVoice:
    """Implements ``ports.TextToSpeech``."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._script = Script(settings, "")

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        fault = self._script.next()
        await self._script.opening(fault)
        if fault == "empty":
            return
        length = int(len(text) * self._script.number("character_ms", 60)) * g711.BYTES_PER_MS
        size = int(self._script.number("piece_ms", 200)) * g711.BYTES_PER_MS
        if fault in ("dribble", "garbage"):
            size = 7
        for start in range(0, length, size):
            if fault == "cut" and start >= length // 2:
                raise _ERRORS["cut"]
            yield hum(min(size, length - start))
            if fault == "dribble":
                await asyncio.sleep(DRIBBLE_S)

    async def aclose(self) -> None:
        pass


@functools.lru_cache(maxsize=64)
def hum(length: int) -> bytes:
    """Return ``length`` bytes of a 250 Hz tone at -20 dB below full scale."""
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 250 * np.arange(length) / g711.SAMPLE_RATE)
    return g711.encode_float(tone)
