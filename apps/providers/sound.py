"""A sentence's audio on its way to the caller: whether there is any sound in it, and from PCM.

Audio that leaves here is mu-law, 8,000 Hz, mono.
"""

from __future__ import annotations

import numpy as np

from apps.providers import failures
from apps.providers.audible import is_silent
from apps.voice.resampling import MulawResampler


def speakable(text: str) -> str:
    """Return what of ``text`` can be sent, or nothing where there is nothing to say in it.

    Vendors answer mere punctuation with nothing. Half a surrogate pair is no character.
    """
    if not any(character.isalnum() for character in text):
        return ""
    return text.encode("utf-8", "replace").decode()


class Sound:
    """One sentence's audio, piece by piece, and whether it was heard at all."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._heard = False

    def take(self, piece: bytes) -> bytes:
        """Take the next piece, of any length, and return it as mu-law."""
        self._heard = self._heard or not is_silent(piece)
        return piece

    def end(self) -> bytes:
        """Return what is left. Raises ProviderError if there was no sound from first to last."""
        if not self._heard:
            raise failures.no_audio(self._provider)
        return b""


class PcmSound(Sound):
    """The same from signed 16-bit little-endian mono PCM at ``rate`` Hz, cut anywhere."""

    def __init__(self, provider: str, rate: int) -> None:
        super().__init__(provider)
        self._resampler = MulawResampler(rate)
        self._odd = b""

    def take(self, piece: bytes) -> bytes:
        whole = self._odd + piece
        cut = len(whole) & ~1
        self._odd = whole[cut:]
        samples = np.frombuffer(whole[:cut], "<i2").astype(np.float32) / np.float32(32_768)
        return super().take(self._resampler.push(samples))

    def end(self) -> bytes:
        # Half a sample at the end of all is no sound.
        tail = super().take(self._resampler.push(np.zeros(0, np.float32), last=True))
        super().end()
        return tail
