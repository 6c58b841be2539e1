"""Threads that keep their database connections, beside an event loop.

Under ASGI each request of Django's has a thread of its own, and opens a connection anew: that is
most of what a short request takes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

Result = TypeVar("Result")
CLOSE_S = 5.0


class DatabaseThreads:
    """A few threads. Whoever made them awaits ``aclose``."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something in one of them, as ``twice`` does."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, twice, work)

    async def aclose(self) -> None:
        """Give the database its connections back: each thread closes its own."""
        barrier = threading.Barrier(self._count)

        def close() -> None:
            barrier.wait(CLOSE_S)
            connection.close()

        loop = asyncio.get_running_loop()
        closing = [loop.run_in_executor(self._threads, close) for _ in range(self._count)]
        await asyncio.gather(*closing)
        self._threads.shutdown(wait=False)


_shared: dict[tuple[asyncio.AbstractEventLoop, str], DatabaseThreads] = {}


def shared(name: str, count: int) -> DatabaseThreads:
    """Return the running loop's threads of that name; the first call starts them."""
    key = asyncio.get_running_loop(), name
    if key not in _shared:
        _shared[key] = DatabaseThreads(count, name)
    return _shared[key]


async def shared_close() -> None:
    """End what the running loop shares, at the server's end."""
    loop = asyncio.get_running_loop()
    for key in [key for key in _shared if key[0] is loop]:
        await _shared.pop(key).aclose()


def twice(work: Callable[[], Result]) -> Result:
    """Do something, and again if the thread's connection turns out to have died."""
    try:
        return work()
    except (InterfaceError, OperationalError):
        # Connections are kept; this one has died meanwhile, as when the server restarts.
        connection.close()
        return work()
