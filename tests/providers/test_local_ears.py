"""The local recogniser against its port, with the real model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import pytest

from apps.providers import local_ears
from apps.providers.local_ears import LocalTranscriber, recognise
from apps.providers.workers import EARS
from apps.voice import g711
from apps.voice.ports import Final, Partial, ProviderError, TranscriptionFailed
from tests.providers.local_speech import QUIET, SETTINGS, Listener, plain, say, spoken

pytestmark = [
    pytest.mark.local_models,
    pytest.mark.skipif(
        not (find_spec("moonshine_voice") and find_spec("hibari")), reason="needs botsconfig[local]"
    ),
]

QUESTION = "What are your opening hours?"


@pytest.fixture
async def heard() -> Listener:
    return Listener()


@pytest.fixture
async def ears(heard: Listener) -> AsyncIterator[LocalTranscriber]:
    ears = LocalTranscriber(SETTINGS)
    await ears.open(heard)
    yield ears
    await ears.aclose()


async def test_it_gives_the_words_back(ears: LocalTranscriber, heard: Listener) -> None:
    say(ears, await spoken(QUESTION), 1)
    ears.finish()
    final = await heard.first(Final)
    assert final.utterance == 1
    assert plain(final.text) == plain(QUESTION)


async def test_the_words_before_the_mark_are_not_lost(
    ears: LocalTranscriber, heard: Listener
) -> None:
    audio = await spoken("Goodbye.")
    for start in range(0, len(audio), 160):
        ears.hear(audio[start : start + 160])
    ears.begin(1)
    ears.finish()
    assert "by" in (await heard.first(Final)).text.lower()


async def test_a_pause_gets_the_text_ready_and_finish_uses_it(
    ears: LocalTranscriber, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(ears, await spoken(QUESTION), 1)
    ears.pause()
    partial = await heard.first(Partial)
    monkeypatch.setattr(local_ears, "recognise", lambda audio: pytest.fail("read again"))
    ears.finish()
    assert (await heard.first(Final)).text == partial.text


async def test_going_on_after_a_pause_is_heard_as_one_utterance(
    ears: LocalTranscriber, heard: Listener
) -> None:
    say(ears, await spoken("How much is"), 1)
    ears.pause()
    ears.resume()
    ears.hear(QUIET * 10 + await spoken("a taxi to the airport?"))
    ears.finish()
    text = (await heard.first(Final)).text.lower()
    assert "how much" in text
    assert "airport" in text


async def test_nothing_is_read_while_speech_goes_on(
    ears: LocalTranscriber, heard: Listener
) -> None:
    say(ears, await spoken("I would like to book an appointment for next Tuesday."), 1)
    await asyncio.sleep(0)
    assert EARS.idle
    assert heard.events == []


async def test_every_finish_is_answered_once_and_in_its_number(
    ears: LocalTranscriber, heard: Listener
) -> None:
    for utterance, text in enumerate(("Yes.", "No."), start=1):
        say(ears, await spoken(text), utterance)
        ears.pause()
        ears.finish()
    await heard.several(Final, 2)
    await settled(ears)
    assert {e.utterance: plain(e.text) for e in heard.all(Final)} == {1: ["yes"], 2: ["no"]}
    assert len(heard.all(Final)) == 2


async def test_one_utterance_does_not_leak_into_the_next(
    ears: LocalTranscriber, heard: Listener
) -> None:
    say(ears, await spoken("My name is Peter."), 1)
    ears.finish()
    await heard.first(Final)
    heard.events.clear()
    say(ears, QUIET * 20 + await spoken("Yes."), 2)
    ears.finish()
    assert plain((await heard.first(Final)).text) == ["yes"]


def _noises() -> dict[str, npt.NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    n = np.arange(12_000)
    cough = np.concatenate([np.zeros(4000), rng.standard_normal(2400), np.zeros(5600)])
    return {
        "silence": np.zeros(12_000),
        "hiss": rng.standard_normal(12_000) * 0.02,
        "loud noise": rng.standard_normal(12_000) * 0.2,
        "cough": cough * np.exp(-np.maximum(0, n - 4000) / 500) * 0.4,
        "keypad": 0.2 * (np.sin(n * 2 * np.pi * 697 / 8000) + np.sin(n * 2 * np.pi * 1209 / 8000)),
        "hum": 0.2 * np.sin(n * 2 * np.pi * 60 / 8000),
    }


@pytest.mark.parametrize("noise", _noises())
async def test_there_are_no_words_in(noise: str, ears: LocalTranscriber, heard: Listener) -> None:
    say(ears, g711.encode_float(_noises()[noise]), 1)
    ears.pause()
    ears.finish()
    assert await heard.first(Final) == Final(1, "")


async def test_several_calls_are_heard_at_once_without_mixing() -> None:
    texts = ["Yes.", QUESTION, "Can I park my car?", "No."]
    audio = [await spoken(text) for text in texts]

    async def call(sound: bytes) -> list[str]:
        heard, ears = Listener(), LocalTranscriber(SETTINGS)
        await ears.open(heard)
        say(ears, sound, 1)
        ears.finish()
        final = await heard.first(Final)
        await ears.aclose()
        return plain(final.text)

    assert await asyncio.gather(*map(call, audio)) == [plain(text) for text in texts]


async def settled(ears: LocalTranscriber) -> None:
    """Wait until nothing that the transcriber started goes on."""
    await asyncio.gather(*ears._tasks, return_exceptions=True)


@asynccontextmanager
async def busy_lane(jobs: int = 1) -> AsyncIterator[None]:
    """Keep the lane from running anything else, with ``jobs`` of its backlog taken."""
    release = threading.Event()
    held = [asyncio.ensure_future(EARS.run(release.wait)) for _ in range(jobs)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*held)


@pytest.mark.parametrize("moments", ["", "pause", "pause resume", "finish", "pause finish"])
async def test_it_may_be_closed_at_any_moment_and_twice(
    moments: str, ears: LocalTranscriber, heard: Listener
) -> None:
    audio = await spoken("Yes.")
    async with busy_lane():
        say(ears, audio, 1)
        for moment in moments.split():
            getattr(ears, moment)()
        await asyncio.sleep(0)
        await asyncio.wait_for(ears.aclose(), 5)
        await ears.aclose()
        assert EARS._jobs == 1
    assert not ears._tasks
    assert heard.events == []


async def test_it_says_nothing_of_what_was_being_read_when_it_was_closed(
    ears: LocalTranscriber, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, release = threading.Event(), threading.Event()

    def slow(audio: bytes) -> str:
        started.set()
        release.wait(20)
        return "late"

    monkeypatch.setattr(local_ears, "recognise", slow)
    say(ears, QUIET * 30, 1)
    ears.finish()
    await asyncio.to_thread(started.wait, 20)
    await asyncio.wait_for(ears.aclose(), 5)
    release.set()
    await EARS.run(len, "")
    assert heard.events == []


async def test_it_hears_nothing_more_after_it_is_closed(
    ears: LocalTranscriber, heard: Listener
) -> None:
    await ears.aclose()
    say(ears, QUIET * 30, 1)
    ears.pause()
    ears.finish()
    assert not ears._tasks
    assert heard.events == []


async def test_closing_it_while_the_model_loads_keeps_it_closed(heard: Listener) -> None:
    ears = LocalTranscriber(SETTINGS)
    async with busy_lane():
        opening = asyncio.ensure_future(ears.open(heard))
        await asyncio.sleep(0)
        await ears.aclose()
    await opening
    say(ears, QUIET * 30, 1)
    ears.finish()
    await settled(ears)
    assert heard.events == []


async def test_a_broken_model_fails_the_utterance_once(
    ears: LocalTranscriber, heard: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(audio: bytes) -> str:
        raise OSError("disk")

    monkeypatch.setattr(local_ears, "recognise", broken)
    say(ears, await spoken("Yes."), 4)
    ears.pause()
    ears.finish()
    failed = await heard.first(TranscriptionFailed)
    await settled(ears)
    assert heard.events == [failed]
    assert (failed.utterance, failed.error.reason) == (4, "unavailable")
    assert "disk" not in str(failed.error)


@pytest.mark.parametrize("moments", ["finish", "pause finish", "pause resume finish"])
async def test_an_overloaded_server_fails_the_utterance_once_and_as_retryable(
    moments: str, ears: LocalTranscriber, heard: Listener
) -> None:
    say(ears, QUIET * 30, 1)
    async with busy_lane(EARS._backlog):
        for moment in moments.split():
            getattr(ears, moment)()
        failed = await heard.first(TranscriptionFailed)
    await settled(ears)
    assert heard.events == [failed]
    assert failed.error.retryable
    assert "more speech than it can follow" in failed.error.message


async def test_what_the_lane_refused_in_the_pause_is_read_at_the_end(
    ears: LocalTranscriber, heard: Listener
) -> None:
    say(ears, await spoken("Yes."), 1)
    async with busy_lane(EARS._backlog):
        ears.pause()
        await asyncio.sleep(0)
    ears.finish()
    assert plain((await heard.first(Final)).text) == ["yes"]


async def test_pausing_again_and_again_keeps_one_reading_at_most(ears: LocalTranscriber) -> None:
    say(ears, QUIET * 30, 1)
    async with busy_lane():
        for _ in range(20):
            ears.pause()
            await asyncio.sleep(0)
            ears.resume()
            await asyncio.sleep(0)
        assert EARS._jobs == 1


async def test_minutes_of_speech_take_half_a_minute_of_memory(ears: LocalTranscriber) -> None:
    ears.begin(1)
    for _ in range(5 * 60):
        ears.hear(QUIET * 50)
    assert ears._open is not None
    assert len(ears._open.audio) == 30 * 8000


async def test_minutes_without_speech_take_no_more_than_what_comes_before_a_mark(
    ears: LocalTranscriber,
) -> None:
    for _ in range(5 * 60):
        ears.hear(QUIET * 50)
    assert 600 * 8 <= len(ears._recent) <= 1000 * 8


async def test_speech_that_was_cut_off_does_not_begin_the_next_utterance(
    ears: LocalTranscriber,
) -> None:
    ears.begin(1)
    ears.hear(QUIET * 50 * 40)
    ears.finish()
    assert ears._recent == b""


async def test_the_silence_that_ended_an_utterance_begins_the_next(ears: LocalTranscriber) -> None:
    ears.begin(1)
    ears.hear(QUIET * 50)
    ears.pause()
    ears.hear(QUIET * 10)
    ears.finish()
    assert ears._recent == QUIET * 10


async def test_without_its_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_ears, "find_spec", lambda name: None)
    with pytest.raises(ProviderError, match=r"botsconfig\[local\]") as failure:
        await LocalTranscriber(SETTINGS).open(print)
    assert failure.value.reason == "missing_extra"


async def test_no_audio_is_no_words() -> None:
    assert recognise(b"") == ""
