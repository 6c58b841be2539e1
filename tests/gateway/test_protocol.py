"""The WebSocket protocol's short way: the same messages as the long one, however they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from apps.gateway.protocol import EXTENSION, PILED_UP, MediaWebSocketProtocol
from tests.benchmarks.servers import free_port

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send back every message, its kind and its length before it."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        kind, body = ("text", event.get("text")) if event.get("text") else ("bytes", "")
        await send({"type": "websocket.send", "text": f"{kind}:{len(body)}:{body[:20]}"})


async def sink(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Like echo, but for texts that begin with a: those go to a sink."""
    taken: list[str] = []

    def take(text: str) -> bool:
        if text.startswith("a"):
            taken.append(text)
        return text.startswith("a")

    await receive()
    await send({"type": "websocket.accept"})
    attached = scope["extensions"][EXTENSION]["attach"](take)
    while (event := await receive())["type"] == "websocket.receive":
        shown = f"{attached}:{len(taken)}:{event['text'][:5]}"
        await send({"type": "websocket.send", "text": shown})


async def flood(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send until the peer's side and ours are full of what it does not read, and break it off."""
    await receive()
    await send({"type": "websocket.accept"})
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.2):
                await send({"type": "websocket.send", "text": "x" * 60_000})
    scope["extensions"][EXTENSION]["abort"]()
    assert (await receive())["type"] == "websocket.disconnect"
    OVER.set()


OVER = asyncio.Event()
APPS = {"/sink": sink, "/flood": flood}


async def either(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await APPS.get(scope["path"], echo)(scope, receive, send)


class Peer:
    """A client that writes bytes as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self) -> tuple[int, bytes]:
        """Return the next frame's first byte and payload; (0, b"") at the end."""
        try:
            async with asyncio.timeout(5):
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                return first, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def path() -> str:
    return "/"


@pytest.fixture
async def peer(path: str) -> AsyncIterator[Peer]:
    config = uvicorn.Config(
        either,
        port=free_port(),
        ws=MediaWebSocketProtocol,
        ws_max_size=10_000,
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", config.port)
    writer.write(HANDSHAKE.replace("GET /", f"GET {path}").encode())
    await reader.readuntil(b"\r\n\r\n")
    found = Peer(reader, writer)
    yield found
    found.close()
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def frame(first: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, 0x80 | size) + mask + masked
    if size < 65_536:
        return struct.pack("!BBH", first, 0x80 | 126, size) + mask + masked
    return struct.pack("!BBQ", first, 0x80 | 127, size) + mask + masked


@pytest.mark.parametrize("size", [1, 125, 126, 400, 9_000])
async def test_a_text_arrives_whole(peer: Peer, size: int) -> None:
    peer.write(frame(TEXT, b"a" * size))
    assert await peer.read() == (TEXT, f"text:{size}:{'a' * min(20, size)}".encode())


@pytest.mark.parametrize("step", [1, 3, 100])
async def test_frames_cut_anywhere_are_the_same_frames(peer: Peer, step: int) -> None:
    stream = b"".join(frame(TEXT, f"{number:0>300}".encode()) for number in range(5))
    for at in range(0, len(stream), step):
        peer.write(stream[at : at + step])
        if at % 50 == 0:
            await asyncio.sleep(0)
    for _ in range(5):
        assert (await peer.read())[1].startswith(b"text:300:")


async def test_many_frames_at_once_arrive_in_order(peer: Peer) -> None:
    count = PILED_UP * 5
    peer.write(b"".join(frame(TEXT, f"n{number}".encode()) for number in range(count)))
    found = [(await peer.read())[1].split(b":")[2] for _ in range(count)]
    assert found == [f"n{number}".encode() for number in range(count)]


async def test_fragments_with_a_ping_among_them_are_one_message(peer: Peer) -> None:
    peer.write(frame(0x01, b"one ") + frame(PING, b"p") + frame(0x80, b"two") + frame(TEXT, b"x"))
    assert await peer.read() == (PONG, b"p")
    assert await peer.read() == (TEXT, b"text:7:one two")
    assert await peer.read() == (TEXT, b"text:1:x")


async def test_a_binary_frame_is_handed_on_as_one(peer: Peer) -> None:
    peer.write(frame(BINARY, b"\x00\x01"))
    assert (await peer.read())[1].startswith(b"bytes:")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"a" * 10_001), 1009),
        (frame(TEXT, b"a" * 70_000)[:2_000], 1009),
        (struct.pack("!BB", TEXT, 5) + b"hello", 1002),
        (frame(0x83, b"?"), 1002),
        (frame(0xC1, b"rsv"), 1002),
        (frame(0x01, b"begun") + frame(TEXT, b"another"), 1002),
        (frame(0x80, b"continues nothing"), 1002),
    ],
    ids=["utf-8", "long", "long, cut", "unmasked", "opcode", "reserved", "interleaved", "stray"],
)
async def test_what_breaks_a_rule_is_closed_with_its_code(
    peer: Peer, sent: bytes, code: int
) -> None:
    peer.write(sent)
    first, payload = await peer.read()
    assert first == CLOSE
    assert int.from_bytes(payload[:2], "big") == code


async def test_a_close_is_answered(peer: Peer) -> None:
    peer.write(frame(TEXT, b"last"))
    assert (await peer.read())[1] == b"text:4:last"
    peer.write(frame(CLOSE, struct.pack("!H", 1000)))
    first, payload = await peer.read()
    assert (first, payload[:2]) == (CLOSE, struct.pack("!H", 1000))


@pytest.mark.parametrize("path", ["/sink"])
@pytest.mark.parametrize("step", [1, 1_000_000])
async def test_a_sink_takes_what_it_wants_and_the_rest_is_queued(peer: Peer, step: int) -> None:
    long = b"a" * 300
    stream = frame(TEXT, long) * 3 + frame(TEXT, b"b" * 300) + frame(TEXT, b"a") + frame(TEXT, b"c")
    for at in range(0, len(stream), step):
        peer.write(stream[at : at + step])
    first, second = (await peer.read())[1], (await peer.read())[1]
    assert first.startswith(b"True:") and first.endswith(b":bbbbb")
    assert second.endswith(b":c") or second.endswith(b":a")


@pytest.mark.parametrize("path", ["/sink"])
async def test_a_text_that_is_no_text_is_refused_with_a_sink_too(peer: Peer) -> None:
    peer.write(frame(TEXT, b"a" * 300))
    peer.write(frame(TEXT, b"\xff" * 300))
    first, payload = await peer.read()
    assert (first, int.from_bytes(payload[:2], "big")) == (CLOSE, 1007)


@pytest.mark.parametrize("path", ["/flood"])
async def test_a_connection_of_which_nothing_is_read_can_be_broken(peer: Peer) -> None:
    async with asyncio.timeout(10):
        await OVER.wait()
