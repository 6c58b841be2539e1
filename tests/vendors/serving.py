"""Runs a vendor's stand-in on loopback: real HTTP/1.1 and WebSocket, in the test's own event loop.

A stand-in is an ASGI application that checks what its vendor checks. What goes wrong is set before
a request arrives (``fault``), so that no test has to wait for a moment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

import uvicorn

# The only key that a stand-in accepts. Looks like a vendor's, so that a leak is easy to search for.
KEY = "sk-standin-5a1f0c9e7b3d4826"
WRONG_KEY = "sk-standin-0000000000000000"

FaultKind = Literal[
    "none",
    "status",  # refuses with ``status``, in the vendor's own form
    "mute",  # takes the request and never answers
    "cut",  # breaks the connection in the middle of the answer
    "empty",  # a complete answer with nothing in it
    "silence",  # audio, all of it silent
    "error_body",  # status 200, and an error where the answer should be
    "garbage",  # bytes that mean nothing
]


@dataclass(slots=True)
class Fault:
    """What goes wrong, and how often: ``times`` requests, then all is well again."""

    kind: FaultKind = "none"
    status: int = 500
    times: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A request or handshake as it arrived. port: the client's, which tells its connection."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    port: int = 0

    def json(self) -> Any:
        return json.loads(self.body)


# A request of a benchmark brings a number, by which both sides know it.
_NUMBER = re.compile(rb"(?<!\d)1\d{6}(?!\d)")
_number: ContextVar[str] = ContextVar("number", default="")


def _note_number(body: bytes) -> None:
    if found := _NUMBER.search(body):
        _number.set(found[0].decode())


class Gone(Exception):
    """The client went away."""


class Cut(Exception):
    """The stand-in breaks the connection off."""


class Exchange:
    """One HTTP request and its answer."""

    def __init__(self, seen: Seen, receive: Any, send: Any, pace_s: float = 0.0) -> None:
        self.seen = seen
        self.pace_s = pace_s
        self.paced = b""
        self._receive, self._send = receive, send
        self._left: asyncio.Task[None] | None = None

    async def answer(
        self, status: int, body: bytes | dict[str, Any] | list[Any], **headers: str
    ) -> None:
        """Answer in one piece; objects as JSON. Header names with ``_`` for ``-``."""
        if not isinstance(body, bytes):
            headers = {"content_type": "application/json", **headers}
            body = json.dumps(body).encode()
        await self.start(status, content_length=str(len(body)), **headers)
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int = 200, **headers: str) -> None:
        """Begin an answer that comes in pieces."""
        raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})
        self._left = asyncio.ensure_future(self._until_gone())

    async def piece(self, body: bytes) -> None:
        """Send a piece. Raises Gone if the client has left."""
        await asyncio.sleep(0)
        if self.gone:
            raise Gone
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        # What is said about an answer comes with it; the answer itself takes its time.
        if self.pace_s and self.paced in body:
            await asyncio.sleep(self.pace_s)

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})
        self.close()

    def hang_up(self) -> None:
        """Break the connection before a byte of an answer: what a stale one does."""
        self._receive.__self__.transport.abort()  # uvicorn's; ASGI has no word for it

    async def until_gone(self) -> None:
        """Wait until the client leaves: what a mute vendor does."""
        await (self._left or self._until_gone())

    @property
    def gone(self) -> bool:
        return self._left is not None and self._left.done()

    def close(self) -> None:
        if self._left is not None:
            self._left.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Socket:
    """One WebSocket connection, from its handshake on."""

    def __init__(self, seen: Seen, receive: Any, send: Any, pace_s: float = 0.0) -> None:
        self.seen = seen
        self.pace_s = pace_s
        self._receive, self._send = receive, send

    async def accept(self, **headers: str) -> None:
        raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        await self._send({"type": "websocket.accept", "headers": raw})

    async def refuse(self, status: int, body: bytes = b"") -> None:
        """Refuse the handshake with an HTTP status."""
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def receive(self) -> str | bytes:
        """Return the next message. Raises Gone when the client has closed."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            raise Gone
        text: str | None = event.get("text")
        if text is not None:
            _note_number(text.encode())
        return text if text is not None else bytes(event["bytes"])

    async def send(self, message: dict[str, Any] | bytes) -> None:
        """Send an object as JSON text, or bytes. Raises Gone if the client has left."""
        out = {"bytes": message} if isinstance(message, bytes) else {"text": json.dumps(message)}
        try:
            await self._send({"type": "websocket.send", **out})
        except Exception as exc:  # whatever the server says of a closed socket
            raise Gone from exc
        # Audio takes its time; what is said about it comes with it.
        if self.pace_s and len(next(iter(out.values()))) > 400:
            await asyncio.sleep(self.pace_s)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class StandIn:
    """A vendor on loopback. Subclasses implement ``http`` and ``socket`` and check everything.

    fault: what goes wrong next. seen: requests and handshakes, in order. hold: if set, an answer
    waits for it after its first piece. For benchmarks: delay_s before the first piece of an answer,
    pace_s after each piece that holds ``paced``, handshake_s before the first answer of a
    connection; times: when a request arrived and when its answer began, by ``time.monotonic``, for
    each number of seven digits that a request brought.
    broken_off: answers that the client ended early (cancelled). live: requests and sockets
    being served; connections: what is connected, whether or not anything is being answered.
    refusals: why requests were refused, for a failing test to show.
    """

    def __init__(self) -> None:
        self.fault = Fault()
        self.seen: list[Seen] = []
        self.delay_s = 0.0
        self.pace_s = 0.0
        self.paced = b""
        self.handshake_s = 0.0
        self.times: dict[str, tuple[float, float]] = {}
        self.hold: asyncio.Event | None = None
        self.broken_off = 0
        self.live = 0
        self.refusals: list[str] = []
        self.url = ""
        self.connections: set[Any] = set()
        self._ports: set[int] = set()

    async def http(self, exchange: Exchange) -> None:
        """Answer an HTTP request."""
        await exchange.answer(404, {"error": "this vendor has no such path"})

    async def socket(self, socket: Socket) -> None:
        """Serve a WebSocket; the handshake is not accepted yet."""
        await socket.refuse(404)

    def next_fault(self) -> FaultKind:
        """Take this request's fault; call once a request."""
        if self.fault.times <= 0:
            return "none"
        self.fault.times -= 1
        return self.fault.kind

    def refuse(self, why: str) -> str:
        """Note why a request is refused, and return it for the answer."""
        self.refusals.append(why)
        return why

    async def before_first(self) -> None:
        if self.delay_s:
            arrived = time.monotonic()
            await asyncio.sleep(self.delay_s)
            self.times[_number.get()] = (arrived, time.monotonic())

    async def after_first(self) -> None:
        """Hold the answer after its first piece, where a test asks for it."""
        if self.hold is not None:
            await self.hold.wait()

    def hang_up(self) -> None:
        """Break every connection off, as a vendor does with idle ones, or a network."""
        for connection in list(self.connections):
            connection.transport.abort()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something has happened here: tests call this instead of sleeping."""
        for _ in range(5_000):
            if true():
                return
            await asyncio.sleep(0.001)
        raise TimeoutError("It did not happen.")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.live += 1
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send)
            else:
                await self._socket(scope, receive, send)
        except Gone:
            self.broken_off += 1
        finally:
            self.live -= 1

    async def _greet(self, scope: dict[str, Any]) -> None:
        """Take as long over a new connection as TLS and the way to a vendor do."""
        if self.handshake_s and (port := scope["client"][1]) not in self._ports:
            self._ports.add(port)
            await asyncio.sleep(self.handshake_s)

    async def _http(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            body += event.get("body", b"")
            if not event.get("more_body"):
                break
        await self._greet(scope)
        _note_number(body)
        exchange = Exchange(_seen(scope, body), receive, send, self.pace_s)
        exchange.paced = self.paced
        self.seen.append(exchange.seen)
        try:
            await self.http(exchange)
        finally:
            exchange.close()

    async def _socket(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await self._greet(scope)
        socket = Socket(_seen(scope, b""), receive, send, self.pace_s)
        self.seen.append(socket.seen)
        await self.socket(socket)


def _seen(scope: dict[str, Any], body: bytes) -> Seen:
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    return Seen(
        method=scope.get("method", "GET"),
        path=scope["path"],
        query={name: values[-1] for name, values in query.items()},
        headers={k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
        body=body,
        port=(scope.get("client") or ("", 0))[1],
    )


@asynccontextmanager
async def serving(stand_in: StandIn) -> AsyncIterator[StandIn]:
    """Serve a stand-in until the block ends; ``stand_in.url`` is its http:// origin."""
    if hasattr(stand_in, "serve"):  # it speaks another protocol, and serves itself
        async with stand_in.serve():
            yield stand_in
        return
    # A connection that is cut on purpose is nothing to report.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    config = uvicorn.Config(
        stand_in,
        host="127.0.0.1",
        port=0,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_ping_interval=None,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    # Not ``serve``: it takes the test runner's signals, and ends on a tick of 100 ms.
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    stand_in.url = f"http://127.0.0.1:{port}"
    stand_in.connections = server.server_state.connections
    try:
        yield stand_in
    finally:
        await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    """End a server and what it still serves. Its own way of doing so waits for 0.1 s."""
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    tasks = list(server.server_state.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for listener in server.servers:
        await listener.wait_closed()


# What no log, error or event may hold.
SECRET = re.compile(r"standin-[0-9a-f]{16}")
