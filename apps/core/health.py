"""Is this process ready for work? Probes by name; other apps register their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import cache

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

logger = logging.getLogger(__name__)

# Returns what is wrong, or an empty text. May raise.
Probe = Callable[[], str]

LAYER_PATIENCE_S = 2.0

_probes: dict[str, Probe] = {}


def register(name: str, probe: Probe) -> None:
    """Add a probe, or replace the one of that name."""
    _probes[name] = probe


def unregister(name: str) -> None:
    """Take a probe away."""
    _probes.pop(name, None)


def readiness() -> dict[str, str]:
    """Run every probe; ``ok`` or what is wrong, by name."""
    return {name: _run(name, probe) for name, probe in _probes.items()}


def _run(name: str, probe: Probe) -> str:
    try:
        return probe() or "ok"
    except Exception as exc:
        logger.warning("A readiness probe failed", extra={"probe": name}, exc_info=exc)
        return f"failed: {type(exc).__name__}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    try:
        return _all_migrated()
    except LookupError as exc:
        return str(exc)


@cache
def _all_migrated() -> str:
    # Remembered once true: what has been applied stays applied while this code runs. A LookupError
    # is not remembered.
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        raise LookupError(f"{len(waiting)} migrations are not applied")
    return ""


def _channel_layer() -> str:
    return async_to_sync(_layer_carries)()


async def _layer_carries() -> str:
    layer = get_channel_layer()
    if layer is None:
        return "there is none"
    async with asyncio.timeout(LAYER_PATIENCE_S):
        channel = await layer.new_channel("readyz")
        await layer.send(channel, {"type": "readyz"})
        await layer.receive(channel)
    return ""


register("database", _database)
register("migrations", _migrations)
register("channel_layer", _channel_layer)
