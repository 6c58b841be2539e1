"""Serves an ASGI application on loopback from a running event loop, and stops it at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(
    app: Any, *, host: str = "127.0.0.1", port: int = 0, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[str]:
    """Serve until the block ends; yields the origin. port 0: any that is free.

    tls: files of a certificate chain and its key. Raises OSError if the port is taken.
    """
    listener = socket.create_server((host, port))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
        ssl_certfile=None if tls is None else tls[0],
        ssl_keyfile=None if tls is None else tls[1],
    )
    config.load()
    server = uvicorn.Server(config)
    # Not ``serve``: it takes the process's signals, and ends on a tick of 100 ms.
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://{host}:{listener.getsockname()[1]}"
    finally:
        await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    tasks = list(server.server_state.tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for listener in server.servers:
        await listener.wait_closed()
