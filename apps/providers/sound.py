"""A sentence's audio on its way to the caller: whether there is any sound in it, and from PCM.

Audio that leaves here is mu-law, 8,000 Hz, mono.
"""

from __future__ import annotations

import numpy as np

from apps.providers import failures
from apps.voice.audible import is_silent
from apps.voice.resampling import MulawResampler
from apps.voice.sentences import has_words

# How files and pages begin. Played as raw audio they are static, loud from the first sample on;
# that speech begins with just these four bytes is as good as impossible. An MP3 without a tag is
# not among them: its two bytes of sync are a quiet sample, twice.
_FILES = (b"RIFF", b"RIFX", b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"<!DO", b"<htm", b'{"er')
_HEAD_BYTES = 4


def speakable(text: str) -> str:
    """Return what of ``text`` can be sent, or nothing where there is nothing to say in it.

    Half a surrogate pair is no character.
    """
    if not has_words(text):
        return ""
    return text.encode("utf-8", "replace").decode()


class Sound:
    """One sentence's audio, piece by piece, and whether it was heard at all."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._heard = False
        self._head: bytes | None = b""  # of the first bytes, until there are enough

    def take(self, piece: bytes) -> bytes:
        """Take the next piece, of any length, and return it as mu-law.

        Raises ProviderError if the sentence begins as a file does, or as a page.
        """
        return self._noted(self._raw(piece))

    def _raw(self, piece: bytes) -> bytes:
        """Return what is known to be no file's beginning."""
        if self._head is None:
            return piece
        head = self._head + piece
        if len(head) < _HEAD_BYTES:
            self._head = head
            return b""
        if head.startswith(_FILES):
            raise failures.unreadable(self._provider)
        self._head = None
        return head

    def _noted(self, mulaw: bytes) -> bytes:
        self._heard = self._heard or not is_silent(mulaw)
        return mulaw

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
        whole = self._odd + self._raw(piece)
        cut = len(whole) & ~1
        self._odd = whole[cut:]
        samples = np.frombuffer(whole[:cut], "<i2").astype(np.float32) / np.float32(32_768)
        return self._noted(self._resampler.push(samples))

    def end(self) -> bytes:
        # Half a sample at the end of all is no sound.
        tail = self._noted(self._resampler.push(np.zeros(0, np.float32), last=True))
        super().end()
        return tail
