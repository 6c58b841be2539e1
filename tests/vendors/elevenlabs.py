"""ElevenLabs' multi-context text-to-speech WebSocket, as strict as the original.

Written from elevenlabs.io/docs, read on 26 November 2026: the reference of
/v1/text-to-speech/{voice_id}/multi-stream-input and its AsyncAPI document, the guide to
multi-context WebSockets, models, error messages, and the types of ElevenLabs' Python SDK (July
2026). Not to be found there, and taken from reports of clients' authors: the form of an error
inside the socket (``message``, ``error``, ``code``, then a close with that code: elevenlabs-python
issue 167, pipecat issue 4114); that ``isFinal`` comes for a closed context only, never for a flush
(bolna pull request 790, tried against the vendor); that a wrong key is told inside the socket.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from tests.vendors.kinds import VoiceStandIn
from tests.vendors.serving import KEY, Cut, FaultKind, Socket

VOICE = "JBFqnCBsd6RMkjVDRZzb"
MODELS = {"eleven_flash_v2_5", "eleven_flash_v2", "eleven_turbo_v2_5", "eleven_multilingual_v2"}
CONTEXTS = 5
QUERY = {
    "authorization": str,
    "model_id": str,
    "language_code": str,
    "enable_logging": bool,
    "enable_ssml_parsing": bool,
    "output_format": str,
    "inactivity_timeout": int,
    "sync_alignment": bool,
    "auto_mode": bool,
    "apply_text_normalization": str,
    "seed": int,
}
FIELDS: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "context_id": str,
    "voice_settings": dict,
    "generation_config": dict,
    "pronunciation_dictionary_locators": list,
    "flush": bool,
    "close_context": bool,
    "close_socket": bool,
}
RANGES = {
    "stability": (0.0, 1.0),
    "similarity_boost": (0.0, 1.0),
    "style": (0.0, 1.0),
    "speed": (0.7, 1.2),
    "use_speaker_boost": (False, True),
}


class Refused(Exception):
    """What is asked is refused, and the socket closed."""

    def __init__(self, error: str, why: str, code: int = 1008) -> None:
        super().__init__(why)
        self.error, self.code = error, code


class Context:
    """A stretch of speech."""

    def __init__(self) -> None:
        self.buffer = ""
        self.fault: FaultKind = "none"
        self.closing = False
        self.generation: asyncio.Task[None] | None = None


class ElevenLabsStandIn(VoiceStandIn):
    """snake_case: names the context as the documentation does not. absolute: whether letters'
    times count from the sentence's beginning. refuses: what the next sentences are told.

    settings: the voice settings of each context, as they came. most: contexts open at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.snake_case = False
        self.absolute = False
        self.refuses: Refused | None = None
        self.settings: list[dict[str, Any]] = []
        self.most = 0

    async def socket(self, socket: Socket) -> None:
        status = self._path(socket)
        if self.fault.kind == "status" and self.next_fault() == "status":
            status = self.fault.status
        if status:
            detail = {"status": "refused", "message": "refused"}
            await socket.refuse(status, json.dumps({"detail": detail}).encode())
            return
        await socket.accept()
        try:
            async with asyncio.TaskGroup() as group:
                await Connection(self, socket, group).serve()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None

    def _path(self, socket: Socket) -> int:
        parts = socket.seen.path.split("/")
        if parts[:3] != ["", "v1", "text-to-speech"] or parts[4:] != ["multi-stream-input"]:
            return 404
        for name, value in socket.seen.query.items():
            kind = QUERY.get(name)
            if kind is None or (kind is bool and value not in ("true", "false")):
                self.refuse(f"query: {name}")
                return 400
        return 0


