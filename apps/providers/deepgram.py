"""Deepgram's speech-to-text: nova models on /v1/listen, Flux models on /v2/listen.

All of the caller's audio is streamed. The models use what came before, the first word is never
cut off, and Flux hears for itself when a turn is over. Deepgram counts the seconds of audio sent.

Nova is asked for its final words (``Finalize``) whenever the caller falls silent for 100 ms; its
own endpointing is off, for the voice activity detector of the call knows better. Flux ends a turn
by the words it heard (``EndOfTurn``), or when it is told (``ForceEndTurn``).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection

from apps.providers import connections, failures
from apps.providers.base import Declaration, Option, ServiceSettings
from apps.providers.live_ears import LiveEars
from apps.providers.live_wire import PINGS, Place, Wire, ended, greeted
from apps.providers.live_words import Said
from apps.voice.g711 import BYTES_PER_MS, SILENCE
from apps.voice.ports import ProviderError

OWN = "https://api.deepgram.com"
_FLUX = "flux-"
_DEFAULT = "nova-2-general"
# Flux needs a moment of speech before it says that a turn has begun.
_ONSET = 300 * BYTES_PER_MS

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="deepgram",
        title="Deepgram",
        description="Deepgram by streaming: nova models, and Flux models that hear a turn's end.",
        models=("nova-3", "flux-general-en", "flux-general-multi")
        + ("nova-2", "nova-2-general", "nova-2-phonecall"),
        open_models=True,
        default_model=_DEFAULT,
        options=(
            Option("keyterms", "array", "Words to expect: names, products."),
            Option("smart_format", "boolean", "Write dates, amounts and numbers as usual (nova)."),
            Option("numerals", "boolean", "Write numbers as digits."),
            Option(
                "endpointing",
                "string",
                "Who says that a turn is over: Flux, or silence alone. Nova never does.",
                default="vendor",
                choices=("vendor", "ours"),
            ),
            Option(
                "eot_threshold",
                "number",
                "How sure Flux has to be that a turn is over.",
                minimum=0.5,
                maximum=1.0,
            ),
            Option(
                "eot_timeout_ms",
                "integer",
                "Silence after which Flux ends a turn in any case.",
                minimum=500,
                maximum=60_000,
            ),
        ),
        needs_key=True,
        factory="apps.providers.deepgram:DeepgramEars",
        billing="stream",
        base_url=OWN,
        source="developers.deepgram.com, read 26 November 2026",
        limits=(
            "flux-general-en hears English only; flux-general-multi takes a language as a hint.",
            "A self-hosted Deepgram does not know ForceEndTurn: Flux alone ends turns there.",
        ),
    ),
)


class DeepgramEars(LiveEars):
    """Deepgram behind ``voice.ports.Transcriber``, by the model's name."""

    def __init__(self, settings: ServiceSettings) -> None:
        flux = settings.model.startswith(_FLUX)
        wire: Wire = FluxWire(settings) if flux else NovaWire(settings)
        super().__init__(settings, wire)


class _Deepgram:
    """What both endpoints share."""

    whole = True
    regular = True
    least = 0
    most = 8_000
    nothing_s: float | None = 0.7

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._name = settings.provider

    async def _socket(
        self, path: str, query: list[tuple[str, str]], patience_s: float
    ) -> ClientConnection:
        key = failures.key_of(self._name, self._settings.secrets)
        url = f"{self._settings.url(OWN)}{path}?{urlencode(query)}"
        headers = {"Authorization": f"Token {key}"}
        return await connections.socket(self._name, url, headers, patience_s=patience_s, **PINGS)

    def _common(self, model: str) -> list[tuple[str, str]]:
        options = self._settings.options
        query = [("model", model), ("encoding", "mulaw"), ("sample_rate", "8000")]
        if options.get("numerals"):
            query.append(("numerals", "true"))
        # Nova-3 and Flux read terms, those before weigh keywords.
        name = "keyterm" if model.startswith(("nova-3", _FLUX)) else "keywords"
        return query + [(name, term) for term in options.get("keyterms") or ()]

    def audio(self, piece: bytes) -> bytes | str:
        return piece

    def goodbye(self) -> str:
        return '{"type":"CloseStream"}'

    def closed(self, code: int, reason: str) -> ProviderError:
        if code == 1008:  # DATA-0000: what was sent is no audio to it
            return ProviderError(self._name, "refuses the audio (1008)", reason="bad_request")
        return ended(self._name, code)


