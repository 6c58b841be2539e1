"""Threads in which local models run: one lane per model, so that no model meets two threads.

A model shared by all calls is loaded, used and warmed up in its own lane and nowhere else; that
takes the place of a lock, and jobs of different models never wait for each other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


class LaneFull(RuntimeError):
    """More jobs wait than the lane takes: the server has more calls than its CPU can carry."""


class Lane:
    """One named thread (or ``threads`` of them, for what is thread-safe) and a bounded backlog.

    backlog: jobs that may wait or run at once; more are refused with LaneFull, never queued.
    """

    def __init__(self, name: str, *, threads: int = 1, backlog: int = 64) -> None:
        self.name = name
        self._threads = threads
        self._backlog = backlog
        self._lock = threading.Lock()
        self._jobs = 0
        self._pool: ThreadPoolExecutor | None = None

    @property
    def idle(self) -> bool:
        """Whether no job runs or waits."""
        return self._jobs == 0

    async def run(self, job: Callable[..., Result], *args: Any) -> Result:
        """Run ``job(*args)`` in the lane and return what it returns or raises.

        Cancelling the wait withdraws a job that has not started. One that has runs to its end and
        its result is dropped: a model is never interrupted halfway. Raises LaneFull, and
        RuntimeError if the lane is shut down before the job's turn.
        """
        try:
            return await asyncio.wrap_future(self._submit(job, *args))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the wait: an answer is due, and will not come from this lane.
            raise RuntimeError(f"{self.name} was shut down") from None

    def shutdown(self) -> None:
        """Withdraw what waits, wait for what runs, end the threads. The next job starts anew."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, job: Callable[..., Result], *args: Any) -> Future[Result]:
        with self._lock:
            if self._jobs >= self._backlog:
                raise LaneFull(f"{self._jobs} jobs wait for {self.name}")
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, f"local-{self.name}")
            self._jobs += 1
            future = self._pool.submit(job, *args)
        future.add_done_callback(self._forget)
        return future

    def _forget(self, _: Future[Any]) -> None:
        with self._lock:
            self._jobs -= 1


EARS = Lane("ears")
VOICE = Lane("voice")
# llama.cpp batches what runs at once; a thread here only waits for its words.
GGUF = Lane("gguf", threads=4, backlog=16)


def shutdown() -> None:
    """End every lane. Blocks until the jobs that run have ended (a second at most)."""
    for lane in (EARS, VOICE, GGUF):
        lane.shutdown()
