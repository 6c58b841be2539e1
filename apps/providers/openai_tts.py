"""OpenAI's voices, by its speech endpoint (not through the SDK, which adds a millisecond).

Source: developers.openai.com, API reference "Create speech", guide "Text to speech" and page
"Deprecations", read in November 2026: the endpoint and all of its models end on 6 January 2027.
OpenAI's replacement is a model of the Realtime API, which is another protocol.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.http_voice import HttpSpeech, Request
from apps.providers.sound import PcmSound, speakable

_NAME = "openai_tts"
_OWN = "https://api.openai.com"
_MODEL = "gpt-4o-mini-tts"
_VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx")
_RATE = 24_000
# The endpoint says audio/pcm; servers that are compatible with it say that these are bytes.
_AUDIO = ("audio/pcm", "application/octet-stream")

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="OpenAI speech",
        description=(
            "OpenAI's voices, whose manner can be told in words. OpenAI shuts this endpoint on "
            "6 January 2027; servers that are compatible with it stay."
        ),
        models=(_MODEL, "gpt-4o-mini-tts-2025-12-15", "tts-1", "tts-1-hd"),
        open_models=True,
        voices=tuple(Voice(name, name.title()) for name in (*_VOICES, "sage", "shimmer", "verse")),
        open_voices=True,
        options=(
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.25, maximum=4),
            Option(
                "instructions",
                "string",
                "How to speak, in words: accent, mood, pace. tts-1 and tts-1-hd ignore it.",
            ),
            Option(
                "text_filter",
                "object",
                "Accepted, without effect: marks for the eye are never read aloud.",
            ),
        ),
        needs_key=True,
        factory="apps.providers.openai_tts:OpenAISpeech",
        billing="characters",
        base_url=_OWN,
        source="developers.openai.com/api/reference (Create speech), read in November 2026",
        limits=(
            "OpenAI shuts the endpoint and its models on 6 January 2027; gpt-realtime-2.1-mini, "
            "which replaces them, is for openai_realtime.",
            "It speaks the language of the text; a language cannot be set.",
            "It sends no mu-law: its 24 kHz PCM is resampled here.",
        ),
    ),
)


class OpenAISpeech:
    """Implements ``voice.ports.TextToSpeech``: one request a sentence."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._url = settings.url(_OWN)
        self._model = settings.model or _MODEL
        self._speech = HttpSpeech(_NAME, settings.patience_s, self._probe)

    async def warm(self) -> None:
        await self._speech.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not (text := speakable(text)):
            return
        headers = {**self._headers(), "Content-Type": "application/json"}
        body = json.dumps(self._body(text)).encode()
        request = Request("POST", f"{self._url}/v1/audio/speech", headers, body, _AUDIO)
        async with aclosing(self._speech.say(request, PcmSound(_NAME, _RATE))) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._speech.aclose()

    def _body(self, text: str) -> dict[str, Any]:
        options = self._settings.options
        body = {
            "model": self._model,
            "input": text,
            "voice": self._settings.voice or _VOICES[0],
            "response_format": "pcm",
        }
        if options.get("speed"):
            body["speed"] = options["speed"]
        if options.get("instructions") and not self._model.startswith("tts-1"):
            body["instructions"] = options["instructions"]
        return body

    def _headers(self) -> dict[str, str]:
        key = failures.key_of(_NAME, self._settings.secrets)
        return {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}

    def _probe(self) -> Request:
        """Ask for the model's own entry: it is small and costs nothing."""
        return Request("GET", f"{self._url}/v1/models/{quote(self._model)}", self._headers())
