"""Cartesia's voices, over its WebSocket with contexts.

A say is one context, each of its sentences an input that is flushed: so they share their prosody,
and each has an end of its own. A context ends a second after its last sound; a sentence that comes
later begins another.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.speech_sockets import Event, Mark, SpeechSocket
from apps.voice import g711
from apps.voice.ports import ProviderError, WordAt

OWN = "https://api.cartesia.ai"
VERSION = "2026-03-01"
_NAME = "cartesia"

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Cartesia",
        description="Cartesia's Sonic, streamed over one WebSocket a call, with words' times.",
        models=("sonic-3.5", "sonic-3.6", "sonic-3", "sonic-2", "sonic-turbo"),
        open_models=True,
        voices=(
            Voice("f786b574-daa5-4673-aa0c-cbe3e8534c02", "Katie"),
            Voice("9626c31c-bec5-4cca-baa8-f8ba9e84c8bc", "Jacqueline"),
        ),
        open_voices=True,
        options=(
            Option(
                "speed",
                "string",
                "Pace: slowest, slow, normal, fast or fastest. Or a number: for sonic-3 and later "
                "a factor, 0.6 to 1.5, where 1 is normal; for older models -1 to 1, where 0 is.",
                numeric=True,
            ),
            Option(
                "emotion",
                "array",
                "Emotions, each name[:level]. The vendor takes one, without a level: the first.",
            ),
            Option(
                "sample_rate",
                "integer",
                "Without effect: a phone call has 8,000 Hz.",
                minimum=8000,
            ),
            Option("text_filter", "object", "What not to read aloud."),
        ),
        needs_key=True,
        factory="apps.providers.cartesia:CartesiaVoice",
        billing="characters",
        base_url=OWN,
        source=(
            "docs.cartesia.ai (WebSocket reference 2026-03-01, contexts, flushing, volume-speed-"
            "emotion), Cartesia's Python SDK 4.0, LiveKit's examples of its voices; read on "
            "26 November 2026"
        ),
        limits=(
            "Models before sonic-3 know three paces and no emotions.",
            "sonic-3.5 takes a pace and does not follow it yet, says Cartesia.",
            "Interrupted, Cartesia still finishes what it has begun to make; it is not played.",
        ),
    ),
)

# A context ends 1 s after its last sound was sent, which is a while before it is heard of here.
FRESH_S = 0.6

_PACES: Mapping[str, float] = {
    "slowest": -1.0,
    "slow": -0.5,
    "normal": 0.0,
    "fast": 0.5,
    "fastest": 1.0,
}
# The five of the models before sonic-3, in the words of those since.
_EMOTIONS: Mapping[str, str] = {
    "anger": "angry",
    "positivity": "happy",
    "surprise": "surprised",
    "sadness": "sad",
    "curiosity": "curious",
}
_BEFORE_3 = ("sonic-2", "sonic-turbo", "sonic-english", "sonic-multilingual", "sonic-preview")


class CartesiaVoice(SpeechSocket):
    """Implements ``voice.ports.TextToSpeech``, ``Flowing`` and ``Warmable``."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._contexts = Contexts(settings)
        super().__init__(self._contexts, patience_s=settings.patience_s)

    def flow(self) -> None:
        self._contexts.flow()


