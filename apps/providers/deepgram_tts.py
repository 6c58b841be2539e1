"""Deepgram's Aura voices, over its WebSocket.

Its sound carries no name: what arrives belongs to the text that was flushed last. After ``Clear``,
everything up to ``Cleared`` belongs to the sentence that was interrupted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.speech_sockets import Event, Mark, SpeechSocket
from apps.voice.ports import ProviderError

OWN = "https://api.deepgram.com"
_NAME = "deepgram_tts"

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Deepgram Aura",
        description="Deepgram's Aura, streamed over one WebSocket a call. A voice is a model.",
        models=("aura-2", "aura"),
        open_models=True,
        voices=(
            Voice("aura-2-thalia-en", "Thalia"),
            Voice("aura-2-andromeda-en", "Andromeda"),
            Voice("aura-2-helena-en", "Helena"),
            Voice("aura-2-apollo-en", "Apollo"),
            Voice("aura-2-arcas-en", "Arcas"),
            Voice("aura-2-celeste-es", "Celeste", "es"),
            Voice("aura-2-nestor-es", "Nestor", "es"),
            Voice("aura-2-julius-de", "Julius", "de"),
            Voice("aura-2-viktoria-de", "Viktoria", "de"),
            Voice("aura-asteria-en", "Asteria (first generation)"),
        ),
        open_voices=True,
        options=(
            Option(
                "speed",
                "number",
                "Pace; 1 is normal. Voices of Aura-2 only.",
                minimum=0.7,
                maximum=1.5,
            ),
            Option("text_filter", "object", "What not to read aloud."),
        ),
        needs_key=True,
        factory="apps.providers.deepgram_tts:AuraVoice",
        billing="characters",
        base_url=OWN,
        source=(
            "developers.deepgram.com (speak streaming; Flush, Clear, Close; WebSocket errors; "
            "voice controls; TTS models), Deepgram's Python SDK; read on 26 November 2026"
        ),
        limits=(
            "Words' times are not told: what the caller heard of a sentence is reckoned.",
            "The language is the voice's.",
        ),
    ),
)

# 20 flushes a minute are documented; beyond, no sentence ends. A new connection counts anew.
FLUSHES = 18
# 2,400 characters a minute are said to be (jambonz, issue 1214); beyond, the socket is closed.
CHARACTERS = 2_000
WINDOW_S = 60.0
# How long to believe that an interrupted sentence is still being cleared away.
CLEARS_S = 1.0

_FLUSH = '{"type":"Flush"}'
_CLEAR = '{"type":"Clear"}'
_CLOSE = '{"type":"Close"}'


class AuraVoice(SpeechSocket):
    """Implements ``voice.ports.TextToSpeech`` and ``Warmable``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(Aura(settings), patience_s=settings.patience_s)


class Aura:
    """Deepgram's words on the wire. Implements ``speech_sockets.Dialect``."""

    provider = _NAME
    # A flush that was overtaken by a Clear may still be confirmed.
    ends_twice = True

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._asked = False
        self._sounded = False
        self._clears = 0
        self._cleared_at = 0.0
        self._lately: deque[tuple[float, int]] = deque()

    def handshake(self) -> tuple[str, Mapping[str, str]]:
        key = failures.key_of(_NAME, self._settings.secrets)
        voice = _voice(self._settings)
        query = {"model": voice, "encoding": "mulaw", "sample_rate": "8000"}
        speed = self._settings.options.get("speed")
        if speed is not None and voice.startswith("aura-2-"):
            query["speed"] = f"{speed:g}"
        url = f"{self._settings.url(OWN)}/v1/speak?{urlencode(query)}"
        return url, {"Authorization": f"Token {key}"}

    def opened(self) -> None:
        self._asked = False
        self._clears = 0
        self._lately.clear()

    def worn(self) -> bool:
        now = time.monotonic()
        if self._clears and now - self._cleared_at > CLEARS_S:
            return True
        while self._lately and now - self._lately[0][0] > WINDOW_S:
            self._lately.popleft()
        spoken = sum(characters for _, characters in self._lately)
        return len(self._lately) >= FLUSHES or spoken >= CHARACTERS

    def ask(self, text: str) -> Sequence[str]:
        self._asked, self._sounded = True, False
        self._lately.append((time.monotonic(), len(text)))
        return orjson.dumps({"type": "Speak", "text": text}).decode(), _FLUSH

    def read(self, message: str | bytes) -> Iterable[Event]:
        if isinstance(message, bytes):
            return self._sound(message)
        found = orjson.loads(message)
        type_ = found.get("type")
        if type_ == "Cleared":
            self._clears = max(0, self._clears - 1)
        elif type_ == "Flushed":
            return self._ended()
        elif type_ == "Warning":
            return self._warned(found)
        elif type_ == "Error" or "error_code" in found or "err_code" in found:
            self._asked = False
            return (_failed(found),)
        elif type_ is None:
            raise ValueError("a message without a type")
        return ()

    def stop(self) -> Sequence[str]:
        if not self._asked:
            return ()
        self._asked = False
        self._clears += 1
        self._cleared_at = time.monotonic()
        return (_CLEAR,)

    def closed(self, code: int | None, reason: str) -> ProviderError:
        if code == 1008 and "DATA-0001" in reason:
            return failures.status_error(_NAME, 429)
        if code in (1003, 1008, 1009):
            return failures.status_error(_NAME, 400)
        return failures.lost(_NAME)

    def farewell(self) -> Sequence[str]:
        return (_CLOSE,)

    def _sound(self, piece: bytes) -> Iterable[Event]:
        if self._clears or not self._asked or not piece:
            return ()
        self._sounded = True
        return (piece,)

    def _ended(self) -> Iterable[Event]:
        if self._clears or not self._asked:
            return ()
        if self._sounded:
            self._asked = False
        return (Mark.END,)

    def _warned(self, found: Mapping[str, Any]) -> Iterable[Event]:
        """A flush that is not done leaves its sentence without an end; other warnings pass."""
        told = f"{found.get('code')} {found.get('description')} {found.get('warn_code')}".lower()
        if not self._asked or self._clears or "flush" not in told:
            return ()
        return (failures.status_error(_NAME, 429),)


def _voice(settings: ServiceSettings) -> str:
    """Return the vendor's model: the voice, or a model that names one."""
    if settings.voice:
        return settings.voice
    declared = DECLARATIONS[0]
    return declared.voices[0].id if settings.model in ("", *declared.models) else settings.model


def _failed(found: Mapping[str, Any]) -> ProviderError:
    """Read an error; its code is a status in one documented form, and a name in the others."""
    code = found.get("error_code") or found.get("err_code") or found.get("code")
    if isinstance(code, int) and 400 <= code <= 599:
        return failures.status_error(_NAME, code)
    return failures.status_error(_NAME, 500, code=failures.code_of({"code": code}))
