"""Speech-to-text on this server: Moonshine Tiny (English), one model shared by all calls.

Moonshine's own voice activity detection stays on, because without it the model hears "You" in
silence, a cough and line noise. Its state outlives a call of the library, so that speech at the end
of one utterance makes the silence before the next one speech ("You", again): every utterance is
followed by silence that brings it back to rest. docs/local-models.md has the figures.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import logging
import re
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any

import numpy as np
import soxr

from apps.providers.base import ServiceSettings
from apps.providers.workers import EARS, LaneFull, Result
from apps.voice import g711
from apps.voice.ports import Final, Partial, ProviderError, TranscriptEvent, TranscriptionFailed

logger = logging.getLogger(__name__)

_NAME = "local"
_MODEL_RATE = 16_000
_PRE_ROLL = 800 * g711.BYTES_PER_MS
# Longer speech is heard from its last half minute only; what came before is dropped.
_LONGEST = 30_000 * g711.BYTES_PER_MS
_REST_S = 0.6
_LEVEL_WINDOW = 200 * g711.BYTES_PER_MS
_QUIETEST_DB = -55.0
_LEVEL = 0.1
_MOST_GAIN = 10.0
_SOUND_NOTE = re.compile(r"\[[^\]]*\]|\([^)]*\)|[♪♫]+")
_LATIN = re.compile(r"[A-Za-z0-9]")


async def warm_up() -> None:
    """Load the model and run it once, in its lane. Cheap when that is done.

    Raises ProviderError (missing_extra, unavailable).
    """
    if find_spec("moonshine_voice") is None:
        message = "moonshine-voice is not installed: pip install 'botsconfig[local]'"
        raise ProviderError(_NAME, message, reason="missing_extra")
    await _in_lane(_warmed)


def recognise(audio: bytes) -> str:
    """Return the words in ``audio`` (mu-law 8 kHz), or an empty text. Runs in the lane only."""
    if _loudest_db(audio) < _QUIETEST_DB:
        return ""
    sound = g711.decode_float(audio)
    gain = min(_MOST_GAIN, _LEVEL / (float(np.sqrt(np.mean(np.square(sound)))) + 1e-9))
    peak = float(np.max(np.abs(sound)))
    sound = sound * min(gain, max(1.0, 0.95 / peak))
    wide = soxr.resample(sound, g711.SAMPLE_RATE, _MODEL_RATE)
    return _clean(_lines(np.append(wide, np.zeros(int(_REST_S * _MODEL_RATE)))))


class LocalTranscriber:
    """Implements ``voice.ports.Transcriber``: reads whole utterances, mostly while they pause.

    A pause starts the reading, so that ``finish`` 0.2 s later finds it done or well under way, and
    what it finds is a Partial. Nothing is read while speech goes on: all calls share one lane, so
    that such a reading holds up a final, and they took two to three times the CPU.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._closed = False
        self._recent = bytearray()
        self._open: _Utterance | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        await warm_up()
        if not self._closed:  # the caller may have hung up while the model was loading
            self._deliver = deliver

    def hear(self, audio: bytes) -> None:
        if self._open is not None:
            self._open.hear(audio)
            return
        self._recent += audio
        del self._recent[:-_PRE_ROLL]

    def begin(self, utterance: int) -> None:
        if self._deliver is None:
            return
        if self._open is not None:
            self._open.discard_draft()
        self._open = _Utterance(utterance, self._recent)
        self._recent = bytearray()

    def pause(self) -> None:
        if self._open is not None:
            self._open.discard_draft()
            self._open.silent_from = len(self._open.audio)
            self._open.draft = self._start(self._read(self._open))

    def resume(self) -> None:
        if self._open is not None:
            self._open.discard_draft()

    def finish(self) -> None:
        utterance, self._open = self._open, None
        if utterance is None:
            return
        self._recent = utterance.silence()[-_PRE_ROLL:]
        self._start(self._conclude(utterance))

    async def aclose(self) -> None:
        self._closed = True
        self._deliver = None
        self._open = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self, utterance: _Utterance) -> str | ProviderError:
        try:
            text = await _in_lane(recognise, bytes(utterance.audio))
        except ProviderError as error:
            return error
        if text and self._open is utterance:
            self._tell(Partial(utterance.number, text))
        return text

    async def _conclude(self, utterance: _Utterance) -> None:
        found = await utterance.draft if utterance.draft is not None else None
        if found is None or isinstance(found, ProviderError):
            # What the lane refused during the pause it may take now.
            found = await self._read(utterance)
        if isinstance(found, ProviderError):
            self._tell(TranscriptionFailed(utterance.number, found))
        else:
            self._tell(Final(utterance.number, found))

    def _tell(self, event: TranscriptEvent) -> None:
        if self._deliver is not None:
            self._deliver(event)


