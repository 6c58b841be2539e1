"""Cartesia's text-to-speech WebSocket, as strict as the original.

Written from docs.cartesia.ai, read on 26 November 2026: the WebSocket reference of version
2026-03-01, contexts, context flushing and flush ids, buffering, concurrency and timeouts, API
errors, API conventions, volume-speed-emotion, and the types of Cartesia's Python SDK 4.0. Not to be
found there: the error code for an unknown voice, and what is said to an input that comes after its
context has expired ("not supported"); both are answered with 400 here. Whether the times of words
count from the beginning of their context is not said either: it is what clients take them for.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

from tests.vendors.kinds import VoiceStandIn
from tests.vendors.serving import KEY, Cut, FaultKind, Socket

VOICE = "f786b574-daa5-4673-aa0c-cbe3e8534c02"
MODELS = {"sonic-3.5", "sonic-3", "sonic-latest", "sonic-2", "sonic-turbo"}
VERSIONS = {"2024-11-13", "2025-04-16", "2026-03-01", "2026-08-14"}
ENCODINGS = {"pcm_f32le", "pcm_s16le", "pcm_mulaw", "pcm_alaw"}
RATES = {8000, 16000, 22050, 24000, 44100, 48000}
EMOTIONS = re.compile(
    "neutral|happy|excited|enthusiastic|elated|euphoric|triumphant|amazed|surprised|flirtatious"
    "|curious|content|peaceful|serene|calm|grateful|affectionate|trust|sympathetic|anticipation"
    "|mysterious|angry|mad|outraged|frustrated|agitated|threatened|disgusted|contempt|envious"
    "|sarcastic|ironic|sad|dejected|melancholic|disappointed|hurt|guilty|bored|tired|rejected"
    "|nostalgic|wistful|apologetic|hesitant|insecure|confused|resigned|anxious|panicked|alarmed"
    "|scared|proud|confident|distant|skeptical|contemplative|determined"
)
# What may differ between the inputs of one context.
VARIES = {"transcript", "continue", "duration", "flush"}
TYPES: dict[str, type | tuple[type, ...]] = {
    "model_id": str,
    "transcript": str,
    "voice": dict,
    "output_format": dict,
    "context_id": str,
    "language": str,
    "continue": bool,
    "flush": bool,
    "max_buffer_delay_ms": int,
    "add_timestamps": bool,
    "add_phoneme_timestamps": bool,
    "use_normalized_timestamps": bool,
    "generation_config": dict,
    "pronunciation_dict_id": str,
    "speed": str,
    "duration": (int, float),
}
REQUIRED = ("model_id", "transcript", "voice", "output_format", "context_id")


class Refused(Exception):
    """What is asked is refused, on a connection that stays."""

    def __init__(self, status: int, code: str | None, why: str) -> None:
        super().__init__(why)
        self.status, self.code = status, code


class Context:
    """A stretch of speech whose inputs belong together."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.fixed = {k: v for k, v in request.items() if k not in VARIES}
        self.text = ""
        self.buffer = ""
        self.flushes = 0
        self.ms = 0.0
        self.fault: FaultKind = "none"
        self.over = False
        self.generation: asyncio.Task[None] | None = None
        self.expiry: asyncio.Task[None] | None = None


