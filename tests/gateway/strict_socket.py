"""A server's side of a socket that takes nothing after its end, and may stop taking anything."""

from __future__ import annotations

import asyncio
from typing import Any

from apps.gateway.protocol import EXTENSION
from botsconfig.asgi import application

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "path": "/media/twilio",
    "headers": [],
    "subprotocols": [],
}


class StrictSocket:
    """Stands in for the communicator of a ``Phone``.

    A message to a socket that is gone fails, as with uvicorn, and is remembered. deaf: what is
    sent is not taken any more, as by a peer that has stopped reading. broken: the application has
    broken the connection.
    """

    def __init__(self) -> None:
        self.deaf = False
        self.late: list[str] = []
        self.broken = asyncio.Event()
        self._gone = False
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        reins = {"attach": lambda sink: False, "abort": self.broken.set}
        scope = {**SCOPE, "extensions": {EXTENSION: reins}}
        self._serving = asyncio.ensure_future(application(scope, self._inbox.get, self._take))

    async def send_input(self, event: dict[str, Any]) -> None:
        self._gone = self._gone or event["type"] == "websocket.disconnect"
        self._inbox.put_nowait(event)

    async def receive_output(self, patience_s: float) -> dict[str, Any]:
        async with asyncio.timeout(patience_s):
            return await self._outbox.get()

    async def wait(self, patience_s: float = 5) -> None:
        """Wait until the application has done with it. Raises what the application did."""
        async with asyncio.timeout(patience_s):
            await self._serving

    async def _take(self, event: dict[str, Any]) -> None:
        if self._gone:
            self.late.append(event["type"])
            raise RuntimeError("Unexpected ASGI message after the socket was closed.")
        if self.deaf:
            await asyncio.Event().wait()
        self._outbox.put_nowait(event)
