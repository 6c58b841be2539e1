"""The dashboard's WebSockets: for who is logged in, from our own pages alone.

A browser sends its cookies with a socket that any page opens, so the origin is checked, see
``own_pages``. Only staff come through, with a second factor if one is required;
consumers check who it is and what they may, with ``viewer_of``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.urls import re_path

from apps.dashboard.consumers.live import LiveConsumer
from apps.dashboard.consumers.watch import WatchConsumer
from apps.dashboard.gate import may_enter

PREFIX = "admin/ws/"

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Where a page comes from (RFC 6454). scheme: http or https."""

    scheme: str
    host: str
    port: int


# What comes behind PREFIX.
routes: list[Any] = [
    re_path(r"^live$", LiveConsumer.as_asgi()),
    re_path(rf"^calls/(?P<pk>{UUID})/watch$", WatchConsumer.as_asgi()),
]


def application(unknown: Any) -> Any:
    """Return the ASGI application of every path below PREFIX. unknown: for those that none has."""
    return own_pages(AuthMiddlewareStack(gated(URLRouter([*routes, re_path(r"", unknown)]))))


def own_pages(inner: Any) -> Any:
    """Refuse a socket (403) that a page of another origin opens, or something that is no page.

    Our own have PUBLIC_URL's origin, or host and port of the handshake's Host header, which is one
    of ALLOWED_HOSTS. Another port of this host is another server.
    """

    async def check(scope: Any, receive: Any, send: Any) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = _origin(headers.get(b"origin", ""))
        if origin is not None and _is_own(origin, headers.get(b"host", ""), scope):
            await inner(scope, receive, send)
        else:
            await _refuse(receive, send)

    return check


def _is_own(origin: Origin, host: str, scope: Any) -> bool:
    public = _origin(settings.PUBLIC_URL)
    if origin == public:
        return True
    # A proxy that ends TLS may leave unsaid that there was any: then the page's word counts.
    encrypted = scope.get("scheme") == "wss" or (
        public is not None and public.scheme == "https" and public.host == origin.host
    )
    if encrypted and origin.scheme != "https":
        return False
    name, _ = split_domain_port(host.lower())
    asked = _origin(f"{origin.scheme}://{host}")
    return asked == origin and validate_host(name, settings.ALLOWED_HOSTS)


def _origin(text: str) -> Origin | None:
    """Read an origin; None for what is none, such as ``null``. The port is the scheme's own, where
    none is named."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return Origin(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


async def _refuse(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


def gated(inner: Any) -> Any:
    """Refuse a socket (403) to who may not enter the dashboard: see ``gate.may_enter``."""

    async def check(scope: Any, receive: Any, send: Any) -> None:
        if await database_sync_to_async(may_enter)(scope["user"], scope["session"]):
            await inner(scope, receive, send)
            return
        await _refuse(receive, send)

    return check
