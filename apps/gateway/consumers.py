"""Twilio's media socket. Parses, forwards, and ends: decisions belong to the conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels.consumer import AsyncConsumer

from apps.calls.admission import StreamRefused
from apps.gateway.line import StreamLine
from apps.gateway.protocol import EXTENSION, Sink
from apps.gateway.runtime import Gateway, gateway
from apps.gateway.session import Session
from apps.telephony import streams
from apps.telephony.signatures import SETTINGS_HEADER, SIGNATURE_HEADER, Signed
from apps.telephony.streams import Message, Started, Stopped, StreamMessageError

logger = logging.getLogger(__name__)

POLICY_VIOLATION = 1008
UNSUPPORTED = 1003
NORMAL = 1000

# Twilio sends start right after connected; a socket that does not is no call.
START_S = 10.0
# A media message of 20 ms has 374 bytes; this one holds eight seconds.
LONGEST = 96 * 1024
# How long the end of a call may take to be written before its socket is closed all the same.
WRITTEN_S = 1.0
# How long a peer may take to let its close frame be written.
CLOSED_S = 2.0
# So much nonsense in one stream, and it is closed; less is dropped.
NONSENSE = 50

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refused(Exception):
    """The socket is closed with ``code``; the peer is not told more."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class MediaStreamConsumer(AsyncConsumer):  # type: ignore[misc]
    """One socket, from its handshake to its end.

    It has a receive loop of its own: Channels' dispatch crosses to the process's one shared
    database thread before every message, so a slow query in one call would delay the audio of
    all. Frames need no database.
    """

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        running = gateway()
        if running.draining:
            await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept"})
        direct = scope.get("extensions", {}).get(EXTENSION, {})
        await MediaSocket(running, receive, send, **direct).serve(_signed(scope))


def _nothing() -> None:
    """The server has no way to break a connection."""


class MediaSocket:
    """An accepted socket: first the start of a stream, then the stream."""

    def __init__(
        self,
        running: Gateway,
        receive: Receive,
        send: Send,
        attach: Callable[[Sink], bool] | None = None,
        abort: Callable[[], None] = _nothing,
    ) -> None:
        self._gateway = running
        self._receive = receive
        self._send = send
        self._attach = attach
        self._abort = abort
        self._nonsense = 0
        self._gone = False

    async def serve(self, signed: Signed) -> None:
        """Serve the socket to its end. Never raises for what the peer does."""
        code = NORMAL
        try:
            async with asyncio.timeout(START_S):
                started = await self._started()
            if started is not None:
                await self._stream(started, signed)
        except TimeoutError:
            code = POLICY_VIOLATION
        except Refused as refused:
            code = refused.code
        except Exception:  # the edge of a task: nobody above would ever hear of it
            logger.exception("A media socket failed")
            code = 1011
        await self._close(code)

    async def _started(self) -> Started | None:
        while (message := await self._next()) is not None:
            if isinstance(message, Started):
                if (message.encoding, message.sample_rate, message.channels) != (
                    "audio/x-mulaw",
                    8_000,
                    1,
                ):
                    raise Refused(UNSUPPORTED)
                return message
            if isinstance(message, Stopped):
                return None
        return None

    async def _stream(self, started: Started, signed: Signed) -> None:
        try:
            admitted = await self._gateway.gate.admit(started, signed=signed)
        except StreamRefused as refused:
            extra = {"call_sid": started.call_sid, "reason": str(refused)}
            logger.warning("A media stream was refused", extra=extra)
            raise Refused(POLICY_VIOLATION) from None
        line = StreamLine(started.stream_sid, send=self._send_text, clock=self._gateway.clock)
        session = self._gateway.open(admitted, started, line)
        reason = "internal_error"
        try:
            await self._gateway.register(session)
            reason = await self._converse(session)
        finally:
            self._gateway.forget(session)
            closing = asyncio.create_task(session.aclose(reason))
            # Twilio asks what comes next as soon as the socket closes, and is told by what is
            # written: an end on purpose must stand there before.
            await asyncio.gather(closing, self._gateway.journal.flushed(WRITTEN_S))

    async def _converse(self, session: Session) -> str:
        """Read until one side ends it; return why."""
        reading = asyncio.create_task(self._read(session))
        written = asyncio.create_task(session.written())
        try:
            await asyncio.wait((reading, written), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
            return session.line.end_reason or "connection_lost"
        finally:
            for task in (reading, written):
                task.cancel()
            await asyncio.gather(reading, written, return_exceptions=True)

    async def _read(self, session: Session) -> str:
        receive, frame, attach = self._receive, session.frame, self._attach
        while True:
            # With our own protocol class audio does not even come this way.
            if attach is not None and attach(_sink(session)):
                attach = None
            event = await receive()
            text = event.get("text")
            # Nearly every frame is audio: it takes the short way, and no further coroutine.
            if text is not None and len(text) <= LONGEST:
                audio = streams.media_audio(text)
                if audio is not None:
                    frame(text, audio)
                    continue
            if self._is_over(event):
                return "connection_lost"
            message = self._parse(text)
            if isinstance(message, Stopped):
                return "caller_hung_up"
            if message is not None:
                session.take(message)

    async def _next(self) -> Message | None:
        """Return the next message that this version knows, or None when the socket is closed."""
        while not self._is_over(event := await self._receive()):
            message = self._parse(event.get("text"))
            if message is not None:
                return message
        return None

    def _is_over(self, event: dict[str, Any]) -> bool:
        self._gone = event["type"] == "websocket.disconnect"
        return self._gone

    def _parse(self, text: str | None) -> Message | None:
        """Read a text frame; None for what means nothing. Raises Refused at too much nonsense."""
        try:
            if text is None or len(text) > LONGEST:
                raise StreamMessageError("binary or too long")
            return streams.parse(text)
        except StreamMessageError:
            self._nonsense += 1
            if self._nonsense > NONSENSE:
                raise Refused(POLICY_VIOLATION) from None
            return None

    async def _send_text(self, text: str) -> None:
        if not self._gone:
            await self._send({"type": "websocket.send", "text": text})

    async def _close(self, code: int) -> None:
        if not self._gone:
            self._gone = True
            try:
                async with asyncio.timeout(CLOSED_S):
                    await self._send({"type": "websocket.close", "code": code})
            except TimeoutError:
                # It reads nothing. Twilio sees a broken line, and asks what to do with the caller.
                self._abort()


def _sink(session: Session) -> Sink:
    def take(text: str) -> bool:
        audio = streams.media_audio(text) if len(text) <= LONGEST else None
        if audio is None:
            return False
        try:
            session.frame(text, audio)
        except Exception:  # called by the transport: it would close the socket without a word
            logger.exception("A call failed on a frame")
            session.line.hang_up("internal_error")
        return True

    return take


def _signed(scope: dict[str, Any]) -> Signed:
    found = {name: value.decode("latin-1") for name, value in scope.get("headers", ())}
    return Signed(
        found.get(SIGNATURE_HEADER.lower().encode()),
        found.get(SETTINGS_HEADER.lower().encode(), ""),
    )
