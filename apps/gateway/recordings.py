"""Recording in the gateway, off the audio path: pieces go to a thread, the thread to the disk.

What is complete is laid out and stored by a second thread, so that a slow storage holds up no disk
and a slow disk no call: what finds no room in the queue is not recorded, and is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

from django.db import connection

from apps.calls.entries import Happened, RecordingBegan, RecordingDropped
from apps.calls.journal import JournalWriter
from apps.calls.recordings.services import spooled_store
from apps.calls.recordings.spool import Folder, Label, folder_make
from apps.calls.recordings.sweeps import recordings_settle, spooled_adopt
from apps.telephony.streams import media_timestamp
from apps.voice.ports import Clock, Line
from apps.voice.recording import HEAD, Record, RecordedLine, Recorder

logger = logging.getLogger(__name__)

# Two hundred calls write three MB a second: this is a disk that stands still for twenty seconds.
QUEUE_BYTES = 64 * 1024 * 1024
# How often what could not be stored is tried again, and what others left is looked for.
RETRY_S = 10.0
# How long the end of the process waits. What is not stored by then is, after the next start.
PATIENCE_S = 15.0

# What a lost piece leaves in its file.
LOST = HEAD.pack(Record.LOST, 0.0, 0, 0)


class Do(enum.Enum):
    """What the spool is to do with a file."""

    BEGIN = enum.auto()
    WRITE = enum.auto()
    STORE = enum.auto()
    DROP = enum.auto()


@dataclass(frozen=True, slots=True)
class _Order:
    do: Do
    name: str
    data: bytes = b""


class RecordingDesk:
    """Takes the logs of all calls of a process. Its threads start with the first.

    store: takes a whole file, in a thread; False or an exception: try again later. look_after:
    takes what others left, and makes recordings ready whose calls are over.
    """

    def __init__(
        self,
        root: Path,
        *,
        store: Callable[[Path], bool] = spooled_store,
        look_after: Callable[[], int] = lambda: spooled_adopt() + recordings_settle(),
        room: int = QUEUE_BYTES,
    ) -> None:
        self._root = root
        self._store = store
        self._look_after = look_after
        self._room = room
        self._queue: SimpleQueue[_Order | None] = SimpleQueue()
        self._taken = 0  # bytes; written by the loop alone
        self._spool = _Spool(root, self._queue, self._complete)
        self._storing = ThreadPoolExecutor(1, thread_name_prefix="recordings")
        self._waiting: set[Path] = set()  # touched by the storing thread alone
        self._closed = False

    def open(self, label: Label) -> Callable[[bytes], bool]:
        """Begin a file; returns what takes its pieces. Immediate, as that is."""
        name = label.name
        self._put(_Order(Do.BEGIN, name, label.line()))
        self._spool.start()
        return lambda data: self._put(_Order(Do.WRITE, name, data))

    def close(self, label: Label, *, keep: bool = True) -> None:
        """A file is whole: store it, or throw it away."""
        self._queue.put(_Order(Do.STORE if keep else Do.DROP, label.name))

    async def run(self) -> None:
        """Look after what waits, for as long as it runs."""
        while True:
            self._storing.submit(self._retry)
            await asyncio.sleep(RETRY_S)

    async def aclose(self) -> None:
        """Write and store what is here, as far as that is possible in good time."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._spool.stop, PATIENCE_S)
        # Behind everything that has been submitted.
        ending = self._storing.submit(self._end)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wrap_future(ending)
        self._storing.shutdown(wait=False, cancel_futures=True)

    def _put(self, order: _Order) -> bool:
        size = len(order.data)
        if self._taken - self._spool.done + size > self._room:
            return False
        self._taken += size
        self._queue.put(order)
        return True

    def _complete(self, path: Path) -> None:
        with contextlib.suppress(RuntimeError):  # shut down: the next start finds it
            self._storing.submit(self._store_one, path)

    def _store_one(self, path: Path) -> None:
        self._waiting.discard(path)
        try:
            if not self._store(path):
                self._waiting.add(path)
        except Exception:  # the edge of a thread
            logger.exception("A recording could not be stored")
            self._waiting.add(path)
            connection.close()

    def _retry(self) -> None:
        for path in list(self._waiting):
            self._store_one(path)
        if not self._root.exists():
            return
        try:
            self._look_after()
        except Exception:  # the edge of a thread
            logger.exception("Recordings could not be looked after")
            connection.close()

    def _end(self) -> None:
        for path in list(self._waiting):
            self._store_one(path)
        self._spool.leave()
        if self._spool.used:
            self._look_after()
        connection.close()


