"""The socket as Twilio opens and writes it: no Origin, no compression, a signature, numbers.

Sources: two live captures of Twilio's handshake, Twilio's "Webhooks security" (the signature on
the upgrade) and its error dictionary (319xx).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
from websockets.protocol import State

from apps.telephony import inbound
from apps.telephony.signatures import stream_signature

USER_AGENT = "Twilio.TmeWs/1.0"
# Some four seconds of caller audio, on top of what the two kernels hold. Twilio gives no figure.
CONGESTED_BYTES = 64 * 1024
_CLOSE_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class StreamRefused(Exception):
    """The stream did not come about.

    code: the error that Twilio would log. status: the HTTP status, if there was an answer.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Dial:
    """Where to stream to, and as whom.

    auth_token: signs the handshake; none, no signature. signed_url: the URL that is signed, if it
    is not the one that is dialled (a server behind a proxy knows only its public one).
    receive_buffer: bytes of the socket's buffer; a small one makes a slow reader felt at once.
    """

    url: str
    stream: inbound.Stream
    auth_token: str = field(default="", repr=False)
    signed_url: str = ""
    open_timeout_s: float = 10.0
    receive_buffer: int | None = None


class _Connect(connect):
    """Connects once: a redirect is a refused handshake to Twilio."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def socket_open(dial: Dial) -> ClientConnection:
    """Open the socket. Raises StreamRefused with Twilio's code for what went wrong."""
    headers = {"Accept-Encoding": "gzip"}
    if dial.auth_token:
        signed = dial.signed_url or dial.url
        headers["X-Twilio-Signature"] = stream_signature(auth_token=dial.auth_token, url=signed)
    try:
        opened = await _Connect(
            dial.url,
            compression=None,
            user_agent_header=USER_AGENT,
            additional_headers=headers,
            proxy=None,
            open_timeout=dial.open_timeout_s,
            close_timeout=_CLOSE_S,
            ping_interval=None,
            max_size=None,
        )
    except (InvalidHandshake, InvalidURI, OSError) as error:
        raise _refusal(error) from error
    if dial.receive_buffer is not None:
        _socket_option(opened, socket.SO_RCVBUF, dial.receive_buffer)
    return opened


def _refusal(error: Exception) -> StreamRefused:
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return StreamRefused("31920", f"the handshake was answered with {status}", status=status)
    for kind, code, message in _REFUSALS:
        if isinstance(error, kind):
            return StreamRefused(code, message)
    return StreamRefused("31902", "nothing is listening there")


# The first that fits: each is more special than those below.
_REFUSALS: tuple[tuple[type[Exception], str, str], ...] = (
    (InvalidURI, "31923", "the stream's URL is malformed"),
    (InvalidHandshake, "31920", "the answer was no WebSocket handshake"),
    (TimeoutError, "31901", "there was no answer in time"),
    (ssl.SSLError, "31910", "TLS could not be agreed upon"),
    (socket.gaierror, "31904", "the host has no address"),
)


class Wire:
    """One stream's outward half: numbers the messages and writes them.

    Nothing here waits, because 300 calls write 15,000 frames a second and a coroutine for each
    costs more than the frame. What the server does not read piles up in the transport's buffer,
    and ``congested`` says so. What is written to a closed socket is dropped.
    """

    def __init__(self, opened: ClientConnection, stream: inbound.Stream) -> None:
        self._socket = opened
        self._stream = stream
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> None:
        self.raw(inbound.connected())

    def started(self) -> None:
        self.raw(inbound.started(self._stream, sequence=self._number()))

    def media(self, payload: str, timestamp_ms: int) -> None:
        """Send a frame of caller audio (base64)."""
        self._chunk += 1
        self.raw(
            inbound.media(
                self._stream.stream_sid,
                sequence=self._number(),
                chunk=self._chunk,
                timestamp_ms=timestamp_ms,
                payload=payload,
            )
        )

    def media_lost(self) -> None:
        """Count a frame that never leaves: the server sees the gap in the chunk numbers."""
        self._chunk += 1

    def dtmf(self, digit: str) -> None:
        self.raw(inbound.dtmf(self._stream, sequence=self._number(), digit=digit))

    def mark(self, name: str) -> None:
        self.raw(inbound.mark(self._stream, sequence=self._number(), name=name))

    def stopped(self) -> None:
        self.raw(inbound.stopped(self._stream, sequence=self._number()))

    def raw(self, frame: str | bytes) -> None:
        """Send anything at all, as text or binary."""
        protocol, transport = self._socket.protocol, self._socket.transport
        if protocol.state is not State.OPEN:
            return
        if isinstance(frame, str):
            protocol.send_text(frame.encode())
        else:
            protocol.send_binary(frame)
        for data in protocol.data_to_send():
            transport.write(data)

    def congested(self) -> bool:
        """Say whether the server has not read for so long that audio must be thrown away."""
        return self._socket.transport.get_write_buffer_size() > CONGESTED_BYTES

    async def close(self) -> None:
        """Close the socket; break it, if the server does not even read the close frame."""
        try:
            async with asyncio.timeout(2 * _CLOSE_S):
                await self._socket.close()
        except TimeoutError:
            self.abort()
            await self._socket.wait_closed()

    def abort(self) -> None:
        """Reset the connection: no close frame, no FIN."""
        _socket_option(self._socket, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.transport.abort()

    def closed(self) -> tuple[int | None, str]:
        """Return the close code and reason, once there are any."""
        return self._socket.close_code, self._socket.close_reason or ""

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence


def _socket_option(opened: ClientConnection, option: int, value: int | bytes) -> None:
    # Event loops hand out stand-ins that may not set options; the descriptor's twin can.
    descriptor = opened.transport.get_extra_info("socket").fileno()
    if descriptor < 0:
        return  # closed already
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        twin.setsockopt(socket.SOL_SOCKET, option, value)