class Contexts:
    """Cartesia's words on the wire. Implements ``speech_sockets.Dialect``."""

    provider = _NAME
    # Custom buffering ends each input of its own accord, and the flush after it once more.
    ends_twice = True

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._request = _request(settings)
        self._context = self._left = ""
        self._asked = False
        self._last_sound = 0.0
        self._before_ms = 0.0  # the context's sound before the sentence in hand
        self._sound = 0  # bytes of the sentence in hand
        self._from_context: bool | None = None

    def handshake(self) -> tuple[str, Mapping[str, str]]:
        key = failures.key_of(_NAME, self._settings.secrets)
        url = f"{self._settings.url(OWN)}/tts/websocket"
        return url, {"Authorization": f"Bearer {key}", "Cartesia-Version": VERSION}

    def opened(self) -> None:
        self._context = self._left = ""

    def worn(self) -> bool:
        return False

    def flow(self) -> None:
        self._left, self._context = self._context, ""

    def ask(self, text: str) -> Sequence[str]:
        fresh = time.monotonic() - self._last_sound < FRESH_S
        # What is left to expire counts against the account's limit of contexts.
        left = (_cancel(self._left),) if self._left and fresh else ()
        self._left = ""
        if not self._context or not fresh:
            self._context = uuid.uuid4().hex
            self._before_ms = 0.0
        self._asked, self._sound, self._from_context = True, 0, None
        # Sentences of a context are joined as they stand.
        spoken = {**self._request, "context_id": self._context, "continue": True}
        return (
            *left,
            orjson.dumps({**spoken, "transcript": f"{text} "}).decode(),
            orjson.dumps({**spoken, "transcript": "", "flush": True}).decode(),
        )

    def read(self, message: str | bytes) -> Iterable[Event]:
        found = orjson.loads(message)
        type_ = found["type"]
        if found.get("context_id", self._context) != self._context or not self._asked:
            return ()
        if type_ == "chunk":
            return self._chunk(found["data"])
        if type_ == "timestamps":
            return self._words(found["word_timestamps"])
        if type_ == "flush_done":
            return self._ended()
        if type_ == "done":
            return self._context_over()
        return (self._failed(found),) if type_ == "error" else ()

    def stop(self) -> Sequence[str]:
        context, self._context = self._context, ""
        self._asked = False
        return (_cancel(context),) if context else ()

    def closed(self, code: int | None, reason: str) -> ProviderError:
        return failures.lost(_NAME)

    def farewell(self) -> Sequence[str]:
        return ()

    def _chunk(self, data: str) -> Iterable[Event]:
        piece = base64.b64decode(data, validate=True)
        self._last_sound = time.monotonic()
        self._sound += len(piece)
        return (piece,) if piece else ()

    def _words(self, times: Mapping[str, Any]) -> Iterable[Event]:
        """Place words in their sentence, whether their times count from there or from the
        beginning of the context: that is not documented."""
        ends = [float(end) * 1_000 for end in times["end"]]
        if self._from_context is None and ends:
            self._from_context = ends[0] >= self._before_ms
        before = self._before_ms if self._from_context else 0.0
        return [WordAt(w, end - before) for w, end in zip(times["words"], ends, strict=True)]

    def _ended(self) -> Iterable[Event]:
        if self._sound:
            self._asked = False
            self._before_ms += self._sound / g711.BYTES_PER_MS
        return (Mark.END,)

    def _context_over(self) -> Iterable[Event]:
        """The context has ended; with nothing of the sentence, it did so as that was asked for."""
        continued = self._before_ms > 0
        self._context, self._asked = "", False
        return (Mark.END if self._sound or not continued else Mark.AGAIN,)

    def _failed(self, found: Mapping[str, Any]) -> Event:
        continued = self._before_ms > 0 and not self._sound
        self._context, self._asked = "", False
        status = int(found.get("status_code") or 500)
        if status == 400 and continued:
            return Mark.AGAIN
        return failures.status_error(_NAME, status, code=_code(found))


def _cancel(context: str) -> str:
    return orjson.dumps({"context_id": context, "cancel": True}).decode()


def _code(found: Mapping[str, Any]) -> str:
    return failures.code_of({"error_code": found.get("error_code")})


def _request(settings: ServiceSettings) -> dict[str, Any]:
    """Return what all inputs of a call have in common."""
    declared = DECLARATIONS[0]
    model = settings.model or declared.models[0]
    request: dict[str, Any] = {
        "model_id": model,
        "voice": {"mode": "id", "id": settings.voice or declared.voices[0].id},
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
        "add_timestamps": True,
        **_controls(model, settings.options),
    }
    if settings.language:
        request["language"] = settings.language.partition("-")[0].lower()
    return request


def _controls(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Say pace and emotion in the words that the model understands."""
    speed = str(options.get("speed", ""))
    pace = _pace(speed)
    if model == "sonic" or model.startswith(_BEFORE_3):
        return {} if abs(pace) < 0.25 else {"speed": "slow" if pace < 0 else "fast"}
    controls: dict[str, Any] = {}
    factor = _factor(speed) or round(1 + pace * (0.5 if pace > 0 else 0.4), 3)
    if factor != 1:
        controls["speed"] = factor
    if emotions := options.get("emotion"):
        name = emotions[0].partition(":")[0].strip().lower()
        controls["emotion"] = _EMOTIONS.get(name, name)
    return {"generation_config": controls} if controls else {}


def _factor(text: str) -> float | None:
    """Read a number of the newer models' own scale; below it, it is one of the older scale."""
    try:
        number = float(text)
    except ValueError:
        return None
    return min(1.5, number) if number >= 0.6 else None


def _pace(text: str) -> float:
    """Read a pace as -1 (slowest) to 1 (fastest); what is none is normal."""
    word = text.strip().lower()
    if word in _PACES:
        return _PACES[word]
    try:
        return max(-1.0, min(1.0, float(word)))
    except ValueError:
        return 0.0
