"""The dashboard's WebSockets: for who is logged in, from our own pages alone.

A browser sends its cookies with a socket that any page opens, so the origin is checked: the host
must be one of ALLOWED_HOSTS. Only staff come through, with a second factor if one is required;
consumers check who it is and what they may, with ``viewer_of``.
"""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import re_path

from apps.dashboard.consumers.live import LiveConsumer
from apps.dashboard.consumers.watch import WatchConsumer
from apps.dashboard.gate import may_enter

PREFIX = "admin/ws/"

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# What comes behind PREFIX.
routes: list[Any] = [
    re_path(r"^live$", LiveConsumer.as_asgi()),
    re_path(rf"^calls/(?P<pk>{UUID})/watch$", WatchConsumer.as_asgi()),
]


def application(unknown: Any) -> Any:
    """Return the ASGI application of every path below PREFIX. unknown: for those that none has."""
    return AllowedHostsOriginValidator(
        AuthMiddlewareStack(gated(URLRouter([*routes, re_path(r"", unknown)])))
    )


def gated(inner: Any) -> Any:
    """Refuse a socket (403) to who may not enter the dashboard: see ``gate.may_enter``."""

    async def check(scope: Any, receive: Any, send: Any) -> None:
        if await database_sync_to_async(may_enter)(scope["user"]):
            await inner(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    return check
