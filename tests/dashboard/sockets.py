"""A page's end of a WebSocket of the dashboard, over the real application."""

from __future__ import annotations

from typing import Any

import orjson
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from botsconfig.asgi import application
from tests.support.login import session_of as session_of

# asgiref publishes no types for it.
_UNTYPED: Any = ApplicationCommunicator
ORIGIN = "http://127.0.0.1:8000"


class PageSocket:
    """A socket that a page opens. session: that of who is logged in; None: nobody is."""

    def __init__(
        self,
        path: str,
        session: SessionStore | None,
        *,
        query: str = "",
        origin: str = ORIGIN,
        host: str = "127.0.0.1:8000",
        scheme: str = "ws",
    ) -> None:
        cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}" if session else ""
        headers = [(b"host", host.encode()), (b"cookie", cookie.encode())]
        if origin:
            headers.append((b"origin", origin.encode()))
        self._socket = _UNTYPED(
            application,
            {
                "type": "websocket",
                "scheme": scheme,
                "path": path,
                "query_string": query.encode(),
                "headers": headers,
                "subprotocols": [],
            },
        )
        self.heard = bytearray()

    async def connect(self) -> bool:
        """Return whether it was let in. One that was not leaves, as a browser does."""
        await self._socket.send_input({"type": "websocket.connect"})
        event = await self._socket.receive_output(5)
        let_in = event["type"] == "websocket.accept"
        if not let_in:
            await self.leave()
        return bool(let_in)

    async def event(self) -> dict[str, Any]:
        """Return the next event; voices are kept in ``heard``."""
        while True:
            event = await self._socket.receive_output(8)
            if event["type"] == "websocket.close":
                return {"kind": "close", "code": event.get("code", 1000)}
            if event.get("bytes"):
                self.heard += event["bytes"]
            else:
                found: dict[str, Any] = orjson.loads(event["text"])
                return found

    async def text(self) -> str:
        """Return the next text message as it is; a number where the socket was closed: its code."""
        event = await self._socket.receive_output(8)
        if event["type"] == "websocket.close":
            return str(event.get("code", 1000))
        return str(event["text"])

    async def until(self, kind: str) -> dict[str, Any]:
        """Read until an event of that kind."""
        while (event := await self.event())["kind"] != kind:
            assert event["kind"] != "close", event
        return event

    async def leave(self) -> None:
        await self._socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await self._socket.wait(5)
