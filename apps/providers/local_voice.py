"""Text-to-speech on this server: Hibari (American English), one model shared by all calls."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.providers.base import ServiceSettings
from apps.providers.workers import VOICE, LaneFull, Result
from apps.voice.ports import ProviderError
from apps.voice.resampling import MulawResampler

logger = logging.getLogger(__name__)

Sound = npt.NDArray[np.float32]

_NAME = "local"
_VOICE = "heart"  # the only one in the package; the others would be fetched
_RATE = 24_000
_FRAME = _RATE // 50
_LEVEL = 0.1  # -20 dB below full scale, about what people speak at on the phone
_PEAK = 0.95
_AUDIBLE = 0.006  # -45 dB: what is quieter before and after the words is silence
_LEAD = _RATE // 20
_TAIL = _RATE // 5


async def warm_up() -> None:
    """Load the model and speak once, in its lane. Cheap when that is done.

    Raises ProviderError (missing_extra, unavailable).
    """
    _require()
    await _in_lane(_warmed)


class LocalVoice:
    """Implements ``voice.ports.TextToSpeech``: a piece per sentence, each made when asked for.

    What is not asked for is never made, so that closing the generator ends the work with the
    sentence in hand. The same text always sounds the same.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        if settings.voice not in ("", _VOICE):
            raise ProviderError(_NAME, f"the only voice is {_VOICE}", reason="bad_request")
        self._speed = float(settings.options.get("speed", 1.0))

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not any(character.isalnum() for character in text):
            return  # the model would make a noise of mere punctuation
        _require()
        speech = _Speech(text, self._speed)
        while (piece := await _in_lane(speech.make)) is not None:
            if piece:
                yield piece

    async def aclose(self) -> None:
        """Nothing is held per call."""


class _Speech:
    """One text being spoken. Touched in the lane only, by one call."""

    def __init__(self, text: str, speed: float) -> None:
        self._text = text
        self._speed = speed
        self._sentences: list[str] | None = None
        self._resampler: MulawResampler | None = MulawResampler(_RATE)

    def make(self) -> bytes | None:
        """Return the next sentence as mu-law 8 kHz, then the filter's tail, then None."""
        if self._resampler is None:
            return None
        if self._sentences is None:
            self._sentences = _model().phonemize(self._text)
        if not self._sentences:
            tail = self._resampler.push(np.zeros(0, np.float32), last=True)
            self._resampler = None
            return tail
        phonemes = self._sentences.pop(0)
        sound = _model().from_phonemes(phonemes, speed=self._speed, seed=0)
        return self._resampler.push(_trimmed(_levelled(sound)))


def _require() -> None:
    if find_spec("hibari") is None:
        message = "hibari-tts is not installed: pip install 'botsconfig[local]'"
        raise ProviderError(_NAME, message, reason="missing_extra")


async def _in_lane(job: Callable[[], Result]) -> Result:
    """Run a job in the voice's lane; what goes wrong there becomes a ProviderError."""
    try:
        return await VOICE.run(job)
    except LaneFull as exc:
        message = "this server has more to say than it can speak"
        raise ProviderError(_NAME, message, reason="unavailable", retryable=True) from exc
    except Exception as exc:
        logger.exception("The local voice failed")
        raise ProviderError(
            _NAME, type(exc).__name__, reason="unavailable", retryable=True
        ) from exc


@functools.cache
def _model() -> Any:
    """Load the model that hibari-tts carries (8 MB); in the lane's thread, once."""
    from hibari import Hibari

    return Hibari(voice=_VOICE)


@functools.cache
def _warmed() -> None:
    _model()("Hello, how can I help you today? It is 5 dollars on Monday, March 3rd at 9:30.")


def _levelled(sound: Sound) -> Sound:
    """Bring the words (not the silence between them) to one level, without clipping."""
    whole = sound[: len(sound) // _FRAME * _FRAME]
    if not len(whole):
        return sound
    power = np.square(whole).reshape(-1, _FRAME).mean(axis=1)
    spoken = power[power > power.max() * 10**-2.5]
    peak = float(np.abs(sound).max())
    if not len(spoken) or peak <= 0:
        return sound
    return sound * np.float32(min(_LEVEL / float(np.sqrt(spoken.mean())), _PEAK / peak))


def _trimmed(sound: Sound) -> Sound:
    """Keep at most 50 ms of silence before the words and 200 ms after them."""
    audible = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    if not len(audible):
        return sound[:0]
    return sound[max(0, audible[0] - _LEAD) : audible[-1] + _TAIL]
