"""Google Cloud's voices: streamed where the voice can stream, else a whole sentence at once.

Source: docs.cloud.google.com/text-to-speech (Chirp 3: HD voices, Gemini-TTS, voice types) and the
messages of google-cloud-texttospeech 2.38, read in November 2026: streaming takes MULAW, and has
raw samples in its answer; ``SynthesizeSpeech`` puts MULAW into a WAV file.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from apps.providers import connections, failures, google_rpc
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.google_rpc import Key
from apps.providers.http_voice import voiced
from apps.providers.sound import Sound, speakable

_NAME = "google_tts"
_OWN = "https://texttospeech.googleapis.com"
_EXTRA = "google"
_TYPES = "google.cloud.texttospeech_v1.types"
_SERVICE = "/google.cloud.texttospeech.v1.TextToSpeech"
_VOICE = "en-US-Chirp3-HD-Kore"
_RATE = 8_000
_MOST_ASKED = 3
_LOCALE = re.compile(r"[a-z]{2,3}-(?:[A-Za-z]{4}-)?[A-Z]{2}")
_STREAMING = re.compile(r"chirp|gemini", re.IGNORECASE)

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Google Cloud text-to-speech",
        description=(
            "Google Cloud's voices. The key is an API key, or a service account's key file as it "
            "stands (JSON)."
        ),
        models=("gemini-2.5-flash-tts", "gemini-2.5-pro-tts", "gemini-3.1-flash-tts-preview"),
        open_models=True,
        voices=(
            Voice(_VOICE, "Kore", "en-US"),
            Voice("en-US-Chirp3-HD-Charon", "Charon", "en-US"),
            Voice("en-US-Chirp3-HD-Aoede", "Aoede", "en-US"),
            Voice("en-GB-Chirp3-HD-Kore", "Kore", "en-GB"),
            Voice("de-DE-Chirp3-HD-Kore", "Kore", "de-DE"),
            Voice("fr-FR-Chirp3-HD-Kore", "Kore", "fr-FR"),
            Voice("es-ES-Chirp3-HD-Kore", "Kore", "es-ES"),
            Voice("en-US-Neural2-F", "Neural2 F", "en-US"),
        ),
        open_voices=True,
        options=(
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.25, maximum=2),
            Option(
                "instructions", "string", "How to speak, in words. Only Gemini's models take it."
            ),
            Option(
                "text_filter",
                "object",
                "Accepted, without effect: marks for the eye are never read aloud.",
            ),
            Option("sample_rate", "integer", "Accepted, without effect: a phone takes 8,000 Hz."),
        ),
        needs_key=True,
        extra=_EXTRA,
        modules=("grpc", "google.cloud.texttospeech_v1"),
        factory="apps.providers.google_tts:GoogleSpeech",
        billing="characters",
        base_url=_OWN,
        source="docs.cloud.google.com/text-to-speech (Chirp 3: HD), read in November 2026",
        limits=(
            "Voices other than Chirp 3: HD and Gemini's send nothing before a sentence is done.",
            "The language is the one in the voice's name; only Gemini's voices are told another.",
            "Gemini 3.8's voices are not on this service of Google's.",
            "Gemini's models are billed by tokens, not by the characters that are counted here.",
        ),
    ),
)


class GoogleSpeech:
    """Implements ``voice.ports.TextToSpeech``: a gRPC call a sentence, on channels all calls share.

    Past the SDK's client, which writes texts and keys into its notes for debugging.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._voice = settings.voice or _VOICE
        self._url = settings.url(_OWN)
        self._key = Key(_NAME, settings.secrets, f"{_OWN}/")
        self._streams = bool(_STREAMING.search(f"{settings.model} {self._voice}"))

    async def warm(self) -> None:
        with contextlib.suppress(Exception):
            await connections.sdk(_NAME, _TYPES, _EXTRA)
            await self._key.metadata()
            async with google_rpc.lane(_NAME, self._url) as lane:
                await google_rpc.connect(lane, self._settings.patience_s)

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not (text := speakable(text)):
            return
        async with aclosing(voiced(self._pieces(text), Sound(_NAME))) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """Nothing is held per call but the key."""

    async def _pieces(self, text: str) -> AsyncGenerator[bytes, None]:
        """Stream the sentence. Asks again, once, if a kept connection turns out to be broken, and
        twice to hear why it was refused."""
        grpc = await connections.sdk(_NAME, "grpc.aio", _EXTRA)
        metadata = await self._key.metadata()
        types = await connections.sdk(_NAME, _TYPES, _EXTRA)
        for asked in range(_MOST_ASKED):
            came = False
            async with google_rpc.lane(_NAME, self._url) as lane:
                kept = lane.used
                try:
                    async with aclosing(self._asked(types, lane, metadata, text)) as answers:
                        async for answer in answers:
                            lane.used = came = True
                            yield answer
                    return
                except grpc.AioRpcError as exc:
                    stale = asked == 0 and kept and google_rpc.is_broken(exc)
                    masked = asked + 1 < _MOST_ASKED and google_rpc.is_masked(exc)
                    if came or not (stale or masked):
                        raise google_rpc.failure(_NAME, exc) from None

    async def _asked(
        self, types: Any, lane: google_rpc.Lane, metadata: Any, text: str
    ) -> AsyncGenerator[bytes, None]:
        """Make the call; closing this cancels it, at the vendor too. Raises AioRpcError also."""
        patience_s = self._settings.patience_s
        if self._streams:
            requests = iter(self._streamed(types, text))
            call = lane.stream(f"{_SERVICE}/StreamingSynthesize")(requests, metadata=metadata)
        else:
            call = lane.single(f"{_SERVICE}/SynthesizeSpeech")(
                self._whole(types, text), metadata=metadata
            )
        try:
            while True:
                async with asyncio.timeout(patience_s):
                    message = await (call.read() if self._streams else call)
                if not isinstance(message, bytes):
                    return  # the stream is at its end
                yield _audio_in(types, message, streamed=self._streams)
                if not self._streams:
                    return
        except TimeoutError:
            raise failures.silent(_NAME) from None
        finally:
            call.cancel()

    def _streamed(self, types: Any, text: str) -> tuple[bytes, bytes]:
        """Return the two messages of a stream, in their order: how to speak, and what."""
        request, spoken = types.StreamingSynthesizeRequest, {"text": text}
        audio = {"audio_encoding": types.AudioEncoding.MULAW, "sample_rate_hertz": _RATE}
        config = {"voice": self._voice_asked(), "streaming_audio_config": audio | self._pace()}
        return (
            request.serialize(request(streaming_config=config)),
            request.serialize(request(input=spoken | self._manner())),
        )

    def _whole(self, types: Any, text: str) -> bytes:
        request = types.SynthesizeSpeechRequest
        audio = {"audio_encoding": types.AudioEncoding.MULAW, "sample_rate_hertz": _RATE}
        found: bytes = request.serialize(
            request(
                input={"text": text} | self._manner(),
                voice=self._voice_asked(),
                audio_config=audio | self._pace(),
            )
        )
        return found

    def _voice_asked(self) -> dict[str, str]:
        """Return the voice. Its own language is in its name, but for Gemini's (``Kore``)."""
        found = _LOCALE.match(self._voice)
        language = found.group() if found else self._settings.language or "en-US"
        voice = {"name": self._voice, "language_code": language}
        return voice | ({"model_name": self._settings.model} if self._settings.model else {})

    def _pace(self) -> dict[str, float]:
        speed = float(self._settings.options.get("speed") or 1.0)
        return {"speaking_rate": speed} if speed != 1.0 else {}

    def _manner(self) -> dict[str, str]:
        told = str(self._settings.options.get("instructions") or "")
        return {"prompt": told} if told and "gemini" in self._settings.model.lower() else {}


def _audio_in(types: Any, message: bytes, *, streamed: bool) -> bytes:
    """Return an answer's samples. Raises ProviderError for what is no answer, or other audio."""
    kind = types.StreamingSynthesizeResponse if streamed else types.SynthesizeSpeechResponse
    try:
        audio = bytes(kind.deserialize(message).audio_content)
    except Exception:  # noqa: BLE001 - protobuf's errors have no common ancestor
        raise failures.unreadable(_NAME) from None
    return _unwrapped(audio) if audio.startswith(b"RIFF") else audio


def _unwrapped(file: bytes) -> bytes:
    """Return the samples of a WAV file. Raises ProviderError unless they are mu-law at 8 kHz.

    Source: Microsoft, Multimedia Programming Interface (1991): format 7 is mu-law.
    """
    at = 12
    while at + 8 <= len(file):
        name, length = struct.unpack_from("<4sI", file, at)
        if name == b"fmt " and struct.unpack_from("<HHI", file, at + 8) != (7, 1, _RATE):
            break
        if name == b"data":
            return file[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise failures.unreadable(_NAME)
