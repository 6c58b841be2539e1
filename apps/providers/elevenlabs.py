"""ElevenLabs' voices, over its WebSocket with several contexts.

Each sentence is a context of its own, which is closed behind the text: the vendor says that all
sound was sent only for a context that is closed. One that was told to flush goes on to its end
when it is closed, so there is nothing to add when a sentence is interrupted: what comes is dropped.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.speech_sockets import Event, Mark, SpeechSocket
from apps.voice import g711
from apps.voice.ports import ProviderError, WordAt

OWN = "https://api.elevenlabs.io"
_NAME = "elevenlabs"

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="ElevenLabs",
        description="ElevenLabs, streamed over one WebSocket a call, with words' times.",
        models=(
            "eleven_flash_v2_5",
            "eleven_flash_v2",
            "eleven_turbo_v2_5",
            "eleven_multilingual_v2",
        ),
        open_models=True,
        voices=(
            Voice("JBFqnCBsd6RMkjVDRZzb", "George", "en-GB"),
            Voice("21m00Tcm4TlvDq8ikWAM", "Rachel", "en-US"),
        ),
        open_voices=True,
        options=(
            Option("stability", "number", "Steadiness of the voice.", minimum=0, maximum=1),
            Option(
                "similarity_boost",
                "number",
                "Closeness to the original voice.",
                minimum=0,
                maximum=1,
            ),
            Option("style", "number", "Exaggeration of style.", minimum=0, maximum=1),
            Option("use_speaker_boost", "boolean", "Boost closeness to the speaker."),
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.7, maximum=1.2),
            Option("output_format", "string", "Without effect: a phone call is ulaw_8000."),
            Option("text_filter", "object", "What not to read aloud."),
        ),
        needs_key=True,
        factory="apps.providers.elevenlabs:ElevenLabsVoice",
        billing="characters",
        base_url=OWN,
        source=(
            "elevenlabs.io/docs (multi-context WebSocket: reference and guide; models; error "
            "messages), ElevenLabs' Python SDK; read on 26 November 2026"
        ),
        limits=(
            "eleven_v3 has no such WebSocket and cannot be used.",
            "Sentences do not share their prosody.",
            "Interrupted, ElevenLabs still finishes the sentence in hand; it is not played.",
        ),
    ),
)

# The longest that the vendor allows. A connection that it closes idle is replaced while idle.
_INACTIVITY_S = 180
_SETTINGS = ("stability", "similarity_boost", "style", "use_speaker_boost", "speed")
# The vendor's codes inside the socket, as the statuses that they would have been.
_STATUSES: Mapping[str, int] = {
    "invalid_api_key": 401,
    "missing_api_key": 401,
    "needs_authorization": 401,
    "missing_permissions": 403,
    "quota_exceeded": 402,
    "rate_limit_exceeded": 429,
    "too_many_concurrent_requests": 429,
    "concurrent_limit_exceeded": 429,
    "system_busy": 429,
    # Contexts of interrupted sentences that are not finished yet.
    "max_active_conversations": 503,
    "input_timeout_exceeded": 503,
    "internal_error": 500,
    "internal_server_error": 500,
}
_POLICY = 1008


class ElevenLabsVoice(SpeechSocket):
    """Implements ``voice.ports.TextToSpeech`` and ``Warmable``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(Contexts(settings), patience_s=settings.patience_s)


