"""A WebSocket client that costs next to nothing, so that the load does not measure itself.

Only what a benchmark on loopback needs of RFC 6455: text frames below 64 kB, pings answered, and a
mask of zeros, which leaves the payload as it is (the server unmasks all the same).
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from typing import cast

_PING, _PONG, _CLOSE, _TEXT = 0x9, 0xA, 0x8, 0x1


class RawSocket(asyncio.Protocol):
    """One connection. on_text is called with every text frame's payload, on the loop."""

    def __init__(self, path: str, on_text: Callable[[bytes], None]) -> None:
        self._path = path
        self._on_text = on_text
        self._buffer = bytearray()
        self._upgraded = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no instances of asyncio's, only like them.
        self._transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == _TEXT:
                self._on_text(payload)
            elif opcode == _PING:
                self._write(_PONG, payload)
            elif opcode == _CLOSE:
                self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the handshake was refused"))
        self.closed.set_result(None)

    def send(self, text: str) -> None:
        """Send a text frame; to a closed socket, nothing."""
        if not self._transport.is_closing():
            self._write(_TEXT, text.encode("ascii"))

    def close(self) -> None:
        if not self._transport.is_closing():
            self._write(_CLOSE, struct.pack("!H", 1000))

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = (
            struct.pack("!BBI", 0x80 | opcode, 0x80 | size, 0)
            if size < 126
            else struct.pack("!BBHI", 0x80 | opcode, 0x80 | 126, size, 0)
        )
        self._transport.write(head + payload)

    def _upgrade(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            self._transport.close()
            return False
        del self._buffer[: end + 4]
        self._upgraded = True
        self.opened.set_result(None)
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, head = buffer[1] & 0x7F, 2
        if size == 126:
            if len(buffer) < 4:
                return None
            size, head = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < head + size:
            return None
        payload = bytes(buffer[head : head + size])
        opcode = buffer[0] & 0x0F
        del buffer[: head + size]
        return opcode, payload


async def raw_open(port: int, path: str, on_text: Callable[[bytes], None]) -> RawSocket:
    """Connect to a server on this machine. Raises ConnectionError if it refuses."""
    loop = asyncio.get_running_loop()
    _, found = await loop.create_connection(lambda: RawSocket(path, on_text), "127.0.0.1", port)
    await found.opened
    return found
