"""TCP and TLS for the HTTP clients, straight on the event loop's own streams.

Their usual way goes through a layer for several event loops, and enters the scope of a deadline at
every read: at fifty answers of fifty tokens a second the first token of one answer waited behind
the tokens of others (docs/performance.md has both figures). Deadlines of answers are the adapters'
own (``ServiceSettings.patience_s``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any

# RFC 8305, 5: how long one address may take before the next is tried beside it.
HEAD_START_S = 0.25
ADDRESSES = 4
GOODBYE_S = 0.1

Resolve = Callable[[str, int], Awaitable[list[str]]]
_INFO = {
    "ssl_object": "ssl_object",
    "client_addr": "sockname",
    "server_addr": "peername",
    "socket": "socket",
}


async def resolved(host: str, port: int) -> list[str]:
    """Return a name's addresses, best first. Raises OSError if it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class LoopStream:
    """One connection, as ``httpcore.AsyncNetworkStream``. core: the library whose errors it raises.

    Deadlines that the client gives are kept, where it gives any.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, core: ModuleType
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._core = core

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        try:
            if timeout is None:
                return await self._reader.read(max_bytes)
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except TimeoutError:
            raise self._core.ReadTimeout from None
        except OSError as exc:
            raise self._core.ReadError(type(exc).__name__) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        try:
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()
        except TimeoutError:
            raise self._core.WriteTimeout from None
        except (OSError, RuntimeError) as exc:  # uvloop raises the latter on a closed transport
            raise self._core.WriteError(type(exc).__name__) from None

    async def aclose(self) -> None:
        self._writer.close()
        # TLS says goodbye in its own time; nobody waits for it.
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._writer.wait_closed()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> LoopStream:
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except TimeoutError:
            raise self._core.ConnectTimeout from None
        except OSError as exc:
            raise self._core.ConnectError(type(exc).__name__) from None
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # An idle connection has nothing to read but its end, and the loop has read that.
            return self._reader.at_eof() or self._writer.is_closing()
        return self._writer.get_extra_info(_INFO[info]) if info in _INFO else None


class LoopBackend:
    """Opens connections, as ``httpcore.AsyncNetworkBackend``. resolve: which addresses to try."""

    def __init__(self, core: ModuleType, resolve: Resolve = resolved) -> None:
        self._core = core
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> LoopStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
                reader, writer = await _first(addresses[:ADDRESSES], port)
        except TimeoutError:
            raise self._core.ConnectTimeout from None
        except OSError as exc:
            raise self._core.ConnectError(type(exc).__name__) from None
        return LoopStream(reader, writer, self._core)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> LoopStream:
        raise self._core.ConnectError("unix sockets are not reached by URL")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _first(addresses: list[str], port: int) -> Streams:
    """Connect to whichever address answers first; each has a head start over the next.

    Raises OSError: the last failure.
    """
    tries: list[asyncio.Task[Streams]] = []
    chosen: asyncio.Task[Streams] | None = None
    left = list(addresses)
    try:
        while chosen is None:
            if left:
                tries.append(asyncio.create_task(asyncio.open_connection(left.pop(0), port)))
            pending = [attempt for attempt in tries if not attempt.done()]
            if pending:
                await asyncio.wait(
                    pending,
                    timeout=HEAD_START_S if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            chosen = next(filter(_succeeded, tries), None)
            if not left and all(attempt.done() for attempt in tries):
                break
        if chosen is None:
            raise _failure(tries)
        return chosen.result()
    finally:
        await _abandon([attempt for attempt in tries if attempt is not chosen])


def _succeeded(attempt: asyncio.Task[Streams]) -> bool:
    return attempt.done() and attempt.exception() is None


def _failure(tries: list[asyncio.Task[Streams]]) -> BaseException:
    errors = [attempt.exception() for attempt in tries]
    return errors[-1] or OSError("no address") if errors else OSError("no address")


async def _abandon(tries: list[asyncio.Task[Streams]]) -> None:
    """Give up attempts that nobody waits for, and close what they opened."""
    for attempt in tries:
        attempt.cancel()
    for found in await asyncio.gather(*tries, return_exceptions=True):
        if not isinstance(found, BaseException):
            found[1].close()
