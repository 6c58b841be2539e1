"""The production clock: the event loop's timers over the system's monotonic time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class LoopClock:
    """Implements ``ports.Clock``.

    ``now`` asks the system, not the loop: uvloop caches its time for a whole iteration, in whole
    milliseconds, which is too coarse to measure a latency with.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, when - time.monotonic()), callback)
