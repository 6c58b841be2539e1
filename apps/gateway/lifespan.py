"""The server's start and end: models are warm before the first call, calls end before the last."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.db import connection

from apps.bots.selectors import providers_in_use
from apps.gateway.runtime import gateway, gateway_close
from apps.gateway.stock import stock_clips
from apps.providers import registry, workers

logger = logging.getLogger(__name__)

# Net new objects before a young collection, and young ones before an older: audio makes none that
# stay, so only calls that come and go count. With Python's own 700, 10, 10 a full pass came within
# a minute of 300 calls arriving and stopped all of them for 30 ms; now an ended call's cycles may
# lie there until some thousand calls have come (60 kB each).
COLLECT_AFTER = (10_000, 10, 10)


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
    a full collection over Django's heap stops every call for tens of ms. What comes later is walked
    rarely. And a thread that writes rows gives Python's lock back after 0.5 ms instead of 5, which
    a frame would have to wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(0.0005)


def _import_used() -> None:
    """Import the SDKs of the vendors that bots of this server name, before a caller needs them."""
    try:
        registry.import_ahead(providers_in_use())
    except Exception:  # the first call imports them then
        logger.exception("Vendors' SDKs were not imported ahead")
    finally:
        connection.close()


async def _start() -> None:
    gateway()
    await asyncio.to_thread(stock_clips)
    await asyncio.to_thread(_import_used)
    if not settings.WARM_UP:
        return
    try:
        await registry.warm_up()
    except Exception:  # a model that does not load must not keep the server from starting
        logger.exception("Local models did not load")