class CartesiaStandIn(VoiceStandIn):
    """concurrency: how many contexts may be active. expires_s: when an idle context ends.
    ends_twice: whether an input ends of its own accord and once more by its flush, as with custom
    buffering; the second comes when the next input has been taken. times_from_sentence: whether
    words' times begin anew with each input.

    requests: every generation request, as it came. refuses: what the next sentences are told
    inside the socket, if set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.concurrency = 3
        self.expires_s = 1.0
        self.ends_twice = False
        self.times_from_sentence = False
        self.requests: list[dict[str, Any]] = []
        self.refuses: Refused | None = None

    async def socket(self, socket: Socket) -> None:
        status = self._handshake(socket)
        if self.fault.kind == "status" and self.next_fault() == "status":
            status = self.fault.status
        if status:
            body = {"error_code": None, "title": "Refused", "message": "", "request_id": "0"}
            await socket.refuse(status, json.dumps(body).encode())
            return
        await socket.accept()
        try:
            async with asyncio.TaskGroup() as group:
                await Connection(self, socket, group).serve()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None

    def _handshake(self, socket: Socket) -> int:
        seen = socket.seen
        version = seen.query.get("cartesia_version") or seen.headers.get("cartesia-version")
        sent = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if seen.path != "/tts/websocket":
            return 404
        if KEY not in (sent, seen.headers.get("x-api-key")):
            return 401
        if version not in VERSIONS or set(seen.query) - {"cartesia_version"}:
            self.refuse(f"version {version}, query {dict(seen.query)}")
            return 400
        return 0


class Connection:
    """One WebSocket and the contexts on it."""

    def __init__(self, vendor: CartesiaStandIn, socket: Socket, group: asyncio.TaskGroup) -> None:
        self._vendor, self._socket, self._group = vendor, socket, group
        self._contexts: dict[str, Context] = {}

    async def serve(self) -> None:
        while True:
            raw = await self._socket.receive()
            context_id = None
            try:
                message = json.loads(raw) if isinstance(raw, str) else None
                if not isinstance(message, dict):
                    raise Refused(400, None, "not a JSON object in a text message")
                context_id = message.get("context_id")
                self._take(message)
            except (Refused, json.JSONDecodeError) as refused:
                await self._error(context_id, refused)

    def _take(self, message: dict[str, Any]) -> None:
        if "cancel" in message:
            if set(message) != {"context_id", "cancel"} or message["cancel"] is not True:
                raise Refused(400, None, "a cancel request has context_id and cancel: true")
            self._cancel(str(message["context_id"]))
            return
        check(message)
        self._vendor.requests.append(message)
        context = self._context(message)
        text = message["transcript"]
        if text.strip():
            self._vendor.spoken.append(text.strip())
            self._vendor.asked.append((message["voice"]["id"], message["model_id"]))
            context.fault = self._vendor.next_fault()
            if self._vendor.refuses is not None:
                context.over = True
                raise self._vendor.refuses
        if context.text and text and not (context.text[-1].isspace() or text[0].isspace()):
            raise Refused(400, None, "sentences of a context run into each other")
        context.text += text
        context.buffer += text
        if message.get("flush") or not message.get("continue"):
            self._generate(context, last=not message.get("continue"))

    def _context(self, message: dict[str, Any]) -> Context:
        """Find or begin the context of a request."""
        context = self._contexts.get(message["context_id"])
        if context is None:
            active = [c for c in self._contexts.values() if not c.over]
            if len(active) >= self._vendor.concurrency:
                raise Refused(429, "concurrency_limited", "too many contexts are active")
            context = self._contexts[message["context_id"]] = Context(message)
        if context.over:
            raise Refused(400, None, "this context has expired")
        if context.fixed != {k: v for k, v in message.items() if k not in VARIES}:
            raise Refused(400, None, "the inputs of a context must keep their fields")
        if context.expiry is not None:
            context.expiry.cancel()
        return context

    def _cancel(self, context_id: str) -> None:
        """Drop what has not begun; what is being generated goes on to its end, as documented."""
        self._vendor.cancels += 1
        context = self._contexts.get(context_id)
        if context is not None:
            context.over = True
            context.buffer = ""

    def _generate(self, context: Context, *, last: bool) -> None:
        text, context.buffer = context.buffer, ""
        before = context.generation
        context.flushes += 1
        work = self._answer(context, text, (context.flushes, before, last))
        context.generation = self._group.create_task(work)

    async def _answer(
        self, context: Context, text: str, place: tuple[int, asyncio.Task[None] | None, bool]
    ) -> None:
        flush_id, before, last = place
        if before is not None:
            await before
        await self._vendor.before_first()
        fault = context.fault
        if fault == "mute":
            return
        if fault == "garbage":
            await self._socket.send(b"\x00\xfe<html>")
            return
        if fault == "error_body":
            context.over = True
            raised = Refused(500, None, "an error on purpose")
            await self._error(context.fixed["context_id"], raised, noted=False)
            return
        if self._vendor.ends_twice and flush_id > 1:
            await self._say(context, "flush_done", flush_id=flush_id - 1, flush_done=True)
        if fault != "empty" and text.strip():
            await self._sound(context, text.strip(), flush_id)
        if last:
            await self._done(context)
        else:
            more = {"flush_id": flush_id, "flush_done": True}
            await self._say(context, "flush_done", **more)
            context.expiry = self._group.create_task(self._expire(context))

    async def _sound(self, context: Context, text: str, flush_id: int) -> None:
        for n, piece in enumerate(self._vendor.mulaw(text, context.fault)):
            data = base64.b64encode(piece).decode()
            await self._say(context, "chunk", data=data, step_time=8.5, flush_id=flush_id)
            if n == 0:
                await self._times(context, text, flush_id)
                await self._vendor.after_first()
            if n == 2 and context.fault == "cut":
                raise Cut

    async def _times(self, context: Context, text: str, flush_id: int) -> None:
        if not context.fixed.get("add_timestamps"):
            return
        step = self._vendor.MS_PER_CHARACTER
        if self._vendor.times_from_sentence:
            context.ms = 0.0
        found = list(re.finditer(r"\S+", text))
        for few in (found[:3], found[3:]):
            if few:
                times = {
                    "words": [word[0] for word in few],
                    "start": [(context.ms + word.start() * step) / 1_000 for word in few],
                    "end": [(context.ms + word.end() * step) / 1_000 for word in few],
                }
                await self._say(context, "timestamps", word_timestamps=times, flush_id=flush_id)
        context.ms += len(text) * step

    async def _expire(self, context: Context) -> None:
        await asyncio.sleep(self._vendor.expires_s)
        await self._done(context)

    async def _done(self, context: Context) -> None:
        context.over = True
        await self._say(context, "done", done=True)

    async def _say(self, context: Context, type_: str, **more: Any) -> None:
        common = {"type": type_, "done": False, "status_code": 206}
        await self._socket.send({**common, "context_id": context.fixed["context_id"], **more})

    async def _error(self, context_id: Any, why: Exception, *, noted: bool = True) -> None:
        if noted and why is not self._vendor.refuses:
            self._vendor.refuse(str(why))
        message = {
            "type": "error",
            "done": True,
            "status_code": why.status if isinstance(why, Refused) else 400,
            "error_code": why.code if isinstance(why, Refused) else None,
            "title": "Refused",
            "message": f"{why} {KEY}",
            "request_id": "550e8400-e29b-41d4-a716-446655440000",
        }
        await self._socket.send(
            message if context_id is None else {**message, "context_id": context_id}
        )


def check(message: dict[str, Any]) -> None:
    """Refuse a generation request that the vendor would refuse."""
    for name in REQUIRED:
        if name not in message:
            raise Refused(400, None, f"{name} is missing")
    for name, value in message.items():
        wanted = TYPES.get(name)
        if wanted is None or not isinstance(value, wanted):
            raise Refused(400, None, f"{name} is unknown or of the wrong type")
    _check_model(message)
    _check_format(message["output_format"])
    _check_controls(message)


def _check_model(message: dict[str, Any]) -> None:
    if message["model_id"] not in MODELS:
        raise Refused(400, "model_not_found", "no such model")
    if set(message["voice"]) != {"mode", "id"} or message["voice"]["mode"] != "id":
        raise Refused(400, None, "voice: mode and id")
    if message["voice"]["id"] != VOICE:
        raise Refused(400, "voice_not_found", "no such voice")
    if message.get("flush") and (message["transcript"] or not message.get("continue")):
        raise Refused(400, None, "a manual flush has an empty transcript and continues")
    if not 0 <= message.get("max_buffer_delay_ms", 0) <= 5_000:
        raise Refused(400, None, "max_buffer_delay_ms")
    if not re.fullmatch("[a-z]{2}", message.get("language", "en")):
        raise Refused(400, None, "language")


def _check_format(form: dict[str, Any]) -> None:
    if set(form) != {"container", "encoding", "sample_rate"} or form["container"] != "raw":
        raise Refused(400, None, "output_format")
    if form["encoding"] not in ENCODINGS or form["sample_rate"] not in RATES:
        raise Refused(400, None, "output_format")
    if (form["encoding"], form["sample_rate"]) != ("pcm_mulaw", 8000):
        raise Refused(400, None, "this stand-in makes mu-law 8 kHz only")


def _check_controls(message: dict[str, Any]) -> None:
    if message.get("speed", "normal") not in ("slow", "normal", "fast"):
        raise Refused(400, None, "speed")
    controls = message.get("generation_config", {})
    if set(controls) - {"speed", "volume", "emotion"}:
        raise Refused(400, None, "generation_config")
    if not 0.6 <= controls.get("speed", 1.0) <= 1.5:
        raise Refused(400, None, "generation_config.speed")
    if not EMOTIONS.fullmatch(controls.get("emotion", "neutral")):
        raise Refused(400, None, "generation_config.emotion")
