"""Says every two seconds that this process lives. In a thread of its own: the loop has audio."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import uuid
from collections.abc import Callable

from django.db import connection

from apps.calls.processes import BEAT_S, process_beat, process_end

logger = logging.getLogger(__name__)


class Heartbeat:
    """Owns the thread; ``aclose`` ends it, and takes the process off the list.

    A process that was killed stays on it, and is missed after ten seconds. One that cannot reach
    the database says so once, goes on, and is missed too: what it writes of its calls is lost
    just as well.
    """

    def __init__(self, process_id: uuid.UUID, *, every_s: float = BEAT_S) -> None:
        self._id = process_id
        self._every_s = every_s
        self._over = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """End it; waits for a beat under way."""
        self._over.set()
        await asyncio.to_thread(self._thread.join, 5)

    def _run(self) -> None:
        host = socket.gethostname()
        self._try(lambda: process_beat(self._id, host=host))
        while not self._over.wait(self._every_s):
            self._try(lambda: process_beat(self._id, host=host))
        self._try(lambda: process_end(self._id))
        connection.close()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the edge of a thread
            if not self._failed:
                logger.exception("A heartbeat failed")
            self._failed = True
            connection.close()
        else:
            self._failed = False
