"""Time that costs nothing: a clock whose seconds pass when a test says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class _Due:
    when: float
    number: int
    callback: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Implements ``ports.Clock`` in virtual seconds. ``LoopClock`` is the real one."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._number = 0
        self._due: list[_Due] = []

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> _Due:
        self._number += 1
        due = _Due(max(when, self._now), self._number, callback)
        heapq.heappush(self._due, due)
        return due

    def advance(self, seconds: float) -> None:
        """Let time pass; what falls due runs at its own time, in order."""
        until = self._now + seconds
        while self._due and self._due[0].when <= until:
            due = heapq.heappop(self._due)
            self._now = due.when
            if not due.cancelled:
                due.callback()
        self._now = until
