"""The storage of recordings: a folder by default. Private: nothing here has a URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

from django.core.files.storage import FileSystemStorage, storages

CHUNK = 256 * 1024


class Ranged(Protocol):
    """A Django storage that can read a part of a file. ``reading`` raises OSError."""

    def save(self, name: str, content: Any) -> str: ...

    def delete(self, name: str) -> None: ...

    def reading(self, name: str, first: int, size: int) -> Iterator[bytes]:
        """Read ``size`` bytes from ``first`` on, in pieces; opened when the first is asked for.

        A generator: whoever does not read to the end closes it.
        """


class RecordingsFolder(FileSystemStorage):
    """Files on a disk, for their owner's eyes. What is saved again is replaced."""

    def __init__(self, location: str) -> None:
        super().__init__(
            location=location,
            file_permissions_mode=0o600,
            directory_permissions_mode=0o700,
            allow_overwrite=True,
        )

    def url(self, name: str | None) -> str:
        raise ValueError("Recordings are given out by the API alone.")

    def reading(self, name: str, first: int, size: int) -> Iterator[bytes]:
        with self.open(name) as file:
            file.seek(first)
            while size > 0 and (piece := file.read(min(CHUNK, size))):
                size -= len(piece)
                yield piece


def recordings_storage() -> Ranged:
    """Return the storage that the settings name."""
    return cast(Ranged, storages["recordings"])
