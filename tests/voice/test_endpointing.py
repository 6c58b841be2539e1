"""When a turn ends where the recogniser listens to the words: with both ears, or with patience."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.scripted_services import ScriptedTranscriber
from apps.voice.gate import SpeechGate
from apps.voice.hearing import Failed, Hearing, Words
from apps.voice.ports import TurnEnded
from apps.voice.settings import TurnSettings
from apps.voice.turns import Heard
from tests.support.virtual_time import VirtualClock, in_virtual_time
from tests.voice.far_end import QUIET, SPEECH, Loudness

STOP_S = 0.3
PATIENCE_S = 1.2


class Listener(ScriptedTranscriber):
    """Ears that endpoint, when the test says so."""

    endpoints = True


class Caller:
    """A hearing side, and what it reported after how much audio, in ms."""

    def __init__(self, transcriber: ScriptedTranscriber) -> None:
        self.clock = VirtualClock()
        self.at: list[tuple[Heard, int]] = []
        self.ms = 0
        self.hearing = Hearing(
            detector=Loudness(),
            transcriber=transcriber,
            gate=SpeechGate(TurnSettings(stop_secs=STOP_S)),
            clock=self.clock,
            report=self.report,
            patience_secs=PATIENCE_S,
        )

    def report(self, report: Heard | Words | Failed) -> None:
        assert isinstance(report, Heard)
        self.at.append((report, self.ms))
        if report is Heard.SPEECH_STARTED and not self.hearing.utterance:
            self.hearing.begin()

    async def hears(self, frame: bytes, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            await asyncio.sleep(0.02)
            self.ms += 20
            self.hearing.frame(frame)

    def ends(self) -> list[int]:
        return [ms for heard, ms in self.at if heard is Heard.SPEECH_ENDED]


Story = Callable[[Caller], Awaitable[None]]


async def told(story: Story, *, endpoints: bool = True) -> Caller:
    kind = Listener if endpoints else ScriptedTranscriber
    caller = Caller(kind(ServiceSettings("scripted")))
    await caller.hears(QUIET, 0.2)
    await caller.hears(SPEECH, 1)  # until 1,200 ms
    await story(caller)
    caller.hearing.close()
    return caller


async def silent(caller: Caller) -> None:
    await caller.hears(QUIET, 3)


@in_virtual_time
async def test_silence_alone_ends_a_turn_where_the_recogniser_does_not_endpoint() -> None:
    caller = await told(silent, endpoints=False)
    assert caller.ends() == [pytest.approx(1_200 + STOP_S * 1_000, abs=40)]


@in_virtual_time
async def test_a_recogniser_that_expects_more_words_gets_patience_but_not_for_ever() -> None:
    caller = await told(silent)
    assert caller.ends() == [pytest.approx(1_200 + PATIENCE_S * 1_000, abs=40)]


@in_virtual_time
async def test_the_recogniser_ends_the_turn_before_silence_alone_would() -> None:
    async def story(caller: Caller) -> None:
        await caller.hears(QUIET, 0.16)
        caller.hearing.take(TurnEnded(1))
        await caller.hears(QUIET, 2)

    caller = await told(story)
    assert caller.ends() == [1_360]


@in_virtual_time
async def test_a_turn_held_open_ends_the_moment_the_recogniser_says_so() -> None:
    async def story(caller: Caller) -> None:
        await caller.hears(QUIET, 0.7)
        caller.hearing.take(TurnEnded(1))
        await caller.hears(QUIET, 2)

    caller = await told(story)
    assert caller.ends() == [1_900]


@in_virtual_time
async def test_a_recogniser_that_is_ahead_of_the_silence_waits_for_it() -> None:
    async def story(caller: Caller) -> None:
        caller.hearing.take(TurnEnded(1))
        await caller.hears(QUIET, 2)

    caller = await told(story)
    assert caller.ends() == [pytest.approx(1_320, abs=40)]  # as soon as there is a pause


@in_virtual_time
async def test_a_caller_who_speaks_on_is_not_cut_off_by_a_recogniser() -> None:
    async def story(caller: Caller) -> None:
        caller.hearing.take(TurnEnded(1))
        await caller.hears(SPEECH, 1)
        await caller.hears(QUIET, 2)

    caller = await told(story)
    assert caller.ends() == [pytest.approx(2_200 + PATIENCE_S * 1_000, abs=40)]


@in_virtual_time
async def test_a_caller_who_thinks_in_mid_sentence_keeps_the_turn() -> None:
    async def story(caller: Caller) -> None:
        await caller.hears(QUIET, 0.8)  # longer than stop_secs, shorter than patience
        await caller.hears(SPEECH, 0.5)
        await caller.hears(QUIET, 0.2)
        caller.hearing.take(TurnEnded(1))
        await caller.hears(QUIET, 2)

    caller = await told(story)
    assert caller.ends() == [2_700]


@in_virtual_time
async def test_the_end_of_an_earlier_utterance_ends_no_later_one() -> None:
    async def story(caller: Caller) -> None:
        caller.hearing.begin()
        await caller.hears(QUIET, 0.4)
        caller.hearing.take(TurnEnded(1))
        await caller.hears(QUIET, 0.2)

    assert (await told(story)).ends() == []
