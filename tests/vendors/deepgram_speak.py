"""Deepgram's text-to-speech WebSocket, as strict as the original.

Written from developers.deepgram.com, read on 26 November 2026: the reference of /v1/speak
(streaming) and its AsyncAPI document, Flush, Clear, Close, troubleshooting WebSocket errors, voice
controls (changelog of 4 May 2026), TTS models, and the types of Deepgram's Python SDK (July 2026).
Not to be found there: the code of the warning about flushes, the close of an idle connection, and
what is confirmed of a flush that a Clear overtakes; here nothing is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import Any

from tests.vendors.kinds import VoiceStandIn
from tests.vendors.serving import KEY, Cut, FaultKind, Socket

VOICE = "aura-2-thalia-en"
VOICES = {VOICE, "aura-2-viktoria-de", "aura-asteria-en"}
QUERY = {"encoding", "mip_opt_out", "model", "sample_rate", "speed"}
FLUSHES = 20
CHARACTERS = 2_000  # of one text

Message = dict[str, Any]


class Closed(Exception):
    """The socket is closed, with this code and payload."""

    def __init__(self, code: int, payload: str) -> None:
        super().__init__(payload)
        self.code, self.payload = code, payload


class DeepgramStandIn(VoiceStandIn):
    """clears: if set, a Clear is confirmed only when it is, and sound goes out until then.

    says: a message that the next sentence is answered with, instead of sound. shuts: the close code
    and payload that it is answered with. window_s: the time over which flushes are counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clears: asyncio.Event | None = None
        self.says: Message | None = None
        self.shuts: Closed | None = None
        self.window_s = 60.0

    async def socket(self, socket: Socket) -> None:
        status = self._handshake(socket)
        if self.fault.kind == "status" and self.next_fault() == "status":
            status = self.fault.status
        if status:
            body = {"err_code": "REFUSED", "err_msg": "refused", "request_id": "0"}
            await socket.refuse(status, json.dumps(body).encode())
            return
        await socket.accept(dg_request_id="0")
        try:
            async with asyncio.TaskGroup() as group:
                await Connection(self, socket, group).serve()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None

    def _handshake(self, socket: Socket) -> int:
        seen = socket.seen
        if seen.path != "/v1/speak":
            return 404
        if seen.headers.get("authorization") not in (f"Token {KEY}", f"token {KEY}"):
            return 401
        why = self._query(dict(seen.query))
        if why:
            self.refuse(why)
            return 400
        return 0

    def _query(self, query: dict[str, str]) -> str:
        if set(query) - QUERY:
            return f"query: {sorted(set(query) - QUERY)}"
        if query.get("model", "aura-asteria-en") not in VOICES:
            return "no such model"
        if (query.get("encoding"), query.get("sample_rate")) != ("mulaw", "8000"):
            return "this stand-in makes mu-law 8 kHz only"
        if not 0.7 <= float(query.get("speed", "1")) <= 1.5:
            return "speed is from 0.7 to 1.5"
        return ""


class Connection:
    """One WebSocket: a text buffer, and what is being made of it."""

    def __init__(self, vendor: DeepgramStandIn, socket: Socket, group: asyncio.TaskGroup) -> None:
        self._vendor, self._socket, self._group = vendor, socket, group
        self._buffer = ""
        self._fault: FaultKind = "none"
        self._flushes: deque[float] = deque()
        self._flushed = 0
        self._generation: asyncio.Task[None] | None = None
        self._clearing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        model = self._socket.seen.query.get("model", "")
        await self._socket.send(
            {
                "type": "Metadata",
                "request_id": "0",
                "model_name": model,
                "model_version": "2026-05-04",
                "model_uuid": "0",
            }
        )
        try:
            while await self._take(await self._socket.receive()):
                pass
        except Closed as closed:
            await self._socket.close(closed.code, closed.payload)
            return
        await self._socket.close()

    async def _take(self, raw: str | bytes) -> bool:
        """Take a message; return whether more may come."""
        if isinstance(raw, bytes):
            self._vendor.refuse("a binary message")
            raise Closed(1003, "MESSAGE-0000")
        message = json.loads(raw)
        type_ = message.get("type") if isinstance(message, dict) else None
        fields = {"type", "text"} if type_ == "Speak" else {"type"}
        if type_ not in ("Speak", "Flush", "Clear", "Close") or set(message) != fields:
            self._vendor.refuse(f"not a command: {type_}")
            raise Closed(1008, "DATA-0000")
        if type_ == "Speak":
            self._speak(message["text"])
        elif type_ == "Flush":
            await self._flush()
        elif type_ == "Clear":
            self._clear()
        return bool(type_ != "Close")

    def _speak(self, text: str) -> None:
        if len(text) > CHARACTERS:
            self._vendor.refuse("the text is too long")
            raise Closed(1009, "BIG-0001")
        self._vendor.spoken.append(text.strip())
        model = self._socket.seen.query["model"]
        self._vendor.asked.append((model, model))
        self._fault = self._vendor.next_fault()
        self._buffer += text
        if self._vendor.shuts is not None:
            raise self._vendor.shuts

    async def _flush(self) -> None:
        now = time.monotonic()
        while self._flushes and now - self._flushes[0] > self._vendor.window_s:
            self._flushes.popleft()
        if len(self._flushes) >= FLUSHES:
            told = "Exceeded the limit of flush messages."
            await self._socket.send(
                {"type": "Warning", "code": "EXCESSIVE_FLUSH", "description": told}
            )
            self._vendor.refuse(told)
            return
        self._flushes.append(now)
        text, self._buffer = self._buffer.strip(), ""
        # A Clear that came before it is carried out first.
        before = [task for task in (self._clearing, self._generation) if task is not None]
        self._generation = self._group.create_task(self._answer(text, before))

    def _clear(self) -> None:
        self._vendor.cancels += 1
        self._buffer = ""
        before, self._generation = self._generation, None
        self._clearing = self._group.create_task(self._clear_away(before))

    async def _clear_away(self, before: asyncio.Task[None] | None) -> None:
        """Stop soon, not at once: a piece may still go out before the confirmation."""
        if self._vendor.clears is not None:
            await self._socket.send(self._vendor.mulaw("late sound of the old sentence")[0])
            await self._vendor.clears.wait()
        if before is not None:
            before.cancel()
        await self._socket.send({"type": "Cleared", "sequence_id": self._flushed})

    async def _answer(self, text: str, before: list[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        await self._vendor.before_first()
        fault = self._fault
        if fault == "mute":
            return
        if fault == "error_body" or self._vendor.says is not None:
            internal = {"type": "Error", "code": "NET-0000", "description": f"internal {KEY}"}
            await self._socket.send(self._vendor.says or internal)
            return
        if fault == "garbage":
            await self._socket.send({"<html>": "nothing that is documented"})
            return
        if fault != "empty":
            await self._sound(text, fault)
        await self._socket.send({"type": "Flushed", "sequence_id": self._flushed})
        self._flushed += 1

    async def _sound(self, text: str, fault: FaultKind) -> None:
        for n, piece in enumerate(self._vendor.mulaw(text, fault)):
            await self._socket.send(piece)
            if n == 0:
                await self._vendor.after_first()
            if n == 2 and fault == "cut":
                raise Cut
