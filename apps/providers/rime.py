"""Rime's voices: Coda and Mist v3 over Rime's WebSocket v1, the older models over HTTP.

On the WebSocket each sentence is a context of its own, which can be cancelled alone. Its model is
the host's: there is one for Coda and one for Mist v3. Rime's older socket (/ws3) serves all models,
but cannot stop a synthesis that has begun; so older models are asked with a request a sentence.

Sources: docs.rime.ai (Coda WebSocket API, Mist v3 WebSocket API, Error reference, Playback speed,
Streaming HTTP), Rime's schema of the protocol (rimelabs/rime-api); read on 26 November 2026.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from apps.providers import failures
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.http_voice import HttpSpeech, Request
from apps.providers.sound import Sound, speakable
from apps.providers.speech_sockets import Event, Mark, SpeechSocket
from apps.voice.ports import ProviderError, WordAt

OWN = "https://users.rime.ai"
SOCKETS: Mapping[str, str] = {
    "coda": "https://coda.api.rime.ai",
    "mistv3": "https://mist.api.rime.ai",
}
_NAME = "rime"

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Rime",
        description=(
            "Rime's Coda and Mist v3, streamed over one WebSocket a call, in English with words' "
            "times; older models with one HTTP request a sentence."
        ),
        models=("coda", "mistv3", "mistv2", "mist"),
        open_models=True,
        voices=(
            Voice("lyra", "Lyra"),
            Voice("clementine", "Clementine"),
            Voice("astra", "Astra (Mist v3 and v2 too)"),
            Voice("luna", "Luna (Mist v3 too)"),
            Voice("bancroft", "Bancroft"),
            Voice("masonry", "Masonry"),
            Voice("albion", "Albion", "en-GB"),
            Voice("marlu", "Marlu", "en-AU"),
            Voice("celestino", "Celestino", "es-MX"),
            Voice("lorelei", "Lorelei", "de"),
            Voice("solstice", "Solstice", "fr"),
            Voice("isadora", "Isadora", "pt-BR"),
            Voice("cove", "Cove (Mist alone)"),
        ),
        open_voices=True,
        options=(
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.4, maximum=2.5),
            Option(
                "text_filter",
                "object",
                "Accepted, without effect: marks for the eye are never read aloud.",
            ),
        ),
        needs_key=True,
        factory="apps.providers.rime:rime_voice",
        billing="characters",
        base_url=SOCKETS["coda"],
        source=(
            "docs.rime.ai (Coda and Mist v3 WebSocket API, errors, speed, streaming HTTP) and "
            "Rime's schema of the protocol (rimelabs/rime-api), read on 26 November 2026"
        ),
        limits=(
            "A voice speaks one language, and each model has its own voices.",
            "Words' times come for English, after a sentence's last sound.",
            "mist, mistv2 and names not listed here are asked over HTTP, without words' times.",
            "Rime has switched Arcana off; who asks for it is served by Coda.",
        ),
    ),
)

# With the newer models a factor over 1 is slower; the older ones call it speedAlpha.
_LEGACY = ("mist", "mistv2")
_LEGACY_VOICE = "cove"
_AUDIO = "audio/PCMU"  # mu-law, 8,000 Hz, without a header
# What Rime's kinds of errors say, as statuses: the names are those of gRPC.
_STATUS: Mapping[str, int] = {
    "invalid_input": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "resource_exhausted": 429,
    "timeout": 504,
    "unavailable": 503,
    "unimplemented": 501,
    "internal": 500,
}


def rime_voice(settings: ServiceSettings) -> RimeVoice | RimeRequests:
    """Build the voice for the model: over the WebSocket that serves it, else over HTTP."""
    return RimeVoice(settings) if _model(settings) in SOCKETS else RimeRequests(settings)


class RimeVoice(SpeechSocket):
    """Implements ``voice.ports.TextToSpeech`` and ``Warmable``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(
            Contexts(settings),
            patience_s=settings.patience_s,
            subprotocol="rime.v1.json",
            greets=True,
        )


