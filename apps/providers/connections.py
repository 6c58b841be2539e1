"""Connections to vendors: one pool of HTTP connections a process, WebSockets one a call.

HTTP connections are kept open between calls, for a handshake costs the caller three round trips.
They carry no key (each request does), so that accounts may share them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import httpcore
import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from apps.providers import failures
from apps.providers.guard import GuardedTransport
from apps.providers.network import LoopBackend
from apps.voice.ports import ProviderError

# A connection that nobody used for so long is closed; most vendors close theirs after a minute.
IDLE_S = 55.0
KEPT = 200
CONNECT_S = 3.0
# A message of a second of 48 kHz audio as base64 has 128 kB; a vendor's history may have more.
LARGEST = 8 * 1024 * 1024
# At DEBUG the library writes down every header, the key among them, and every message. This logger
# stands in no tree: nobody's settings can raise its level.
_SILENT = logging.Logger("websockets", logging.CRITICAL)  # noqa: LOG001

_clients: MutableMapping[asyncio.AbstractEventLoop, dict[str, Any]] = WeakKeyDictionary()
_closers: MutableMapping[asyncio.AbstractEventLoop, list[Callable[[], Awaitable[None]]]] = (
    WeakKeyDictionary()
)


@functools.cache
def tls() -> ssl.SSLContext:
    """Return the trust store, read once: reading it takes 20 ms."""
    return ssl.create_default_context()


def http(*, guarded: bool = False) -> httpx.AsyncClient:
    """Return the running loop's HTTP client.

    guarded: for URLs that users give; it reaches no private network. Follows no redirects. Nobody
    but ``aclose`` closes it.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    name = "guarded" if guarded else "open"
    found: httpx.AsyncClient | None = clients.get(name)
    if found is None:
        found = clients[name] = _client(guarded)
    return found


def http2() -> Any:
    """Return the running loop's ``httpx2.AsyncClient``, for SDKs that take no other.

    httpx2 comes with those SDKs: import them first. As with ``http``, nobody closes it.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if "httpx2" not in clients:
        httpx2 = importlib.import_module("httpx2")
        transport = httpx2.AsyncHTTPTransport(verify=tls())
        transport._pool = _pool(importlib.import_module("httpcore2"))
        clients["httpx2"] = httpx2.AsyncClient(
            transport=transport,
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            trust_env=False,
        )
    return clients["httpx2"]


def _pool(core: ModuleType) -> Any:
    """Return a pool of connections on the loop's own streams. core: httpcore, or its successor."""
    return core.AsyncConnectionPool(
        ssl_context=tls(),
        max_connections=None,
        max_keepalive_connections=KEPT,
        keepalive_expiry=IDLE_S,
        network_backend=LoopBackend(core),
    )


def _client(guarded: bool) -> httpx.AsyncClient:
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=KEPT, keepalive_expiry=IDLE_S
    )
    transport: httpx.AsyncBaseTransport
    if guarded:
        transport = GuardedTransport(limits=limits, verify=tls())
    else:
        transport = httpx.AsyncHTTPTransport(verify=tls())
        transport._pool = _pool(httpcore)
    client = httpx.AsyncClient(
        transport=transport, timeout=httpx.Timeout(None, connect=CONNECT_S), trust_env=False
    )
    # The client is everybody's: a cookie that one account's request brings is not sent with
    # another's, nor kept.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def at_close(closer: Callable[[], Awaitable[None]]) -> None:
    """Have the running loop's ``aclose`` call ``closer`` once: for what other modules share."""
    _closers.setdefault(asyncio.get_running_loop(), []).append(closer)


async def aclose() -> None:
    """Close the running loop's HTTP connections, and what was given to ``at_close``."""
    loop = asyncio.get_running_loop()
    for client in _clients.pop(loop, {}).values():
        await client.aclose()
    for closer in _closers.pop(loop, []):
        with contextlib.suppress(Exception):
            await closer()


@asynccontextmanager
async def closing() -> AsyncIterator[None]:
    """Close what was opened within: for work that has an event loop of its own."""
    try:
        yield
    finally:
        await aclose()


async def socket(
    provider: str, url: str, headers: Mapping[str, str], *, patience_s: float, **more: Any
) -> ClientConnection:
    """Open a WebSocket. url: ws(s):// or http(s)://. more: of ``websockets.connect``.

    Raises ProviderError: by the status of a refused handshake, or for a lost or silent vendor.
    """
    address = url.replace("http", "ws", 1) if url.startswith("http") else url
    if address.startswith("wss:"):
        more = {"ssl": tls(), **more}
    more = {"logger": _SILENT, **more}
    try:
        return await connect(
            address,
            additional_headers=dict(headers),
            compression=None,
            max_size=LARGEST,
            open_timeout=patience_s,
            close_timeout=1.0,
            proxy=None,
            **more,
        )
    except InvalidStatus as exc:
        raise failures.status_error(provider, exc.response.status_code) from None
    except (TimeoutError, OSError, InvalidHandshake, EOFError) as exc:
        raise failures.lost(provider, exc) from None


async def hung_up(connection: ClientConnection | None) -> None:
    """Close a WebSocket; does not wait long, does not raise."""
    if connection is not None:
        with contextlib.suppress(Exception):
            await connection.close()


async def sdk(provider: str, module: str, extra: str) -> ModuleType:
    """Import a vendor's SDK on its first use, in a thread: it takes up to a second.

    Raises ProviderError (missing_extra) that names the extra.
    """
    try:
        return await asyncio.to_thread(importlib.import_module, module)
    except ImportError:
        message = f"{module} is not installed: pip install 'botsconfig[{extra}]'"
        raise ProviderError(provider, message, reason="missing_extra") from None
