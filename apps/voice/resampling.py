"""Rate conversion with memory, so that a stream in pieces sounds like the whole.

Resampling each piece by itself clicks at every seam; soxr's stream carries its filter across.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from apps.voice import g711


class MulawResampler:
    """Turns a stream of float samples at ``rate`` Hz into mu-law at 8,000 Hz."""

    def __init__(self, rate: int) -> None:
        self._stream = None if rate == g711.SAMPLE_RATE else _stream(rate)

    def push(self, samples: npt.NDArray[np.float32], *, last: bool = False) -> bytes:
        """Convert the next piece (n samples in -1..1). ``last`` flushes the filter's tail."""
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples.astype(np.float32), last=last)
        return g711.encode_float(samples)


def _stream(rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(rate, g711.SAMPLE_RATE, 1, dtype="float32", quality="HQ")