class Contexts:
    """ElevenLabs' words on the wire. Implements ``speech_sockets.Dialect``."""

    provider = _NAME
    ends_twice = False

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        options = settings.options
        self._voice_settings = {n: options[n] for n in _SETTINGS if options.get(n) is not None}
        self._context = ""
        self._sound = 0
        self._words = Words()

    def handshake(self) -> tuple[str, Mapping[str, str]]:
        key = failures.key_of(_NAME, self._settings.secrets)
        declared = DECLARATIONS[0]
        model = self._settings.model or declared.models[0]
        query = {
            "model_id": model,
            "output_format": "ulaw_8000",
            "inactivity_timeout": str(_INACTIVITY_S),
            # Whole sentences are sent: nothing is gained by waiting for more.
            "auto_mode": "true",
            "sync_alignment": "true",
        }
        # Other models refuse it.
        if self._settings.language and model.endswith("_v2_5"):
            query["language_code"] = self._settings.language.partition("-")[0].lower()
        voice = quote(self._settings.voice or declared.voices[0].id, safe="")
        path = f"/v1/text-to-speech/{voice}/multi-stream-input?{urlencode(query)}"
        return f"{self._settings.url(OWN)}{path}", {"xi-api-key": key}

    def opened(self) -> None:
        self._context = ""

    def worn(self) -> bool:
        return False

    def ask(self, text: str) -> Sequence[str]:
        self._context = uuid.uuid4().hex
        self._sound, self._words = 0, Words()
        first: dict[str, Any] = {"text": " ", "context_id": self._context}
        if self._voice_settings:
            first["voice_settings"] = self._voice_settings
        spoken = {"text": f"{text} ", "context_id": self._context, "flush": True}
        closed = {"context_id": self._context, "close_context": True}
        return tuple(orjson.dumps(message).decode() for message in (first, spoken, closed))

    def read(self, message: str | bytes) -> Iterable[Event]:
        found = orjson.loads(message)
        # The vendor documents the one name and has been seen to send the other.
        context = found.get("contextId") or found.get("context_id") or self._context
        if not self._context or context != self._context:
            return ()
        if found.get("error"):
            return (self._failed(found),)
        events = self._sounded(found) if found.get("audio") else []
        if found.get("isFinal") or found.get("is_final"):
            self._context = ""
            events += [*self._words.rest(), Mark.END]
        return events

    def stop(self) -> Sequence[str]:
        self._context = ""
        return ()

    def closed(self, code: int | None, reason: str) -> ProviderError:
        if code != _POLICY or "timeout" in reason:
            return failures.lost(_NAME)
        return failures.status_error(_NAME, 402 if "quota" in reason else 400)

    def farewell(self) -> Sequence[str]:
        return ('{"close_socket":true}',)

    def _sounded(self, found: Mapping[str, Any]) -> list[Event]:
        piece = base64.b64decode(found["audio"], validate=True)
        words = self._words.read(found.get("alignment"), self._sound / g711.BYTES_PER_MS)
        self._sound += len(piece)
        return [piece, *words] if piece else words

    def _failed(self, found: Mapping[str, Any]) -> ProviderError:
        self._context = ""
        code = failures.code_of({"code": found["error"]})
        internal = found.get("code") == 1011
        status = _STATUSES.get(code, 500 if internal else 400)
        return failures.status_error(_NAME, status, code=code)


class Words:
    """The words of a sentence, put together from the times of its letters."""

    def __init__(self) -> None:
        self._word = ""
        self._end_ms = 0.0

    def read(self, alignment: Mapping[str, Any] | None, before_ms: float) -> list[Event]:
        """Return the words that end in a chunk of sound. before_ms: the sound before the chunk.

        Times count from the chunk, by the documentation; where they plainly do not, from the
        beginning of the sentence.
        """
        if not alignment or not alignment.get("chars"):
            return []
        starts = alignment["charStartTimesMs"]
        lengths = alignment.get("charDurationsMs") or alignment["charsDurationsMs"]
        if self._end_ms and starts[0] >= self._end_ms - 1:
            before_ms = 0.0
        words: list[Event] = []
        for char, start, length in zip(alignment["chars"], starts, lengths, strict=True):
            if char.isspace():
                words += self.rest()
                continue
            self._word += char
            self._end_ms = before_ms + start + length
        return words

    def rest(self) -> list[Event]:
        """Return the word that the sound ends with."""
        word, self._word = self._word, ""
        return [WordAt(word, self._end_ms)] if word else []
