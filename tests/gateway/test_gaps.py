"""Audio that Twilio dropped on its way to us is counted, and told once a second."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import pytest

from apps.bots.models import TwilioConfig
from apps.calls.models import CallEvent
from apps.gateway.gaps import EVERY, Gaps
from apps.gateway.metrics import AUDIO_LOST
from apps.gateway.runtime import Gateway, gateway_close
from apps.telephony import inbound
from apps.telephony.streams import media_chunk
from tests.gateway.conftest import QUIET, BotWith, Phone, in_database_thread

PAYLOAD = base64.b64encode(QUIET).decode()


def frame(chunk: int) -> str:
    return inbound.media("MZ1", sequence=chunk, chunk=chunk, timestamp_ms=0, payload=PAYLOAD)


def missing(chunks: Iterable[int]) -> list[int]:
    """Return what is told of frames of these numbers, by the time the stream is over."""
    told: list[int] = []
    gaps = Gaps(told.append)
    for chunk in chunks:
        gaps.frame(frame(chunk))
    gaps.close()
    return told


def test_a_whole_stream_has_no_gaps() -> None:
    assert missing(range(1, 10 * EVERY)) == []


@pytest.mark.parametrize("lost", [1, 7, 500])
@pytest.mark.parametrize("at", [2, EVERY, EVERY + 1, 3 * EVERY + 9])
def test_a_gap_is_told_once(at: int, lost: int) -> None:
    assert missing([*range(1, at), *range(at + lost, at + lost + 3 * EVERY)]) == [lost]


def test_it_is_told_within_a_second() -> None:
    told: list[int] = []
    gaps = Gaps(told.append)
    for chunk in [*range(1, 60), *range(65, 65 + EVERY)]:
        gaps.frame(frame(chunk))
    assert told == [5]


def test_a_gap_just_before_the_end_counts() -> None:
    assert missing([1, 2, 3, 9]) == [5]


def test_many_gaps_in_a_second_are_told_together() -> None:
    assert missing(range(1, 2 * EVERY, 2)) == [EVERY - 1]


@pytest.mark.parametrize("first", [0, 1, 40])
def test_what_the_first_number_is_means_nothing(first: int) -> None:
    assert missing(range(first, first + 3 * EVERY)) == []


def test_what_has_no_number_or_none_that_counts_says_nothing() -> None:
    told: list[int] = []
    gaps = Gaps(told.append)
    for _ in range(2 * EVERY):
        gaps.frame('{"event":"media","media":{"payload":""}}')
    gaps.numbered(0)
    gaps.close()
    assert told == []


@pytest.mark.parametrize("text", ["", '"chunk":7', '"chunk":"', '"chunk":"x"', '"chunk":"²"'])
def test_what_is_no_number_is_none(text: str) -> None:
    assert media_chunk(text) is None
    assert media_chunk('"chunk":"407"') == 407


@pytest.mark.django_db(transaction=True)
async def test_audio_that_twilio_dropped_is_an_event_of_the_call_and_an_alarm(
    running: Gateway, bot_with: BotWith
) -> None:
    bot: TwilioConfig = await in_database_thread(bot_with)()
    before = AUDIO_LOST._value.get()
    phone = Phone(bot)
    await phone.dial()
    for chunk in [*range(1, 20), *range(26, 40)]:
        await phone.raw(frame(chunk))
    # Written otherwise than Twilio does, and read the long way.
    await phone.raw(frame(43).replace(":", ": "))
    await phone.hang_up()
    await gateway_close()
    told = await in_database_thread(lambda: list(CallEvent.objects.filter(kind="audio.lost")))()
    assert sum(event.data["messages"] for event in told) == 6 + 3
    assert AUDIO_LOST._value.get() - before == 9