class Connection:
    """One WebSocket and the contexts on it."""

    def __init__(self, vendor: ElevenLabsStandIn, socket: Socket, group: asyncio.TaskGroup) -> None:
        self._vendor, self._socket, self._group = vendor, socket, group
        self._contexts: dict[str, Context] = {}
        self._query = socket.seen.query

    async def serve(self) -> None:
        while True:
            try:
                raw = await self._socket.receive()
                message = json.loads(raw) if isinstance(raw, str) else None
                if not isinstance(message, dict):
                    raise Refused("invalid_input_message", "not a JSON object in a text message")
                self._check_connection()
                if message.get("close_socket"):
                    await self._socket.close()
                    return
                self._take(message)
            except Refused as refused:
                await self._refuse(refused)
                return

    def _check_connection(self) -> None:
        if self._socket.seen.headers.get("xi-api-key") != KEY:
            raise Refused("invalid_api_key", f"the key {KEY} is not valid")
        query = self._query
        if self._socket.seen.path.split("/")[3] != VOICE:
            raise Refused("voice_not_found", "no such voice")
        if query.get("model_id") not in MODELS:
            raise Refused("model_not_found", "no such model, or not for several contexts")
        if query.get("output_format") != "ulaw_8000":
            raise Refused("invalid_output_format", "this stand-in makes ulaw_8000 only")
        if not 1 <= int(query.get("inactivity_timeout", "20")) <= 180:
            raise Refused("invalid_parameters", "inactivity_timeout is up to 180")
        if "language_code" in query and not query["model_id"].endswith("_v2_5"):
            raise Refused("unsupported_language", "this model takes no language_code")

    def _take(self, message: dict[str, Any]) -> None:
        for name, value in message.items():
            wanted = FIELDS.get(name)
            if wanted is None or not isinstance(value, wanted):
                raise Refused("invalid_input_message", f"{name} is unknown or of the wrong type")
        context_id = message.get("context_id", "default")
        context = self._context(context_id, message)
        if message.get("close_context"):
            context.closing = True
            work = self._finish(context_id, context)
            self._group.create_task(work)
            return
        text = message.get("text", "")
        if text and not text.endswith(" "):
            raise Refused("invalid_input_message", "text should end with a space")
        if text.strip():
            self._begin(context, text)
        context.buffer += text
        if message.get("flush"):
            self._flush(context_id, context)

    def _context(self, context_id: str, message: dict[str, Any]) -> Context:
        """Find or begin the context of a message."""
        context = self._contexts.get(context_id)
        if context is not None:
            if context.closing:
                raise Refused("invalid_input_message", "text after the close of a context")
            if "voice_settings" in message:
                raise Refused("invalid_input_message", "voice_settings: first message only")
            return context
        if message.get("text") != " ":
            raise Refused("invalid_input_message", "a context begins with a single space")
        if len(self._contexts) >= CONTEXTS:
            why = f"Maximum simultaneous contexts per WebSocket connection exceeded ({CONTEXTS})"
            raise Refused("max_active_conversations", why)
        settings = message.get("voice_settings", {})
        for name, value in settings.items():
            low, high = RANGES.get(name, (1, 0))
            if isinstance(low, bool) != isinstance(value, bool) or not low <= value <= high:
                raise Refused("invalid_voice_settings", name)
        self._vendor.settings.append(settings)
        self._contexts[context_id] = context = Context()
        self._vendor.most = max(self._vendor.most, len(self._contexts))
        return context

    def _begin(self, context: Context, text: str) -> None:
        self._vendor.spoken.append(text.strip())
        self._vendor.asked.append((VOICE, self._query["model_id"]))
        context.fault = self._vendor.next_fault()
        if self._vendor.refuses is not None:
            raise self._vendor.refuses

    def _flush(self, context_id: str, context: Context) -> None:
        text, context.buffer = context.buffer.strip(), ""
        if text:
            before = context.generation
            work = self._answer(context_id, context, text, before)
            context.generation = self._group.create_task(work)

    async def _finish(self, context_id: str, context: Context) -> None:
        """End a closed context. What was flushed before goes on to its end, as documented."""
        if context.generation is not None:
            await context.generation
        self._contexts.pop(context_id, None)
        if context.fault != "mute":
            await self._say(context_id, audio=None, isFinal=True)

    async def _answer(
        self, context_id: str, context: Context, text: str, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await before
        await self._vendor.before_first()
        fault = context.fault
        if fault == "garbage":
            await self._socket.send(b"\x00\xfe<html>")
        if fault == "error_body":
            await self._refuse(Refused("internal_error", "an error on purpose", 1011), noted=False)
        if fault in ("none", "cut", "silence"):
            await self._sound(context_id, text, fault)

    async def _sound(self, context_id: str, text: str, fault: FaultKind) -> None:
        before = 0.0
        for n, piece in enumerate(self._vendor.mulaw(text, fault)):
            ms = len(piece) / 8
            letters = self._letters(text, before, ms)
            before += ms
            data = base64.b64encode(piece).decode()
            await self._say(
                context_id, audio=data, isFinal=None, alignment=letters, normalizedAlignment=letters
            )
            if n == 0:
                await self._vendor.after_first()
            if n == 2 and fault == "cut":
                raise Cut

    def _letters(self, text: str, before: float, ms: float) -> dict[str, Any] | None:
        """Return the letters that begin in a chunk of sound, with their times."""
        if self._query.get("sync_alignment") != "true":
            return None
        step = self._vendor.MS_PER_CHARACTER
        here = [i for i in range(len(text)) if before <= i * step < before + ms]
        if not here:
            return None
        origin = 0.0 if self._vendor.absolute else before
        return {
            "chars": [text[i] for i in here],
            "charStartTimesMs": [round(i * step - origin) for i in here],
            "charDurationsMs": [step for _ in here],
        }

    async def _say(self, context_id: str, **message: Any) -> None:
        name = "context_id" if self._vendor.snake_case else "contextId"
        await self._socket.send({**message, name: context_id})

    async def _refuse(self, refused: Refused, *, noted: bool = True) -> None:
        if noted and refused is not self._vendor.refuses:
            self._vendor.refuse(f"{refused.error}: {refused}")
        await self._socket.send(
            {"message": str(refused), "error": refused.error, "code": refused.code}
        )
        await self._socket.close(refused.code, str(refused)[:100])
