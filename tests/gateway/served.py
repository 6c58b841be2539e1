"""The application, served over a real port, for a client that speaks like Twilio's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn

from apps.gateway.runtime import gateway_close
from botsconfig.asgi import application


@contextlib.asynccontextmanager
async def gateway_served() -> AsyncIterator[str]:
    """Serve until the block ends; yields the media socket's URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(
        application, port=port, ws="websockets-sansio", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{port}/media/twilio"
    await gateway_close()
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await serving