class NovaWire(_Deepgram):
    """``/v1/listen``: pieces of words, each final at some time."""

    early = True
    endpoints = False
    chunk = 320
    idle_s = 4.0  # without audio or a word from us, it closes after 10 s

    async def connect(self, patience_s: float) -> ClientConnection:
        settings = self._settings
        query = self._common(settings.model or _DEFAULT)
        query += [("channels", "1"), ("interim_results", "true"), ("punctuate", "true")]
        query.append(("endpointing", "false"))
        if settings.language:
            query.append(("language", settings.language))
        if settings.options.get("smart_format"):
            query.append(("smart_format", "true"))
        return await self._socket("/v1/listen", query, patience_s)

    def flush(self, ticket: int) -> str:
        return '{"type":"Finalize"}'

    def idle(self) -> bytes | str:
        return '{"type":"KeepAlive"}'

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        if data["type"] != "Results":
            return None
        found = data["channel"]["alternatives"][0]
        text = str(found["transcript"]).strip()
        final = bool(data.get("is_final"))
        words = found.get("words") or ()
        heard = place(data["start"] + data["duration"])
        return Said(
            text,
            final,
            place(words[0]["start"]) if words else None,
            place(words[-1]["end"]) if words else heard,
            heard if final else None,  # silence that is not final may yet turn out to be a word
            flushed=bool(data.get("from_finalize")),
        )


class FluxWire(_Deepgram):
    """``/v2/listen``: turns, each with its words so far."""

    early = False
    chunk = 640  # 80 ms, which Deepgram advises
    # It has no KeepAlive: a moment of silence does the same.
    idle_s = 4.0

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.endpoints = settings.options.get("endpointing") != "ours"
        self._speaking = False

    async def connect(self, patience_s: float) -> ClientConnection:
        settings = self._settings
        query = self._common(settings.model)
        query += [
            (name, str(settings.options[name]))
            for name in ("eot_threshold", "eot_timeout_ms")
            if settings.options.get(name) is not None
        ]
        language = settings.language.partition("-")[0]
        if language not in ("", "multi") and settings.model == "flux-general-multi":
            query.append(("language_hint", language))
        socket = await self._socket("/v2/listen", query, patience_s)
        first = await greeted(self._name, socket, patience_s, close=self.closed)
        self._speaking = False
        if first.get("type") != "Connected":
            await connections.hung_up(socket)
            raise ended(self._name, str(first.get("code", "")))
        return socket

    def flush(self, ticket: int) -> str:
        return '{"type":"ForceEndTurn"}'

    def idle(self) -> bytes | str:
        return SILENCE * 640

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        if data["type"] == "Error":
            raise ended(self._name, str(data.get("code", "")))
        if data["type"] != "TurnInfo":
            return None
        event = data["event"]
        over = event == "EndOfTurn"
        self._speaking = not over and (self._speaking or event == "StartOfTurn")
        text = str(data["transcript"]).strip()
        words = data.get("words") or ()
        start = words[0].get("start") if words else None
        end = words[-1].get("end") if words else None
        forced = over and data.get("trigger") == "manual"
        window = place(data["audio_window_end"])
        # Where it hears no turn, a word may just have begun. A forced end is not one of silence.
        silent = None if self._speaking or forced else window - _ONSET
        return Said(
            text,
            over,
            place(start) if start is not None else None,
            place(end) if end is not None else window,
            window if over and not forced else silent,
            flushed=forced,
            turn_over=over and not forced,
        )