class StreamRecording:
    """One stream's recording, from its first word to the file."""

    def __init__(
        self, label: Label, *, desk: RecordingDesk, journal: JournalWriter, clock: Clock
    ) -> None:
        self._label = label
        self._desk = desk
        self._journal = journal
        self.recorder = Recorder(clock, desk.open(label))
        journal.record(RecordingBegan(label.call_id, label.stream_sid, label.started_at))

    def line(self, line: Line) -> Line:
        """Return the line with whose words the bot is recorded."""
        return RecordedLine(line, self.recorder)

    def frame(self, text: str, audio: bytes) -> None:
        """Take a media message and the audio in it."""
        self.recorder.caller(audio, media_timestamp(text))

    def close(self, *, keep: bool) -> None:
        """The stream is over. keep: False if the caller was not told of the recording."""
        self.recorder.close()
        if self.recorder.lost_s:
            lost = {"seconds": round(self.recorder.lost_s, 1)}
            now = datetime.now(UTC)
            self._journal.record(Happened(self._label.call_id, now, "recording.lost", lost))
        if not keep:
            self._journal.record(RecordingDropped(self._label.call_id, self._label.stream_sid))
        self._desk.close(self._label, keep=keep)


class _Spool:
    """The thread that writes. done: bytes that are out of the queue, written or not."""

    def __init__(
        self,
        root: Path,
        queue: SimpleQueue[_Order | None],
        complete: Callable[[Path], None],
    ) -> None:
        self._root = root
        self._queue = queue
        self._complete = complete
        self._folder: Folder | None = None
        self._thread: threading.Thread | None = None
        self._sizes: dict[str, int] = {}
        self._lacking: set[str] = set()  # files of which a piece was lost
        self._failing = False
        self.done = 0

    @property
    def used(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
            self._thread.start()

    def stop(self, patience_s: float) -> None:
        """Write what is in the queue, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(patience_s)

    def leave(self) -> None:
        """Let go of the folder: what is left in it is for whoever comes next."""
        if self._folder is not None and (self._thread is None or not self._thread.is_alive()):
            self._folder.close()
            self._folder = None

    def _run(self) -> None:
        while (order := self._queue.get()) is not None:
            try:
                self._take(order)
                self._failing = False
            except OSError as exc:
                self._lacking.add(order.name)
                if not self._failing:  # a full disk would say so two hundred times a second
                    logger.error("A recording cannot be written", extra={"error": exc.strerror})
                self._failing = True
            finally:
                self.done += len(order.data)

    def _take(self, order: _Order) -> None:
        if self._folder is None:
            self._folder = folder_make(self._root)
        name = order.name
        if order.do is Do.BEGIN:
            self._sizes[name] = self._folder.append(name, order.data, at=0)
        elif (size := self._sizes.get(name)) is None:
            self._lacking.discard(name)  # it could not even be begun
        elif order.do is Do.WRITE:
            data = LOST + order.data if name in self._lacking else order.data
            self._sizes[name] = self._folder.append(name, data, at=size)
            self._lacking.discard(name)
        else:
            del self._sizes[name]
            self._lacking.discard(name)
            self._finish(self._folder.path / name, order.do)

    def _finish(self, path: Path, do: Do) -> None:
        if do is Do.STORE:
            self._complete(path)
        else:
            path.unlink(missing_ok=True)
