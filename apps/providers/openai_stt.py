"""OpenAI's speech-to-text: a realtime transcription session, without any answers.

Utterances alone are sent, each with 1.5 s before its mark so that no first word is lost. OpenAI
transcribes what is committed, whole and at once: silence in it costs money, and its models hear
words in silence. So it counts speech. Turn detection stays off; ``finish`` commits.
"""

from __future__ import annotations

import base64
from collections import deque
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.providers import connections, failures
from apps.providers.base import Declaration, Option, ServiceSettings
from apps.providers.live_ears import LiveEars
from apps.providers.live_wire import PINGS, Place, ended, greeted
from apps.providers.live_words import Said
from apps.voice.ports import ProviderError

OWN = "https://api.openai.com"
_DEFAULT = "gpt-live-transcribe"
# These take several languages and a list of words; those before one language, and a prompt.
_NEWER = ("gpt-live-transcribe", "gpt-transcribe")
_PROMPTLESS = ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize")
_TRANSCRIPTION = "conversation.item.input_audio_transcription."

DECLARATIONS = (
    Declaration(
        kind="stt",
        name="openai_stt",
        title="OpenAI transcription",
        description="OpenAI's transcription models in a realtime session.",
        models=("gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper")
        + ("gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1"),
        open_models=True,
        default_model=_DEFAULT,
        options=(Option("keyterms", "array", "Words to expect: names, products."),),
        needs_key=True,
        factory="apps.providers.openai_stt:OpenAiEars",
        billing="speech",
        base_url=OWN,
        source="developers.openai.com/api (realtime transcription), read 26 November 2026",
        limits=(
            "gpt-4o-transcribe, gpt-4o-mini-transcribe and whisper-1 begin when the caller is "
            "done, and are to be shut down on 26 February 2027.",
            "gpt-realtime-whisper takes no words to expect.",
        ),
    ),
)


class OpenAiEars(LiveEars):
    """OpenAI behind ``voice.ports.Transcriber``."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, OpenAiWire(settings))


class OpenAiWire:
    """``/v1/realtime?intent=transcription``: an item for each commit, transcripts in any order."""

    whole = False
    early = False
    endpoints = False
    regular = False
    chunk = 640
    least, most = 0, 8_000
    idle_s = 0.0
    nothing_s: float | None = None

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._name = settings.provider
        self._commits: deque[int] = deque()
        self._tickets: dict[str, int] = {}
        self._so_far: dict[str, str] = {}

    async def connect(self, patience_s: float) -> ClientConnection:
        key = failures.key_of(self._name, self._settings.secrets)
        url = f"{self._settings.url(OWN)}/v1/realtime?intent=transcription"
        headers = {"Authorization": f"Bearer {key}"}
        socket = await connections.socket(self._name, url, headers, patience_s=patience_s, **PINGS)
        self._commits.clear()
        self._tickets.clear()
        self._so_far.clear()
        await self._expect(socket, "session.created", patience_s)
        try:
            await socket.send(orjson.dumps(self._session()).decode())
        except ConnectionClosed as exc:
            raise failures.lost(self._name, exc) from None
        await self._expect(socket, "session.updated", patience_s)
        return socket

    async def _expect(self, socket: ClientConnection, kind: str, patience_s: float) -> None:
        found = await greeted(self._name, socket, patience_s, close=self.closed)
        if found.get("type") != kind:
            await connections.hung_up(socket)
            raise self._refusal(found)

    def _session(self) -> dict[str, Any]:
        settings = self._settings
        model = settings.model or _DEFAULT
        transcription: dict[str, Any] = {"model": model}
        language = settings.language.partition("-")[0].lower()
        terms = list(settings.options.get("keyterms") or ())
        newer = model.startswith(_NEWER)
        if language not in ("", "multi"):
            transcription |= {"languages": [language]} if newer else {"language": language}
        if terms and newer:
            transcription["keywords"] = terms
        elif terms and not model.startswith(_PROMPTLESS):
            transcription["prompt"] = ", ".join(terms)
        audio = {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": transcription,
                "turn_detection": None,
            }
        }
        return {"type": "session.update", "session": {"type": "transcription", "audio": audio}}

    def audio(self, piece: bytes) -> bytes | str:
        sound = base64.b64encode(piece).decode()
        return f'{{"type":"input_audio_buffer.append","audio":"{sound}"}}'

    def flush(self, ticket: int) -> str:
        self._commits.append(ticket)
        return '{"type":"input_audio_buffer.commit"}'

    def idle(self) -> bytes | str:
        return ""

    def goodbye(self) -> str:
        return ""

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        kind = data["type"]
        if kind == "error":
            return self._error(data)
        if kind == "input_audio_buffer.committed":
            self._tickets[data["item_id"]] = self._commits.popleft()
        elif kind == _TRANSCRIPTION + "delta":
            item = data["item_id"]
            so_far = self._so_far[item] = self._so_far.get(item, "") + data.get("delta", "")
            return Said(so_far.strip(), ticket=self._tickets.get(item))
        elif kind == _TRANSCRIPTION + "completed":
            text = str(data["transcript"]).strip()
            return Said(text, True, flushed=True, ticket=self._ticket(data))
        elif kind == _TRANSCRIPTION + "failed":
            error = self._refusal(data)
            return Said(final=True, flushed=True, ticket=self._ticket(data), error=error)
        return None

    def _ticket(self, data: dict[str, Any]) -> int:
        self._so_far.pop(data["item_id"], None)
        return self._tickets.pop(data["item_id"])

    def _error(self, data: dict[str, Any]) -> Said:
        code = failures.code_of(data)
        if code == "input_audio_buffer_commit_empty" and self._commits:
            return Said(final=True, flushed=True, ticket=self._commits.popleft())
        raise self._refusal(data)

    def closed(self, code: int, reason: str) -> ProviderError:
        return ended(self._name, code)

    def _refusal(self, data: dict[str, Any]) -> ProviderError:
        error = data.get("error")
        kind = error.get("type") if isinstance(error, dict) else ""
        code = failures.code_of(data)
        if code in ("invalid_api_key", "insufficient_quota", "rate_limit_exceeded"):
            status = {"invalid_api_key": 401, "insufficient_quota": 402}.get(code, 429)
            return failures.status_error(self._name, status, code=code)
        if kind == "invalid_request_error" and code != "session_expired":
            message = f"refuses the request ({code})" if code else "refuses the request"
            return ProviderError(self._name, message, reason="bad_request")
        return ended(self._name, code)
