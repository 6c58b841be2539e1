"""What a recording looks like: the loudest sample of each of its columns, on both channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from apps.calls.recordings.files import Ranged, recordings_storage
from apps.calls.recordings.models import Recording
from apps.voice.stereo import CHANNELS, FRAME_BYTES, HEADER_BYTES

# As many as a wide screen has room for. A short recording has one for each of its samples.
COLUMNS = 2_000
_FULL = 32_768


@dataclass(frozen=True, slots=True)
class Peaks:
    """A byte for each column of each channel: 0 is silence, 255 full scale."""

    caller: bytes
    bot: bytes

    def packed(self) -> bytes:
        """Return them as they are stored: the caller's, then the bot's."""
        return self.caller + self.bot

    @classmethod
    def unpacked(cls, stored: bytes | memoryview) -> Peaks:
        half = len(stored) // 2
        return cls(bytes(stored[:half]), bytes(stored[half:]))


def recording_peaks(recording: Recording) -> Peaks:
    """Return the peaks of a ready recording: stored, or read from its sound and stored.

    Raises OSError if the storage is away.
    """
    if recording.peaks is not None:
        return Peaks.unpacked(recording.peaks)
    found = peaks_read(recordings_storage(), recording.path, recording.bytes or HEADER_BYTES)
    # One that has been erased meanwhile, or has got another part, keeps nothing of this.
    Recording.objects.filter(
        pk=recording.pk, status=Recording.Status.READY, path=recording.path
    ).update(peaks=found.packed())
    return found


def peaks_read(storage: Ranged, path: str, size: int) -> Peaks:
    """Read a file of ``size`` bytes, as ``recordings.making`` makes them. Raises OSError."""
    samples = (size - HEADER_BYTES) // FRAME_BYTES
    if samples <= 0:
        return Peaks(b"", b"")
    width = -(-samples // COLUMNS)
    pieces = storage.reading(path, HEADER_BYTES, samples * FRAME_BYTES)
    columns = [_peaks(block) for block in _blocks(pieces, width * FRAME_BYTES)]
    return Peaks(*(bytes(column[channel] for column in columns) for channel in range(CHANNELS)))


def _blocks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    left = bytearray()
    for piece in pieces:
        left += piece
        whole = len(left) // size * size
        for at in range(0, whole, size):
            yield bytes(left[at : at + size])
        del left[:whole]
    if len(left) >= FRAME_BYTES:
        yield bytes(left[: len(left) // FRAME_BYTES * FRAME_BYTES])


def _peaks(block: bytes) -> tuple[int, ...]:
    samples = np.frombuffer(block, "<i2").reshape(-1, CHANNELS)
    return tuple(
        round(max(int(track.max()), -int(track.min())) * 255 / _FULL) for track in samples.T
    )
