"""The server's start and end: models are warm before the first call, calls end before the last."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
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
            _steady()
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await gateway_close()
            await asyncio.to_thread(workers.shutdown)
            await send({"type": "lifespan.shutdown.complete"})
            return


def _steady() -> None:
    """Keep the loop's pauses short.

    Everything loaded by now lives as long as the process, so the collector need not walk it again:
    a full collection over Django's heap stops every call for tens of ms. And a thread that writes
    rows gives Python's lock back after 0.5 ms instead of 5, which a frame would have to wait.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(0.0005)


async def _start() -> None:
    gateway()
    await asyncio.to_thread(stock_clips)
    if not settings.WARM_UP:
        return
    try:
        await registry.warm_up()
    except Exception:  # a model that does not load must not keep the server from starting
        logger.exception("Local models did not load")
