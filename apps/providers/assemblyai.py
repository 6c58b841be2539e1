"""AssemblyAI's streaming speech-to-text (v3).

All of the caller's audio is streamed: the session is billed by the time that its connection stands,
whatever is sent, the models use what came before, and their turn detection needs the silence too.
A turn ends by the words heard (``end_of_turn``), or when it is told (``ForceEndpoint``).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection

from apps.providers import connections, failures
from apps.providers.base import Declaration, Option, ServiceSettings
from apps.providers.live_ears import LiveEars
from apps.providers.live_wire import PINGS, Place, ended, greeted
from apps.providers.live_words import Said
from apps.voice.ports import ProviderError

OWN = "https://streaming.assemblyai.com"
_DEFAULT = "universal-3-6-pro"
# A turn's last word ends about as much before the silence that our detector reports.
_TAIL_S = 0.5
_MOST_TERMS, _LONGEST_TERM = 100, 50

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="assemblyai",
        title="AssemblyAI",
        description="AssemblyAI by streaming, with its own sense of when a turn is over.",
        models=("universal-3-6-pro", "universal-3-5-pro")
        + ("universal-streaming-english", "universal-streaming-multilingual"),
        open_models=True,
        default_model=_DEFAULT,
        options=(
            Option("keyterms", "array", "Words to expect: names, products. At most 100."),
            Option(
                "endpointing",
                "string",
                "Who says that a turn is over: AssemblyAI, or silence alone.",
                default="vendor",
                choices=("vendor", "ours"),
            ),
        ),
        needs_key=True,
        factory="apps.providers.assemblyai:AssemblyAiEars",
        billing="stream",
        base_url=OWN,
        source="assemblyai.com/docs/streaming, read 26 November 2026",
        limits=(
            "universal-streaming-english hears English only, and the multilingual one finds the "
            "language itself; the Universal-3 models take it as a hint.",
            "The key's origin and that of the streams differ: base_url moves the streams alone.",
        ),
    ),
)


class AssemblyAiEars(LiveEars):
    """AssemblyAI behind ``voice.ports.Transcriber``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, AssemblyAiWire(settings))


class AssemblyAiWire:
    """``/v3/ws``: turns, each with its words so far."""

    whole = True
    early = False
    regular = False
    chunk = 480
    least, most = 400, 8_000  # it refuses messages of less than 50 ms and of more than 1,000
    idle_s = 0.0  # without inactivity_timeout, nothing closes an idle session
    nothing_s: float | None = 1.0

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._name = settings.provider
        self.endpoints = settings.options.get("endpointing") != "ours"
        self._turns_over = -1

    async def connect(self, patience_s: float) -> ClientConnection:
        key = failures.key_of(self._name, self._settings.secrets)
        url = f"{self._settings.url(OWN)}/v3/ws?{urlencode(self._query())}"
        headers = {"Authorization": key}
        socket = await connections.socket(self._name, url, headers, patience_s=patience_s, **PINGS)
        first = await greeted(self._name, socket, patience_s, close=self.closed)
        self._turns_over = -1
        if first.get("type") != "Begin":
            await connections.hung_up(socket)
            raise self._refusal(first)
        return socket

    def _query(self) -> dict[str, str]:
        settings = self._settings
        model = settings.model or _DEFAULT
        query = {
            "speech_model": model,
            "sample_rate": "8000",
            "encoding": "pcm_mulaw",
            # Formatted words come a second time, later; models read the plain ones as well.
            "format_turns": "false",
        }
        terms = [term[:_LONGEST_TERM] for term in settings.options.get("keyterms") or ()]
        if terms:
            query["keyterms_prompt"] = orjson.dumps(terms[:_MOST_TERMS]).decode()
        language = settings.language.partition("-")[0].lower()
        if language not in ("", "multi") and model.startswith(("universal-3", "u3-")):
            query["language_codes"] = orjson.dumps([language]).decode()
        return query

    def audio(self, piece: bytes) -> bytes | str:
        return piece

    def flush(self, ticket: int) -> str:
        return '{"type":"ForceEndpoint"}'

    def idle(self) -> bytes | str:
        return '{"type":"KeepAlive"}'

    def goodbye(self) -> str:
        return '{"type":"Terminate"}'

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        if data["type"] == "Error":
            raise self._refusal(data)
        if data["type"] != "Turn" or data["turn_order"] <= self._turns_over:
            return None
        words = data["words"]
        over = bool(data["end_of_turn"])
        if over:
            self._turns_over = data["turn_order"]
        # ``transcript`` leaves out the words that may still change.
        text = data["transcript"] if over else " ".join(word["text"] for word in words)
        end_s = words[-1]["end"] / 1_000 if words else None
        return Said(
            str(text).strip(),
            over,
            place(words[0]["start"] / 1_000) if words else None,
            place(end_s) if end_s is not None else None,
            place(end_s + _TAIL_S) if over and end_s is not None else None,
            flushed=over and not text,
            turn_over=over,
        )

    def closed(self, code: int, reason: str) -> ProviderError:
        return self._refusal({"error_code": code, "error": reason})

    def _refusal(self, data: dict[str, Any]) -> ProviderError:
        code, told = data.get("error_code"), str(data.get("error", "")).lower()
        code = code if isinstance(code, int) else 0
        if code in (3009, 4002, 4003, 4029, 4102) or any(
            word in told for word in ("balance", "funds", "concurrent")
        ):
            return ProviderError(self._name, f"has no credit left ({code})", reason="quota")
        if code in (1008, 4001):
            return ProviderError(self._name, f"refuses the key ({code})", reason="auth")
        if code == 3006:
            return ProviderError(self._name, f"refuses the request ({code})", reason="bad_request")
        return ended(self._name, code)
