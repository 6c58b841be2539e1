"""The dashboard's WebSockets: for who is logged in, from our own pages alone.

A browser sends its cookies with a socket that any page opens, so the origin is checked: the host
must be one of ALLOWED_HOSTS. Consumers check who it is and what they may, with ``viewer_of``.
"""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import re_path

from apps.dashboard.consumers.watch import WatchConsumer

PREFIX = "admin/ws/"

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# What comes behind PREFIX.
routes: list[Any] = [
    re_path(rf"^calls/(?P<pk>{UUID})/watch$", WatchConsumer.as_asgi()),
]


def application(unknown: Any) -> Any:
    """Return the ASGI application of every path below PREFIX. unknown: for those that none has."""
    return AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([*routes, re_path(r"", unknown)]))
    )
