"""The local recogniser against its port, with the real model."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import numpy as np
import pytest

from apps.providers import local_ears
from apps.providers.local_ears import LocalTranscriber, recognise
from apps.providers.workers import EARS, LaneFull
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
async def heard():
    return Listener()


@pytest.fixture
async def ears(heard):
    ears = LocalTranscriber(SETTINGS)
    await ears.open(heard)
    yield ears
    await ears.aclose()


async def test_it_gives_the_words_back(ears, heard):
    say(ears, await spoken(QUESTION), 1)
    ears.finish()
    final = await heard.first(Final)
    assert final.utterance == 1
    assert plain(final.text) == plain(QUESTION)


async def test_the_words_before_the_mark_are_not_lost(ears, heard):
    audio = await spoken("Goodbye.")
    for start in range(0, len(audio), 160):
        ears.hear(audio[start : start + 160])
    ears.begin(1)
    ears.finish()
    assert "by" in (await heard.first(Final)).text.lower()


async def test_a_pause_gets_the_text_ready_and_finish_uses_it(ears, heard, monkeypatch):
    say(ears, await spoken(QUESTION), 1)
    ears.pause()
    partial = await heard.first(Partial)
    monkeypatch.setattr(local_ears, "recognise", lambda audio: pytest.fail("read again"))
    ears.finish()
    assert (await heard.first(Final)).text == partial.text


async def test_going_on_after_a_pause_is_heard_as_one_utterance(ears, heard):
    say(ears, await spoken("How much is"), 1)
    ears.pause()
    ears.resume()
    ears.hear(QUIET * 10 + await spoken("a taxi to the airport?"))
    ears.finish()
    text = (await heard.first(Final)).text.lower()
    assert "how much" in text
    assert "airport" in text


async def test_partials_come_while_speech_goes_on(ears, heard):
    audio = await spoken("I would like to book an appointment for next Tuesday.")
    say(ears, audio[:20_000], 1)
    assert "book" in (await heard.first(Partial)).text.lower()
    assert heard.count(Final) == 0


async def test_every_finish_is_answered_once_and_in_its_number(ears, heard):
    for utterance, text in enumerate(("Yes.", "No."), start=1):
        say(ears, await spoken(text), utterance)
        ears.pause()
        ears.finish()
    while heard.count(Final) < 2:
        await asyncio.wait_for(heard._arrived.wait(), 20)
        heard._arrived.clear()
    found = {e.utterance: plain(e.text) for e in heard.events if isinstance(e, Final)}
    assert found == {1: ["yes"], 2: ["no"]}


async def test_one_utterance_does_not_leak_into_the_next(ears, heard):
    say(ears, await spoken("My name is Peter."), 1)
    ears.finish()
    await heard.first(Final)
    heard.events.clear()
    say(ears, QUIET * 20 + await spoken("Yes."), 2)
    ears.finish()
    assert plain((await heard.first(Final)).text) == ["yes"]


def _noises():
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
async def test_there_are_no_words_in(noise, ears, heard):
    say(ears, g711.encode_float(_noises()[noise]), 1)
    ears.pause()
    ears.finish()
    assert await heard.first(Final) == Final(1, "")


async def test_several_calls_are_heard_at_once_without_mixing():
    texts = ["Yes.", QUESTION, "Can I park my car?", "No."]
    audio = [await spoken(text) for text in texts]

    async def call(sound):
        heard, ears = Listener(), LocalTranscriber(SETTINGS)
        await ears.open(heard)
        say(ears, sound, 1)
        ears.finish()
        final = await heard.first(Final)
        await ears.aclose()
        return plain(final.text)

    assert await asyncio.gather(*map(call, audio)) == [plain(text) for text in texts]


async def test_it_says_nothing_after_it_is_closed(ears, heard):
    say(ears, await spoken(QUESTION), 1)
    ears.pause()
    ears.finish()
    await ears.aclose()
    await ears.aclose()
    await EARS.run(len, "")
    assert heard.count(Final) == heard.count(TranscriptionFailed) == 0


async def test_a_broken_model_fails_the_utterance_once(ears, heard, monkeypatch):
    def broken(audio):
        raise OSError("disk")

    monkeypatch.setattr(local_ears, "recognise", broken)
    say(ears, await spoken("Yes."), 4)
    ears.pause()
    ears.finish()
    failed = await heard.first(TranscriptionFailed)
    assert (failed.utterance, failed.error.reason) == (4, "unavailable")
    assert "disk" not in str(failed.error)


async def test_an_overloaded_server_fails_the_utterance_as_retryable(ears, heard, monkeypatch):
    async def full(*args):
        raise LaneFull

    monkeypatch.setattr(EARS, "run", full)
    say(ears, QUIET * 30, 1)
    ears.finish()
    assert (await heard.first(TranscriptionFailed)).error.retryable


async def test_only_the_last_half_minute_is_kept(ears):
    ears.begin(1)
    ears.hear(QUIET * 50 * 40)
    assert len(ears._open.audio) == 30 * 8000


async def test_without_its_package_it_names_the_extra(monkeypatch):
    monkeypatch.setattr(local_ears, "find_spec", lambda name: None)
    with pytest.raises(ProviderError, match=r"botsconfig\[local\]") as failure:
        await LocalTranscriber(SETTINGS).open(print)
    assert failure.value.reason == "missing_extra"


async def test_no_audio_is_no_words():
    assert recognise(b"") == ""
