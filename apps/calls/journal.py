"""Writes down what happens in calls: a bounded queue, a thread, and batches.

The audio path only ever appends to a list. Turns and ends are never dropped before events are;
what is dropped is counted and logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from apps.calls.entries import Entry, Happened
from apps.calls.services import entries_write

logger = logging.getLogger(__name__)

FLUSH_S = 0.2
# About ten minutes of a busy process with its database gone.
QUEUE = 50_000
# Above this, events are no longer taken: room is kept for turns and ends.
EVENTS_UP_TO = 40_000
BATCH = 500
RETRY_S = (0.5, 1.0, 2.0, 5.0)


class JournalWriter:
    """Owns one task and one thread; ``aclose`` writes the rest and ends both.

    write: stores a batch, in the thread. watch: sees every batch, on the loop.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Entry]], None] = entries_write,
        *,
        watch: Callable[[Sequence[Entry]], None] | None = None,
    ) -> None:
        self._write = write
        self._watch = watch
        self._queue: list[Entry] = []
        self._dropped = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._closing = False
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._task = asyncio.create_task(self._run())

    def record(self, entry: Entry) -> None:
        """Take an entry, at once."""
        limit = EVENTS_UP_TO if isinstance(entry, Happened) else QUEUE
        if len(self._queue) < limit:
            self._queue.append(entry)
        else:
            self._dropped += 1

    async def flushed(self, patience_s: float) -> None:
        """Wait until everything recorded so far is stored, but no longer than that."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done, patience_s)

    async def aclose(self) -> None:
        """Write what is left, for as long as the database takes within ten seconds."""
        self._closing = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._task, 10)
        if self._queue:
            logger.error("Journal entries were lost", extra={"entries": len(self._queue)})
        await asyncio.get_running_loop().run_in_executor(self._thread, _disconnect)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            # Asked before the flush: what was recorded before is in it.
            closing, waiting, self._waiting = self._closing, self._waiting, []
            self._wake.clear()
            await self._flush()
            for done in waiting:
                if not done.done():
                    done.set_result(None)
            if closing:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), FLUSH_S)

    async def _flush(self) -> None:
        if self._dropped:
            logger.error("The journal was full", extra={"dropped": self._dropped})
            self._dropped = 0
        while self._queue:
            batch = self._queue[:BATCH]
            if self._watch is not None:
                self._watch(batch)
            await self._store(batch)
            del self._queue[: len(batch)]

    async def _store(self, batch: Sequence[Entry]) -> None:
        loop = asyncio.get_running_loop()
        for pause in (*RETRY_S, None):
            try:
                await loop.run_in_executor(self._thread, self._store_now, batch)
                return
            except Exception:  # the edge of a task
                logger.exception("Writing the journal failed", extra={"entries": len(batch)})
            if pause is not None:
                await asyncio.sleep(pause)
        # One entry that can never be written must not take the others with it.
        for entry in batch:
            try:
                await loop.run_in_executor(self._thread, self._store_now, [entry])
            except Exception:  # the edge of a task
                logger.exception("A journal entry was lost", extra={"kind": type(entry).__name__})

    def _store_now(self, batch: Sequence[Entry]) -> None:
        # The connection is kept from batch to batch: closing SQLite's last one writes its whole
        # log back, five times a second. One that fails is dropped; the retry opens another.
        try:
            self._write(batch)
        except Exception:
            connection.close()
            raise


def _disconnect() -> None:
    """Close this thread's own connection; asked elsewhere, it would be another thread's."""
    connection.close()
