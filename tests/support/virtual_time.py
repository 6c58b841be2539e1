"""An event loop whose seconds cost nothing: when it would wait, its clock jumps instead."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

Params = ParamSpec("Params")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, tells its loop to be there already."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("Nothing is scheduled and nothing can happen: a deadlock")
            self.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 1,000 s, so that a forgotten absolute time shows."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return 1_000.0 + self._jumping.passed


class VirtualClock:
    """Implements ``ports.Clock`` over the running virtual loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(when, callback)


def in_virtual_time(
    test: Callable[Params, Coroutine[Any, Any, None]],
) -> Callable[Params, None]:
    """Run an async test to its end on a loop of its own; leave no task behind."""

    @wraps(test)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            assert not left, f"tasks left running: {left}"
        finally:
            loop.close()

    return run
