"""HTTP and WebSocket in one application; the server's start and end in its lifespan."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")
# Django first: it loads the apps that the rest imports.
http = get_asgi_application()

from apps.dashboard import sockets  # noqa: E402
from apps.gateway.consumers import MediaStreamConsumer  # noqa: E402
from apps.gateway.lifespan import lifespan  # noqa: E402
from botsconfig.door import TwilioDoor  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _unknown_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Close a socket on a path that is none of ours: 403, where Channels would fail with 500."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})


application = ProtocolTypeRouter(
    {
        "http": TwilioDoor(http),
        # No origin check at the media socket: Twilio sends no Origin, and its token is all that
        # opens it. The dashboard's own sockets check theirs.
        "websocket": URLRouter(
            [
                re_path(r"^media/twilio/?$", MediaStreamConsumer.as_asgi()),
                re_path(rf"^{sockets.PREFIX}", sockets.application(_unknown_socket)),
                re_path(r"", _unknown_socket),  # type: ignore[arg-type]
            ]
        ),
        "lifespan": lifespan,
    }
)
