"""The batched detector: many calls at once hear what each would hear alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from apps.gateway.stock import stock_clips
from apps.providers.silero import PENDING_BYTES, BatchedSilero
from apps.voice.ports import Window

SPEECH = stock_clips()["idle"].audio
SILENCE = b"\xff" * 4_096


@pytest.fixture
async def detector() -> AsyncIterator[BatchedSilero]:
    found = BatchedSilero()
    yield found
    await found.aclose()


class Listener:
    """Collects windows until there are enough of them."""

    def __init__(self, detector: BatchedSilero, wanted: int) -> None:
        self.windows: list[Window] = []
        self.wanted = wanted
        self.done = asyncio.Event()
        self.stream = detector.open(self.take, silence_db=-56.0)

    def take(self, window: Window) -> None:
        self.windows.append(window)
        if len(self.windows) == self.wanted:
            self.done.set()


async def heard(detector: BatchedSilero, audio: bytes) -> list[Window]:
    listener = Listener(detector, len(audio) // 256)
    for at in range(0, len(audio), 160):
        listener.stream.push(audio[at : at + 160])
    async with asyncio.timeout(10):
        await listener.done.wait()
    listener.stream.close()
    return listener.windows


async def test_speech_is_told_from_silence(detector: BatchedSilero) -> None:
    windows = await heard(detector, SILENCE + SPEECH)
    quiet, loud = windows[:15], windows[20:40]
    assert max(window.probability for window in quiet) < 0.1
    assert max(window.probability for window in loud) > 0.9
    assert windows[-1].end_ms == pytest.approx(len(windows) * 32)


async def test_calls_in_one_batch_hear_what_each_hears_alone(detector: BatchedSilero) -> None:
    alone = await heard(detector, SPEECH)
    together = await asyncio.gather(
        *(heard(detector, SPEECH if place % 2 else SILENCE) for place in range(12))
    )
    for place, windows in enumerate(together):
        if place % 2:
            assert [window.probability for window in windows] == pytest.approx(
                [window.probability for window in alone], abs=1e-3
            )
        else:
            assert max(window.probability for window in windows) < 0.1


async def test_a_call_that_fails_on_a_window_leaves_the_others_their_ears(
    detector: BatchedSilero,
) -> None:
    def broken(_window: Window) -> None:
        raise RuntimeError("broken")

    detector.open(broken, silence_db=-56.0).push(SPEECH[:2_560])
    assert len(await heard(detector, SPEECH[:2_560])) == 10


async def test_audio_that_comes_too_fast_drops_its_oldest(detector: BatchedSilero) -> None:
    listener = Listener(detector, PENDING_BYTES // 256)
    listener.stream.push(SPEECH * 10)
    async with asyncio.timeout(10):
        await listener.done.wait()
    assert listener.windows[-1].end_ms == pytest.approx(len(SPEECH * 10) / 8, abs=33)


async def test_a_closed_stream_gets_no_more_windows(detector: BatchedSilero) -> None:
    listener = Listener(detector, 10_000)
    listener.stream.push(SPEECH)
    listener.stream.close()
    await heard(detector, SPEECH)
    assert listener.windows == []
