"""Waiting for a deadline on any clock, unless something comes up before."""

from __future__ import annotations

import asyncio

from apps.voice.ports import Clock


class Pace:
    """One task's alarm. Absolute deadlines: being late once does not make it late for good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False

    async def until(self, when: float) -> None:
        """Return at that time, or as soon as somebody calls ``wake``."""
        if self._woken or self._clock.now() >= when:
            self._woken = False
            await asyncio.sleep(0)  # one who is late must not starve the others
            return
        self._waiter = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(when, self._ring)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def wake(self) -> None:
        """End the wait; if nobody waits, the next one."""
        if self._waiter is None or self._waiter.done():
            self._woken = True
        else:
            self._ring()

    def _ring(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
