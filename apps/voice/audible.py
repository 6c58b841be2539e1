"""Whether what a voice sent can be heard at all."""

from __future__ import annotations

import numpy as np

from apps.voice import g711

# Codes of samples at or below 32 of 32,768: -60 dB.
_QUIET = bytes(np.flatnonzero(np.abs(g711.EXPAND.astype(np.int32)) <= 32).astype(np.uint8))


def is_silent(mulaw: bytes) -> bool:
    """Whether no sample of a piece rises above -60 dB. Empty pieces are silent."""
    return not mulaw.translate(None, _QUIET)
