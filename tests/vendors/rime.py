"""Rime's text-to-speech, as strict as the original: its WebSocket v1, and streaming HTTP.

Written on 26 November 2026 from docs.rime.ai (Coda WebSocket API, Mist v3 WebSocket API, Error
reference, Playback speed, Streaming HTTP of Mist v2, Move from Mist v1 or v2, the voice catalogue)
and from Rime's own schema of the protocol (rimelabs/rime-api: text_to_speech.proto and
text_to_speech.asyncapi.yaml, fixtures.json). The pages of the WebSocket could be read in part only.
Not known, and so not checked: how many contexts may be open, how long a text may be, when an idle
connection is closed, whether a language with a region (en-US) is taken (here it is not), and the
type of an answer over HTTP (here the one that was asked for). Rime ignores fields that it does not
know; here they are refused, for they would be slips.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from tests.vendors.serving import KEY, Cut, Exchange, FaultKind, Socket
from tests.vendors.speech_over_http import HttpVoiceStandIn

VOICE = "lyra"
PROTOCOL = "rime.v1.json"
# A voice speaks one language; of the catalogue only what the tests ask for.
VOICES = {"lyra": "en", "astra": "en", "cove": "en", "eva": "en", "lorelei": "de"}
START: dict[str, type | tuple[type, ...]] = {
    "language": str,
    "speaker": str,
    "text": str,
    "audioParameters": dict,
    "splitStrategy": str,
    "codaParameters": dict,
    "mistParameters": dict,
    "timestamps": dict,
}
AUDIO: dict[str, type | tuple[type, ...]] = {
    "audioFormat": str,
    "samplingRate": int,
    "timeScaleFactor": (int, float),
}
BODY: dict[str, type | tuple[type, ...]] = {
    "speaker": str,
    "text": str,
    "modelId": str,
    "lang": str,
    "samplingRate": int,
    "speedAlpha": (int, float),
    "timeScaleFactor": (int, float),
    "pauseBetweenBrackets": bool,
    "phonemizeBetweenBrackets": bool,
    "inlineSpeedAlpha": str,
    "noTextNormalization": bool,
}
REQUESTS = {"config", "start", "text", "end", "cancel"}
LONGEST = 1_000  # of a text over HTTP

Message = dict[str, Any]


class RimeStandIn(HttpVoiceStandIn):
    """greeting: if set, a connection is told ``ready`` only when it is. rejects: the kind of error
    that a connection is told instead. says: an error that the next contexts end with. aligns:
    whether there is an aligner. starts: every ``start``, and body, as it came."""

    AUDIO_TYPE = "audio/PCMU"

    def __init__(self) -> None:
        super().__init__()
        self.greeting: asyncio.Event | None = None
        self.rejects = ""
        self.says = ""
        self.aligns = True
        self.starts: list[Message] = []

    # --- WebSocket v1 -------------------------------------------------------------------------

    async def socket(self, socket: Socket) -> None:
        status = self._handshake(socket)
        if self.fault.kind == "status" and self.next_fault() == "status":
            status = self.fault.status
        if status:
            await socket.refuse(status, b"refused")
            return
        await socket.accept(sec_websocket_protocol=PROTOCOL)
        try:
            async with asyncio.TaskGroup() as group:
                await Connection(self, socket, group).serve()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None

    def _handshake(self, socket: Socket) -> int:
        seen = socket.seen
        if seen.path != "/ws":
            return 404
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            return 401
        if seen.query or seen.headers.get("sec-websocket-protocol") != PROTOCOL:
            self.refuse("a query, or no subprotocol")
            return 400
        return 0

    # --- HTTP, for the older models -----------------------------------------------------------

    async def http(self, exchange: Exchange) -> None:
        seen = exchange.seen
        fault = self.next_fault()
        if (seen.method, seen.path) == ("HEAD", "/data/voices/all-v2.json"):  # open to everybody
            await exchange.answer(200, b"")
        elif (seen.method, seen.path) != ("POST", "/v1/rime-tts"):
            await self.refuse_with(exchange, 404, f"no such path: {seen.path}")
        elif seen.headers.get("authorization") != f"Bearer {KEY}":
            await self.refuse_with(exchange, 401, "invalid api key")
        elif not await self.goes_wrong(exchange, fault):
            await self._post(exchange, fault)

    async def refuse_with(self, exchange: Exchange, status: int, why: str, code: str = "") -> None:
        await exchange.answer(status, self.refuse(why).encode(), content_type="text/plain")

    async def _post(self, exchange: Exchange, fault: FaultKind) -> None:
        body = exchange.seen.json()
        if why := self._wrong(exchange, body):
            await self.refuse_with(exchange, 400, why)
            return
        self.starts.append(body)
        self.spoken.append(body["text"])
        self.asked.append((body["speaker"], body["modelId"]))
        await self.play(exchange, self.mulaw(body["text"], fault), fault)

    def _wrong(self, exchange: Exchange, body: Any) -> str:
        headers = exchange.seen.headers
        if headers.get("accept") != "audio/PCMU" or body.get("samplingRate", 8_000) != 8_000:
            return "this stand-in makes mu-law 8 kHz only"
        if headers.get("content-type") != "application/json":
            return "request body is required"
        if why := fields(body, BODY, ("text", "speaker", "modelId")):
            return why
        if not 0 < len(body["text"]) <= LONGEST:
            return "text is too long"
        legacy = body["modelId"] in ("mist", "mistv2")
        if ("timeScaleFactor" if legacy else "speedAlpha") in body:
            return "the pace is said otherwise to this model"
        return "" if body["speaker"] in VOICES else "no such speaker"


class Connection:
    """One WebSocket, and the contexts that are open on it."""

    def __init__(self, vendor: RimeStandIn, socket: Socket, group: asyncio.TaskGroup) -> None:
        self._vendor, self._socket, self._group = vendor, socket, group
        self._ready = False
        self._open: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        self._group.create_task(self._greet())
        while True:
            await self._take(await self._socket.receive())

    async def _greet(self) -> None:
        if self._vendor.rejects:
            await self._error("", self._vendor.rejects)
            await self._socket.close(1008)
            return
        if self._vendor.greeting is not None:
            await self._vendor.greeting.wait()
        self._ready = True
        languages = sorted(set(VOICES.values()))
        await self._socket.send({"ready": {"protocol": 1, "languages": languages}})

    async def _take(self, raw: str | bytes) -> None:
        message = json.loads(raw)
        context = message.pop("contextId", "")
        if len(message) != 1 or not set(message) <= REQUESTS or len(context.encode()) > 128:
            self._vendor.refuse(f"not one payload: {sorted(message)}")
            await self._error("", "invalid_input")
        elif "cancel" in message:
            await self._cancel(context)
        elif "start" in message:
            await self._start(context, message["start"])
        else:
            self._vendor.refuse("this stand-in takes whole texts only")
            await self._error(context, "invalid_input")

    async def _start(self, context: str, start: Message) -> None:
        if not self._ready:
            self._vendor.refuse("a start before ready")
            await self._error(context, "unavailable")
            return
        if context in self._open or (why := self._wrong(start)):
            self._vendor.refuse("the context is open" if context in self._open else why)
            await self._error(context, "invalid_input")
            return
        self._vendor.starts.append(start)
        self._vendor.spoken.append(start["text"])
        self._vendor.asked.append((start["speaker"], ""))
        fault = self._vendor.next_fault()
        self._open[context] = self._group.create_task(self._answer(context, start, fault))

    def _wrong(self, start: Message) -> str:
        audio = start.get("audioParameters", {})
        why = fields(start, START, ("text",)) or fields(audio, AUDIO, ())
        if why:
            return why
        if (audio.get("audioFormat"), audio.get("samplingRate")) != ("audio/PCMU", 8_000):
            return "this stand-in makes mu-law 8 kHz only"
        if not 0.4 <= audio.get("timeScaleFactor", 1.0) <= 2.5:
            return "timeScaleFactor would be clamped"
        if set(start.get("timestamps", {})) - {"enable"}:
            return "timestamps"
        if VOICES.get(start["speaker"]) != start.get("language", "en"):
            return "the speaker does not speak the language"
        return ""

    async def _cancel(self, context: str) -> None:
        """Abort a context; what is on its way still arrives before the confirmation."""
        self._vendor.cancels += 1
        if (task := self._open.pop(context, None)) is not None:
            task.cancel()
            await self._audio(context, self._vendor.mulaw("late sound of the old sentence")[0])
        await self._socket.send({"contextId": context, "cancelled": {}})

    async def _answer(self, context: str, start: Message, fault: FaultKind) -> None:
        await self._vendor.before_first()
        if fault == "mute":
            return
        if fault == "garbage":
            await self._socket.send({"<html>": "nothing that is documented"})
            return
        await self._socket.send({"contextId": context, "started": {"requestId": "0"}})
        if fault == "error_body" or self._vendor.says:
            self._open.pop(context, None)
            await self._error(context, self._vendor.says or "internal")
            return
        if fault != "empty":
            await self._sound(context, start["text"], fault)
        self._open.pop(context, None)
        await self._socket.send({"contextId": context, "done": self._timestamps(start)})

    async def _sound(self, context: str, text: str, fault: FaultKind) -> None:
        for n, piece in enumerate(self._vendor.mulaw(text, fault)):
            await self._audio(context, piece)
            if n == 0:
                await self._vendor.after_first()
            if n == 2 and fault == "cut":
                raise Cut

    def _timestamps(self, start: Message) -> Message:
        """Time the words, as the sound was before its pace was changed."""
        if not start.get("timestamps", {}).get("enable"):
            return {}
        if not self._vendor.aligns or start.get("language", "en") != "en":
            return {"timestamps": {"status": {"code": 3, "message": "unsupported"}}}
        factor = start["audioParameters"].get("timeScaleFactor", 1.0)
        spans, begun = [], 0
        for word in start["text"].split():
            at = start["text"].index(word, begun)
            begun = at + len(word)
            ends = (at, begun)
            times = [f"{n * self._vendor.MS_PER_CHARACTER / factor / 1_000:.6f}s" for n in ends]
            spans.append({"text": word, "start": times[0], "end": times[1]})
        return {"timestamps": {"status": {}, "spans": spans}}

    async def _audio(self, context: str, piece: bytes) -> None:
        encoded = base64.b64encode(piece).decode()
        await self._socket.send({"contextId": context, "audio": encoded})

    async def _error(self, context: str, kind: str) -> None:
        error = {"kind": kind, "message": f"{kind}: {KEY}", "requestId": "0"}
        named = {"contextId": context} if context else {}
        await self._socket.send({**named, "error": error})


def fields(found: Any, known: dict[str, type | tuple[type, ...]], needed: tuple[str, ...]) -> str:
    """Say what is wrong with an object's fields; empty if nothing is."""
    if not isinstance(found, dict):
        return "payload must be an object"
    for name in needed:
        if not found.get(name):
            return f"{name} is required"
    for name, value in found.items():
        if name not in known:
            return f"no such field: {name}"
        right = isinstance(value, known[name])
        if not right or (isinstance(value, bool) and known[name] is not bool):
            return f"wrong type: {name}"
    return ""
