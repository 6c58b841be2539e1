"""G.711 mu-law, both ways. Source: ITU-T G.711 (11/88), tables 2a and 2b."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 8_000
BYTES_PER_MS = 8
SILENCE = b"\xff"

_BIAS = 132
_CLIP = 32_635


def _expand() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = ((code >> 4) & 7).astype(np.int32)
    magnitude = ((((code & 15).astype(np.int32) << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _compress() -> npt.NDArray[np.uint8]:
    """Every 16-bit sample's code, indexed by the sample's unsigned value: 64 kB, no arithmetic."""
    sample = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    sign = np.where(sample < 0, 0x80, 0)
    code: npt.NDArray[np.int32] = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return code.astype(np.uint8)


EXPAND: npt.NDArray[np.int16] = _expand()
EXPAND_FLOAT: npt.NDArray[np.float32] = (EXPAND / 32_768).astype(np.float32)
_COMPRESS = _compress()


def decode(mulaw: bytes) -> bytes:
    """Expand n bytes of mu-law to 2n bytes of signed 16-bit little-endian mono."""
    return EXPAND[np.frombuffer(mulaw, np.uint8)].astype("<i2").tobytes()


def decode_float(mulaw: bytes) -> npt.NDArray[np.float32]:
    """Expand n bytes of mu-law to n samples in -1..1."""
    return EXPAND_FLOAT[np.frombuffer(mulaw, np.uint8)]


def encode(pcm: bytes) -> bytes:
    """Compress linear PCM to mu-law.

    pcm: 2n bytes, signed 16-bit little-endian mono; samples past +/-32635 are clipped.
    Returns n bytes. ``encode(decode(x)) == x`` but for 0x7F, negative zero, which becomes 0xFF.
    Raises ValueError if len(pcm) is odd: the caller has lost sample alignment, and carrying on
    would turn speech into noise.
    """
    if len(pcm) % 2:
        raise ValueError(f"{len(pcm)} bytes are not whole 16-bit samples")
    samples = np.frombuffer(pcm, "<i2").astype(np.int16)
    return bytes(_COMPRESS[samples.view(np.uint16)])


def encode_float(samples: npt.NDArray[np.floating]) -> bytes:
    """Compress n samples in -1..1 to n bytes of mu-law; what lies outside is clipped."""
    pcm = np.clip(np.rint(samples * 32_768), -32_768, 32_767).astype(np.int16)
    return bytes(_COMPRESS[pcm.view(np.uint16)])


def level_db(mulaw: bytes) -> float:
    """RMS of n bytes of mu-law in dB below full scale: 0 is full scale, -100 the floor."""
    if not mulaw:
        return -100.0
    mean_square = float(np.mean(np.square(decode_float(mulaw))))
    return max(-100.0, 10 * float(np.log10(mean_square + 1e-12)))
