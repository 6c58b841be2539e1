"""Gladia's live speech-to-text (v2): a session by HTTP, then a WebSocket at the URL it names.

All of the caller's audio is streamed: Gladia finds the utterances in it, and has no message that
asks for the final words at once. Its own endpointing is set short instead, and the pieces are put
together here. It counts the seconds of audio sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection

from apps.providers import connections, failures
from apps.providers.base import Declaration, Option, ServiceSettings
from apps.providers.live_ears import LiveEars
from apps.providers.live_wire import PINGS, Place, ended
from apps.providers.live_words import Said
from apps.voice.ports import ProviderError

OWN = "https://api.gladia.io"
_DEFAULT = "solaria-1"
_ENDPOINTING_S = 0.1
# An utterance's end is where its last word ends; the silence that our detector reports comes later.
_TAIL_S = 0.3

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="gladia",
        title="Gladia",
        description="Gladia by streaming (Solaria).",
        models=("solaria-1",),
        open_models=True,
        options=(Option("keyterms", "array", "Words to expect: names, products."),),
        needs_key=True,
        factory="apps.providers.gladia:GladiaEars",
        billing="stream",
        base_url=OWN,
        source="docs.gladia.io (api-reference/v2/live), read 26 November 2026",
        limits=(
            "Final words cannot be asked for: they come when Gladia has heard 0.1 s of silence.",
            "A broken connection gets a new session; the old one ends by itself at Gladia's.",
        ),
    ),
)


class GladiaEars(LiveEars):
    """Gladia behind ``voice.ports.Transcriber``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, GladiaWire(settings))


class GladiaWire:
    """The live WebSocket: partial and final transcripts of what Gladia takes for utterances."""

    whole = True
    early = False
    endpoints = False
    regular = False
    chunk = 320
    least, most = 0, 8_000
    idle_s = 0.0
    nothing_s: float | None = 0.8

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._name = settings.provider

    async def connect(self, patience_s: float) -> ClientConnection:
        key = failures.key_of(self._name, self._settings.secrets)
        try:
            async with asyncio.timeout(patience_s):
                url = await self._session(key)
        except (TimeoutError, httpx.HTTPError) as exc:
            raise failures.lost(self._name, exc) from None
        # The URL holds the session's token; the key is not sent again.
        return await connections.socket(self._name, url, {}, patience_s=patience_s, **PINGS)

    async def _session(self, key: str) -> str:
        """Open a session and return its WebSocket's URL. Raises ProviderError, httpx's errors."""
        headers = {"x-gladia-key": key, "content-type": "application/json"}
        url = f"{self._settings.url(OWN)}/v2/live"
        body = orjson.dumps(self._request())
        try:
            answer = await connections.http().post(url, content=body, headers=headers)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # A connection that was kept may have been closed meanwhile; a session costs nothing.
            answer = await connections.http().post(url, content=body, headers=headers)
        if answer.status_code not in (200, 201):
            raise failures.status_error(self._name, answer.status_code)
        try:
            found = str(orjson.loads(answer.content)["url"])
        except (ValueError, LookupError, TypeError):
            raise failures.unreadable(self._name) from None
        if not found.startswith(("ws://", "wss://")):
            raise failures.unreadable(self._name)
        return found

    def _request(self) -> dict[str, Any]:
        settings = self._settings
        language = settings.language.partition("-")[0].lower()
        one = language not in ("", "multi")
        request: dict[str, Any] = {
            "encoding": "wav/ulaw",
            "bit_depth": 8,
            "sample_rate": 8_000,
            "channels": 1,
            "model": settings.model or _DEFAULT,
            "endpointing": _ENDPOINTING_S,
            "language_config": {
                "languages": [language] if one else [],
                "code_switching": language == "multi",
            },
            "messages_config": {
                "receive_partial_transcripts": True,
                "receive_final_transcripts": True,
                "receive_speech_events": False,
                "receive_pre_processing_events": False,
                "receive_realtime_processing_events": False,
                "receive_post_processing_events": False,
                "receive_acknowledgments": False,
                "receive_errors": True,
                "receive_lifecycle_events": False,
            },
        }
        terms = list(settings.options.get("keyterms") or ())
        if terms:
            request["realtime_processing"] = {
                "custom_vocabulary": True,
                "custom_vocabulary_config": {"vocabulary": terms},
            }
        return request

    def audio(self, piece: bytes) -> bytes | str:
        return piece

    def flush(self, ticket: int) -> str:
        return ""

    def idle(self) -> bytes | str:
        return ""

    def goodbye(self) -> str:
        return '{"type":"stop_recording"}'

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        if data["type"] != "transcript":
            return None
        found = data["data"]["utterance"]
        text = str(found["text"]).strip()
        if not text:
            return None
        final = bool(data["data"]["is_final"])
        return Said(
            text,
            final,
            place(found["start"]),
            place(found["end"]),
            place(found["end"] + _TAIL_S) if final else None,
        )

    def closed(self, code: int, reason: str) -> ProviderError:
        return ended(self._name, code)
