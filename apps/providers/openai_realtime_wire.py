"""One connection to OpenAI's Realtime API: events out in order, events in by callback."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.providers import connections, failures
from apps.voice.ports import ProviderError

NAME = "openai_realtime"

# Messages that wait for the socket. A second of speech is 50: a vendor who takes none for so long
# is gone, and what waited is dropped with the connection.
MOST_WAITING = 1_000

Event = dict[str, Any]

# A code of theirs -> what it means to us: reason, what to say, whether to try again.
_MEANINGS: Mapping[str, tuple[str, str, bool]] = {
    "invalid_api_key": ("auth", "refuses the key", False),
    "invalid_authentication": ("auth", "refuses the key", False),
    "authentication_error": ("auth", "refuses the key", False),
    "account_deactivated": ("auth", "refuses the key", False),
    "insufficient_quota": ("quota", "has no credit left", False),
    "billing_hard_limit_reached": ("quota", "has no credit left", False),
    "rate_limit_exceeded": ("quota", "asks for patience", True),
    "session_expired": ("unavailable", "ended the session", True),
    "conversation_already_has_active_response": ("unavailable", "is still answering", True),
    "server_error": ("unavailable", "is in trouble", True),
    "content_filter": ("bad_request", "stopped its answer", False),
}
_REFUSED = ("bad_request", "refuses the request", False)


def error_of(found: Any) -> ProviderError:
    """Return our error for one of theirs: the ``error`` of an event or of a failed response."""
    code = failures.code_of({"error": found})
    meaning = _MEANINGS.get(code)
    if meaning is None:
        server = isinstance(found, dict) and found.get("type") == "server_error"
        meaning = _MEANINGS["server_error"] if server else _REFUSED
    reason, said, retryable = meaning
    message = f"{said} ({code})" if code else said
    return ProviderError(NAME, message, reason=reason, retryable=retryable)


class Wire:
    """An open session. ``take`` gets every event; ``lost`` is told once why there are no more."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._out: deque[bytes] = deque()
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._lost: Callable[[ProviderError], None] | None = None

    @classmethod
    async def open(cls, url: str, key: str, *, patience_s: float) -> Wire:
        """Connect and wait until the session exists. Raises ProviderError."""
        headers = {"Authorization": f"Bearer {key}"}
        connection = await connections.socket(NAME, url, headers, patience_s=patience_s)
        try:
            async with asyncio.timeout(patience_s):
                first = orjson.loads(await connection.recv(decode=False))
            if first["type"] == "error":
                raise error_of(first.get("error"))
            if first["type"] != "session.created":
                raise failures.unreadable(NAME)
        except BaseException as exc:
            await connections.hung_up(connection)
            if isinstance(exc, ConnectionClosed | TimeoutError):
                raise failures.lost(NAME, exc) from None
            if isinstance(exc, KeyError | TypeError | ValueError):
                raise failures.unreadable(NAME) from None
            raise
        return cls(connection)

    def start(self, take: Callable[[Event], None], lost: Callable[[ProviderError], None]) -> None:
        """Begin to read and write."""
        self._lost = lost
        self._tasks = [
            asyncio.create_task(self._read(take), name="realtime-in"),
            asyncio.create_task(self._write(), name="realtime-out"),
        ]

    def send(self, message: bytes) -> None:
        """Queue a message: JSON text."""
        self._out.append(message)
        self._more.set()
        if len(self._out) > MOST_WAITING:
            self.end(failures.lost(NAME))

    def end(self, error: ProviderError) -> None:
        """Give the connection up. Whoever was told closes it."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(error)

    async def aclose(self) -> None:
        self._lost = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await connections.hung_up(self._connection)

    async def _read(self, take: Callable[[Event], None]) -> None:
        try:
            while self._lost is not None:
                take(orjson.loads(await self._connection.recv(decode=False)))
        except ConnectionClosed as exc:
            self.end(failures.lost(NAME, exc))
        except ProviderError as exc:
            self.end(exc)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.end(failures.unreadable(NAME))

    async def _write(self) -> None:
        try:
            while True:
                while self._out:
                    await self._connection.send(self._out.popleft(), text=True)
                self._more.clear()
                await self._more.wait()
        except ConnectionClosed as exc:
            self.end(failures.lost(NAME, exc))
