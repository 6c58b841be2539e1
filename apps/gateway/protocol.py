"""uvicorn's WebSocket protocol with a short way for what a call is made of: whole text frames.

Measured at 200 calls, a third of the server's time went into a general parser, and into pausing
and resuming the socket around each of fifty frames a second a call. Here a text frame that has come
whole is unmasked and handed over: to the application's sink if it has attached one, which saves the
queue and the wake-up of a task, else queued; the socket is paused only when frames pile up.
Everything else (the handshake, fragments, control frames, whatever breaks a rule) goes the way it
always went. A server that is started without this class does the same, slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel for this platform: the same in Python
    from websockets.utils import apply_mask

# Messages not yet taken by the application, beyond which the peer has to wait: a second of audio.
PILED_UP = 50

INCOMPLETE, TOO_LONG = -1, -2

# An ASGI extension: ``scope["extensions"][EXTENSION]`` has ``attach`` and ``abort``, see there.
EXTENSION = "botsconfig.frames"
# Takes a text frame's payload, on the loop, at once. False: queue it instead. Must not raise.
Sink = Callable[[str], bool]

_WHOLE_TEXT = 0x81  # FIN and the opcode of text
_ONE_MESSAGE = b"\x81\xfe"  # the same, masked, its length in the next two bytes
_FIN, _MASKED = 0x80, 0x80
_OPCODE, _LENGTH = 0x0F, 0x7F
_CONTINUATION, _BINARY = 0x0, 0x2


class MediaWebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection. Hands the library whole frames only, so that each may go either way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rest = b""
        self._in_fragments = False
        self._sink: Sink | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope.setdefault("extensions", {})[EXTENSION] = {
                "attach": self.attach,
                "abort": self.abort,
            }

    def attach(self, sink: Sink) -> bool:
        """Give text frames to ``sink`` from now on, if none is queued before them.

        What the sink does not take (it returns False) is queued for the application as ever.
        """
        if not self.queue.empty():
            return False
        self._sink = sink
        return True

    def abort(self) -> None:
        """Break the connection: what the peer has not read is not waited for."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._sink is not None and not self._rest and self._is_one_message(data):
            self._frame(data, 0, len(data))
        elif self.handshake_complete:
            rest, self._rest = self._rest, b""
            self._frames(rest + data)
        else:
            super().data_received(data)

    def _frames(self, data: bytes) -> None:
        at = 0
        while self._is_open():
            end = self._frame_end(data, at)
            if end == INCOMPLETE:
                self._rest = data[at:]
                return
            if end == TOO_LONG:
                break  # the library refuses it by its header, and must not wait for the rest
            self._frame(data, at, end)
            at = end
        if at < len(data):
            super().data_received(data[at:])

    def _is_one_message(self, data: bytes) -> bool:
        """Whether this is just one text frame of 126 bytes or more: nearly every read is."""
        return (
            data[:2] == _ONE_MESSAGE
            and len(data) == 8 + (size := int.from_bytes(data[2:4], "big"))
            and size <= self.config.ws_max_size
            and not self._in_fragments
            and self._is_open()
        )

    def _is_open(self) -> bool:
        return self.conn.state is State.OPEN and not self.close_sent

    def _frame_end(self, data: bytes, at: int) -> int:
        """Return where the frame at ``at`` ends, or INCOMPLETE or TOO_LONG."""
        if len(data) - at < 2:
            return INCOMPLETE
        size, head = data[at + 1] & _LENGTH, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if len(data) - at < head:
                return INCOMPLETE
            size = int.from_bytes(data[at + 2 : at + head], "big")
        if size > self.config.ws_max_size:
            return TOO_LONG
        end = at + head + (4 if data[at + 1] & _MASKED else 0) + size
        return end if end <= len(data) else INCOMPLETE

    def _frame(self, data: bytes, at: int, end: int) -> None:
        first = data[at]
        if first == _WHOLE_TEXT and not self._in_fragments and data[at + 1] & _MASKED:
            text = _unmasked(data, at, end)
            if text is not None:
                self._deliver(text)
                return
        if first & _OPCODE <= _BINARY:
            self._in_fragments = not first & _FIN
        super().data_received(data[at:end])

    def _deliver(self, text: str) -> None:
        if self._sink is not None and self.queue.empty() and self._sink(text):
            return
        self.queue.put_nowait({"type": "websocket.receive", "text": text})
        if not self.read_paused and self.queue.qsize() >= PILED_UP:
            self.read_paused = True
            self.transport.pause_reading()


def _unmasked(data: bytes, at: int, end: int) -> str | None:
    """Return a masked frame's text, or None if it is no UTF-8."""
    size = data[at + 1] & _LENGTH
    body = at + (2 if size < 126 else 4 if size == 126 else 10)
    try:
        return apply_mask(data[body + 4 : end], data[body : body + 4]).decode()
    except UnicodeDecodeError:
        return None
