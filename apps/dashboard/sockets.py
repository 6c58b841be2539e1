"""The dashboard's WebSockets: for who is logged in, from our own pages alone.

A browser sends its cookies with a socket that any page opens, so the origin is checked: the host
must be one of ALLOWED_HOSTS. Consumers check who it is and what they may, with ``viewer_of``.
"""

from __future__ import annotations

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

PREFIX = "admin/ws/"

# Patterns come from the consumers of pages: re_path(r"^admin/ws/…$", Consumer.as_asgi()).
routes: list[Any] = []


def application(unknown: Any) -> Any:
    """Return the ASGI application of every path below PREFIX. unknown: for those that none has."""
    from django.urls import re_path

    return AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([*routes, re_path(r"", unknown)]))
    )
