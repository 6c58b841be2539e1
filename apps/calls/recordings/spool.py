"""What gateways record, on their local disk until it is stored.

Each process has a folder of its own, which it holds by a lock; the kernel takes the lock back when
the process dies, however it dies, and then anybody on the same machine may store what is left. A
file is a label (one line of JSON) and a log of ``apps.voice.recording``.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LOCK = "lock"
SUFFIX = ".log"
# A label is written in one piece, before anything else.
LONGEST_LABEL = 4_096


class Unreadable(ValueError):
    """A spooled file has no whole label: its gateway died before it had said anything."""


@dataclass(frozen=True, slots=True)
class Label:
    """Which stream a file is of. started_at: its beginning by the wall clock."""

    account_id: uuid.UUID
    call_id: uuid.UUID
    stream_sid: str
    started_at: datetime

    @property
    def name(self) -> str:
        return f"{self.call_id}.{self.stream_sid}{SUFFIX}"

    def line(self) -> bytes:
        """Write it as the first line of its file."""
        said = {
            "account_id": str(self.account_id),
            "call_id": str(self.call_id),
            "stream_sid": self.stream_sid,
            "started_at": self.started_at.isoformat(),
        }
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Label:
        """Read such a line. Raises Unreadable."""
        try:
            said = json.loads(line)
            return cls(
                uuid.UUID(said["account_id"]),
                uuid.UUID(said["call_id"]),
                str(said["stream_sid"]),
                datetime.fromisoformat(said["started_at"]),
            )
        except (ValueError, KeyError, TypeError):
            raise Unreadable("no label") from None


@contextmanager
def spooled(path: Path) -> Iterator[tuple[Label, memoryview]]:
    """Open a spooled file: its label and its log, which is read from the disk as it is needed.

    Raises Unreadable, and OSError.
    """
    with path.open("rb") as file:
        head = file.readline(LONGEST_LABEL)
        label = Label.read(head)
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
            memoryview(pages) as view,
            view[len(head) :] as log,
        ):
            yield label, log


class Folder:
    """A folder of the spool that this process holds. Only one at a time can."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def append(self, name: str, data: bytes, *, at: int) -> int:
        """Write ``data`` at the end of a file that has ``at`` bytes; return how many it has then.

        Raises OSError, and then the file is as long as it was, as far as that can be done.
        """
        file = os.open(self.path / name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, at)
            os.lseek(file, at, os.SEEK_SET)
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
        finally:
            os.close(file)
        return at + len(data)

    def files(self) -> list[Path]:
        """List what waits here."""
        return sorted(self.path.glob(f"*{SUFFIX}"))

    def close(self) -> None:
        """Let go of the folder, and remove it if nothing waits there."""
        if not self.files():
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def folder_make(root: Path) -> Folder:
    """Make a folder of our own. Raises OSError."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    # Under a name that nobody looks at, until it is locked.
    new = root / f".{name}"
    new.mkdir(mode=0o700)
    lock = _locked(new)
    assert lock is not None
    new.rename(root / name)
    return Folder(root / name, lock)


def folders_left(root: Path) -> Iterator[Folder]:
    """Take over the folders whose processes are gone, one after the other.

    Whoever asks closes each before asking for the next.
    """
    try:
        paths = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    except FileNotFoundError:
        return
    for path in paths:
        try:
            lock = _locked(path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # somebody else has just finished with it
        if lock is not None:
            yield Folder(path, lock)


def _locked(path: Path) -> int | None:
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