class _Utterance:
    """What the caller is saying: its audio (with the pre-roll), and its text once it pauses."""

    def __init__(self, number: int, before: bytearray) -> None:
        self.number = number
        self.audio = before
        self.silent_from: int | None = None  # where the pause began that lasts
        self.draft: asyncio.Task[str | ProviderError] | None = None

    def hear(self, audio: bytes) -> None:
        self.audio += audio
        excess = len(self.audio) - _LONGEST
        if excess > 0:
            del self.audio[:excess]
            if self.silent_from is not None:
                self.silent_from = max(0, self.silent_from - excess)

    def silence(self) -> bytearray:
        """Return what came after the words: the next utterance may have begun in it."""
        return bytearray() if self.silent_from is None else self.audio[self.silent_from :]

    def discard_draft(self) -> None:
        if self.draft is not None:
            self.draft.cancel()
            self.draft = None
        self.silent_from = None


async def _in_lane(job: Callable[..., Result], *args: Any) -> Result:
    """Run a job in the ears' lane; what goes wrong there becomes a ProviderError."""
    try:
        return await EARS.run(job, *args)
    except LaneFull as exc:
        message = "this server has more speech than it can follow"
        raise ProviderError(_NAME, message, reason="unavailable", retryable=True) from exc
    except Exception as exc:
        logger.exception("The local recogniser failed")
        raise ProviderError(
            _NAME, type(exc).__name__, reason="unavailable", retryable=True
        ) from exc


@functools.cache
def _model() -> Any:
    """Load the model that moonshine-voice carries (0.1 GB); in the lane's thread, once."""
    from moonshine_voice import ModelArch, get_assets_path
    from moonshine_voice.transcriber import Transcriber

    options = {
        "vad_threshold": "0.3",
        "vad_window_duration": "0.2",
        "return_audio_data": "false",
    }
    return Transcriber(get_assets_path() / "tiny-en", ModelArch.TINY, options=options)


@functools.cache
def _warmed() -> None:
    _lines(np.zeros(_MODEL_RATE, np.float32))


def _lines(samples: Any) -> list[str]:
    """Read float32 samples at 16 kHz. The library's answer lives until its next call: one lane.

    Past the package's own method, which copies every sample through a Python list and so holds up
    the event loop for 50 ms and more on a long utterance; hence the pinned release.
    """
    from moonshine_voice.errors import check_error
    from moonshine_voice.moonshine_api import TranscriptC

    model = _model()
    sound = np.ascontiguousarray(samples, np.float32)
    found = ctypes.POINTER(TranscriptC)()
    floats = sound.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    check_error(
        model._lib.moonshine_transcribe_without_streaming(
            model._handle, floats, len(sound), _MODEL_RATE, 0, ctypes.byref(found)
        )
    )
    return [line.text for line in model._parse_transcript(found).lines]


def _clean(lines: list[str]) -> str:
    """Join the lines that hold words of English; notes of music and noise are none."""
    spoken = (_SOUND_NOTE.sub("", line).strip() for line in lines)
    return " ".join(line for line in spoken if line.isascii() and _LATIN.search(line))


def _loudest_db(audio: bytes) -> float:
    """Level of the loudest 200 ms: a short word in a long silence counts."""
    starts = range(0, len(audio), _LEVEL_WINDOW)
    return max((g711.level_db(audio[n : n + _LEVEL_WINDOW]) for n in starts), default=-100.0)
