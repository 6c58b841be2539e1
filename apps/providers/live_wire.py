"""What sets the vendors' live protocols apart, as ``live_ears`` asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.providers import failures
from apps.providers.connections import hung_up
from apps.providers.live_words import Said
from apps.voice.ports import ProviderError

# Pings find a connection that is dead at the other end; the libraries' 20 s are long on the phone.
PINGS = {"ping_interval": 5.0, "ping_timeout": 5.0}

Place = Callable[[float], int]


class Wire(Protocol):
    """A vendor's protocol.

    whole: it is sent all audio, not utterances alone. early: it is asked for its final words at
    each pause already. endpoints: its ``turn_over`` counts. regular: it speaks of silence too.
    chunk, least, most: bytes of audio a message should, must and may have. idle_s: how long a
    connection may carry nothing; 0 where that does not matter. nothing_s: how long to wait for
    words that the vendor has shown no sign of; None where it always answers.
    """

    whole: bool
    early: bool
    endpoints: bool
    regular: bool
    chunk: int
    least: int
    most: int
    idle_s: float
    nothing_s: float | None

    async def connect(self, patience_s: float) -> ClientConnection:
        """Open a session and return it ready for audio. Raises ProviderError."""

    def audio(self, piece: bytes) -> bytes | str: ...

    def flush(self, ticket: int) -> str:
        """Return what asks for final words at once; empty where nothing does."""

    def idle(self) -> bytes | str: ...

    def goodbye(self) -> str:
        """Return what ends the session and its bill; empty if closing does."""

    def read(self, data: dict[str, Any], place: Place) -> Said | None:
        """Read a message. place: from seconds of the session's audio to the call's bytes.

        Raises ProviderError if the session is over, and whatever a dict raises if the message is
        not what the vendor documents.
        """

    def closed(self, code: int, reason: str) -> ProviderError:
        """Say why the vendor closed the connection."""


async def greeted(
    name: str,
    socket: ClientConnection,
    patience_s: float,
    *,
    close: Callable[[int, str], Exception],
) -> dict[str, Any]:
    """Return a session's first message, a JSON object. Raises ProviderError, and closes then.

    close: says what a close code means.
    """
    try:
        async with asyncio.timeout(patience_s):
            data = orjson.loads(await socket.recv())
        if isinstance(data, dict):
            return data
        error: Exception = failures.unreadable(name)
    except ConnectionClosed:
        error = close(socket.close_code or 1006, socket.close_reason or "")
    except TimeoutError:
        error = failures.silent(name)
    except ValueError:
        error = failures.unreadable(name)
    except asyncio.CancelledError:
        await hung_up(socket)
        raise
    await hung_up(socket)
    raise error


def ended(provider: str, code: str | int) -> ProviderError:
    """Return the error for a session that the vendor ends. code: the vendor's own."""
    told = code if isinstance(code, int) else failures.code_of({"code": code})
    message = f"ended the session ({told})" if told else "ended the session"
    return ProviderError(provider, message, reason="unavailable", retryable=True)
