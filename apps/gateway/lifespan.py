"""The server's start and end: models are warm before the first call, calls end before the last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from apps.gateway.runtime import gateway, gateway_close
from apps.gateway.stock import stock_clips
from apps.providers import registry, workers

logger = logging.getLogger(__name__)


async def lifespan(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Implement ASGI's lifespan protocol."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await _start()
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await gateway_close()
            await asyncio.to_thread(workers.shutdown)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _start() -> None:
    gateway()
    await asyncio.to_thread(stock_clips)
    if not settings.WARM_UP:
        return
    try:
        await registry.warm_up()
    except Exception:  # a model that does not load must not keep the server from starting
        logger.exception("Local models did not load")
