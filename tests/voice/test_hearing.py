"""Which transcript somebody waits for: the latest utterance's, once it is over."""

from __future__ import annotations

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.scripted_services import ScriptedTranscriber
from apps.voice.gate import SpeechGate
from apps.voice.hearing import Failed, Hearing, Words
from apps.voice.ports import Final, ProviderError, TranscriptionFailed
from apps.voice.settings import TurnSettings
from apps.voice.turns import Heard
from tests.support.virtual_time import VirtualClock, in_virtual_time
from tests.voice.far_end import Loudness

BROKEN = ProviderError("ears", "connection lost", reason="unavailable")


def ears() -> tuple[Hearing, list[Heard | Words | Failed]]:
    reports: list[Heard | Words | Failed] = []
    # Not opened, so that it delivers nothing of its own: the test says what arrives, and when.
    transcriber = ScriptedTranscriber(ServiceSettings("scripted"))
    hearing = Hearing(
        detector=Loudness(),
        transcriber=transcriber,
        gate=SpeechGate(TurnSettings()),
        clock=VirtualClock(),
        report=reports.append,
    )
    return hearing, reports


@in_virtual_time
async def test_the_words_of_an_earlier_utterance_count_but_are_not_waited_for() -> None:
    hearing, reports = ears()
    hearing.begin()
    hearing.finish()
    hearing.begin()
    hearing.finish()
    hearing.take(Final(1, "I want"))
    hearing.take(Final(2, "a table."))
    assert reports == [Words("I want", latest=False), Words("a table.", latest=True)]


@in_virtual_time
async def test_words_that_come_while_the_caller_still_speaks_end_nothing() -> None:
    hearing, reports = ears()
    hearing.begin()
    hearing.finish()
    hearing.begin()
    hearing.take(Final(1, "I want"))
    assert reports == [Words("I want", latest=False)]


@in_virtual_time
async def test_an_utterance_is_answered_once() -> None:
    hearing, reports = ears()
    hearing.begin()
    hearing.finish()
    hearing.take(Final(1, "Hello."))
    hearing.take(Final(1, "Hello."))
    assert [report.latest for report in reports if isinstance(report, Words)] == [True, False]


@in_virtual_time
@pytest.mark.parametrize("waited_for", [True, False])
async def test_a_failure_is_told_only_of_the_utterance_that_is_waited_for(
    waited_for: bool,
) -> None:
    hearing, reports = ears()
    hearing.begin()
    hearing.finish()
    if not waited_for:
        hearing.begin()
    hearing.take(TranscriptionFailed(1, BROKEN))
    assert reports == ([Failed(BROKEN)] if waited_for else [])
