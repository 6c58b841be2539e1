"""The local voice against its port, with the real model."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from apps.providers import local_voice
from apps.providers.base import ServiceSettings
from apps.providers.local_voice import LocalVoice, warm_up
from apps.providers.workers import VOICE
from apps.voice import g711
from apps.voice.ports import ProviderError
from tests.providers.local_speech import SETTINGS, spoken

pytestmark = [
    pytest.mark.local_models,
    pytest.mark.skipif(not find_spec("hibari"), reason="needs botsconfig[local]"),
]

TWO = "We are open from nine to five. On Sunday we are closed."


async def test_it_streams_a_piece_per_sentence() -> None:
    pieces = [piece async for piece in LocalVoice(SETTINGS).speak(TWO)]
    assert len(pieces) in (2, 3)
    assert all(pieces)
    assert 2 < sum(map(len, pieces)) / 8000 < 6


@pytest.mark.parametrize("text", ["", "   ", "\n", "…", "🙂"])
async def test_what_has_no_words_yields_nothing_audible(text: str) -> None:
    assert g711.level_db(await spoken(text)) == -100.0


async def test_it_speaks_at_the_level_of_people_without_clipping() -> None:
    sound = g711.decode_float(await spoken(TWO))
    frames = np.square(sound[: len(sound) // 160 * 160]).reshape(-1, 160).mean(axis=1)
    level = 10 * np.log10(frames[frames > frames.max() * 10**-2.5].mean())
    assert -23 < level < -18
    assert np.abs(sound).max() < 0.98


async def test_it_starts_without_a_silence() -> None:
    audible = np.flatnonzero(np.abs(g711.decode_float(await spoken("Yes."))) > 0.006)
    assert audible[0] < 70 * 8


async def test_speed_changes_how_long_it_takes() -> None:
    normal, fast = len(await spoken(TWO)), len(await spoken(TWO, speed=1.5))
    assert 0.55 * normal < fast < 0.85 * normal


async def test_the_same_text_sounds_the_same() -> None:
    assert await spoken(TWO) == await spoken(TWO)


async def test_a_closed_generator_makes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[local_voice._Speech] = []
    make = local_voice._Speech.make

    def recorded(speech: local_voice._Speech) -> bytes | None:
        made.append(speech)
        return make(speech)

    monkeypatch.setattr(local_voice._Speech, "make", recorded)
    speech = LocalVoice(SETTINGS).speak(TWO * 5)
    await anext(speech)
    await speech.aclose()
    await VOICE.run(len, "")
    assert len(made) == 1


async def test_warming_up_twice_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    await warm_up()
    monkeypatch.setattr(local_voice, "_model", lambda: pytest.fail("warmed up again"))
    await warm_up()


async def test_a_voice_that_would_be_fetched_is_refused() -> None:
    with pytest.raises(ProviderError) as failure:
        LocalVoice(ServiceSettings("local", voice="emma"))
    assert failure.value.reason == "bad_request"


async def test_without_its_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_voice, "find_spec", lambda name: None)
    with pytest.raises(ProviderError, match=r"botsconfig\[local\]") as failure:
        await anext(LocalVoice(SETTINGS).speak("Hello."))
    assert failure.value.reason == "missing_extra"


async def test_a_broken_model_is_a_provider_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_voice, "_model", lambda: 1 / 0)
    with pytest.raises(ProviderError) as failure:
        await anext(LocalVoice(SETTINGS).speak("Hello."))
    assert failure.value.retryable