class Contexts:
    """Rime's words on the wire. Implements ``speech_sockets.Dialect``."""

    provider = _NAME
    ends_twice = False

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._factor = _factor(settings)
        self._start = _start(settings, self._factor)
        self._context = ""

    def handshake(self) -> tuple[str, Mapping[str, str]]:
        key = failures.key_of(_NAME, self._settings.secrets)
        url = f"{self._settings.url(SOCKETS[_model(self._settings)])}/ws"
        return url, {"Authorization": f"Bearer {key}"}

    def opened(self) -> None:
        self._context = ""

    def worn(self) -> bool:
        return False

    def ask(self, text: str) -> Sequence[str]:
        self._context = uuid.uuid4().hex
        start = {**self._start, "text": text}
        return (orjson.dumps({"contextId": self._context, "start": start}).decode(),)

    def read(self, message: str | bytes) -> Iterable[Event]:
        found = orjson.loads(message)
        context = found.get("contextId", "")
        if "ready" in found:
            return _greeted(found["ready"])
        if "error" in found and context in ("", self._context):
            self._context = "" if context else self._context
            return (_failed(found["error"]),)
        if not found.keys() & {"started", "audio", "done", "cancelled", "error"}:
            raise ValueError("a message without a payload")
        if context != self._context or not context:
            return ()
        if "audio" in found:
            piece = base64.b64decode(found["audio"], validate=True)
            return (piece,) if piece else ()
        if "done" in found:
            self._context = ""
            return (*self._words(found["done"]), Mark.END)
        if "cancelled" in found:  # which nobody here has asked for
            return (failures.lost(_NAME),)
        return ()

    def stop(self) -> Sequence[str]:
        context, self._context = self._context, ""
        if not context:
            return ()
        return (orjson.dumps({"contextId": context, "cancel": {}}).decode(),)

    def closed(self, code: int | None, reason: str) -> ProviderError:
        return failures.lost(_NAME)

    def farewell(self) -> Sequence[str]:
        return ()

    def _words(self, done: Mapping[str, Any]) -> Iterable[WordAt]:
        """Return the words' times, if there are any: they are those before the change of pace."""
        spans = done.get("timestamps", {}).get("spans", ())
        return [
            WordAt(span["text"], float(span["end"].removesuffix("s")) * 1_000 * self._factor)
            for span in spans
        ]


class RimeRequests:
    """Implements ``voice.ports.TextToSpeech`` and ``Warmable``: one request a sentence."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._url = settings.url(OWN)
        self._body = _body(settings)
        self._speech = HttpSpeech(_NAME, settings.patience_s, self._probe)

    async def warm(self) -> None:
        await self._speech.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not (text := speakable(text)):
            return
        key = failures.key_of(_NAME, self._settings.secrets)
        headers = {
            "Authorization": f"Bearer {key}",
            "Accept": _AUDIO,
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        body = json.dumps({**self._body, "text": text}).encode()
        types = ("audio/pcmu", "audio/x-mulaw", "audio/basic")
        request = Request("POST", f"{self._url}/v1/rime-tts", headers, body, types)
        async with aclosing(self._speech.say(request, Sound(_NAME))) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._speech.aclose()

    def _probe(self) -> Request:
        """Ask whether there is a list of voices: it is open to everybody, and costs nothing."""
        return Request("HEAD", f"{self._url}/data/voices/all-v2.json", {})


def _model(settings: ServiceSettings) -> str:
    return settings.model or DECLARATIONS[0].models[0]


def _factor(settings: ServiceSettings) -> float:
    """Return how much longer than normal the sound is to be."""
    return round(1 / float(settings.options.get("speed") or 1), 3)


def _voice(settings: ServiceSettings) -> str:
    if settings.voice:
        return settings.voice
    return {"coda": "lyra", "mistv3": "astra"}.get(_model(settings), _LEGACY_VOICE)


def _language(settings: ServiceSettings) -> str:
    """Return the language without its region: the config's, else the voice's, else English."""
    voices = {voice.id: voice.language for voice in DECLARATIONS[0].voices}
    told = settings.language or voices.get(_voice(settings), "en")
    return told.partition("-")[0].lower()


def _start(settings: ServiceSettings, factor: float) -> dict[str, Any]:
    """Return what all contexts of a call have in common."""
    audio: dict[str, Any] = {"audioFormat": _AUDIO, "samplingRate": 8_000}
    if factor != 1:
        audio["timeScaleFactor"] = factor
    start = {
        "speaker": _voice(settings),
        "language": _language(settings),
        "audioParameters": audio,
    }
    # Without an aligner for the language its end would only come later.
    return {**start, "timestamps": {"enable": True}} if start["language"] == "en" else start


def _body(settings: ServiceSettings) -> dict[str, Any]:
    """Return what all requests of a call have in common."""
    model = _model(settings)
    body: dict[str, Any] = {
        "modelId": model,
        "speaker": _voice(settings),
        "lang": _language(settings),
        "samplingRate": 8_000,
    }
    if (factor := _factor(settings)) != 1:
        body["speedAlpha" if model in _LEGACY else "timeScaleFactor"] = factor
    return body


def _greeted(ready: Mapping[str, Any]) -> Iterable[Event]:
    if ready["protocol"] != 1:
        raise ValueError("another protocol")
    return (Mark.READY,)


def _failed(error: Mapping[str, Any]) -> ProviderError:
    kind = str(error.get("kind", ""))
    code = failures.code_of({"code": kind})
    return failures.status_error(_NAME, _STATUS.get(kind, 500), code=code)
