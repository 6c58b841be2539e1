"""Every speech-to-text adapter, against a stand-in of its vendor: the same cases for all."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from apps.providers import connections
from apps.voice.ports import (
    Endpointing,
    Partial,
    ProviderError,
    TranscriptionFailed,
    TurnEnded,
    Warmable,
)
from tests.vendors.caller import FRAME, Caller, calling, heard, name_of
from tests.vendors.kinds import Subject, tasks_running
from tests.vendors.listening import LiveStandIn
from tests.vendors.serving import KEY, SECRET, WRONG_KEY, Fault, FaultKind, serving
from tests.vendors.subjects import EARS

WHOLE = frozenset(("deepgram", "assemblyai", "gladia"))  # these are sent all audio


def variants(*values: Any) -> pytest.MarkDecorator:
    """Run a test for every adapter and every value; the conformance table has a row for each."""
    pairs = [
        pytest.param(one, value, id=f"{name_of(one)}{' ' if ':' in name_of(one) else ':'}{value}")
        for one in EARS
        for value in values
    ]
    return pytest.mark.parametrize(("subject", "value"), pairs, indirect=["subject"])


@pytest.fixture(params=EARS, ids=name_of)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    return found


@pytest.fixture
async def vendor(subject: Subject) -> AsyncIterator[LiveStandIn]:
    async with serving(subject.stand_in()) as stand_in:
        assert isinstance(stand_in, LiveStandIn)
        yield stand_in
        assert stand_in.refusals == [] or stand_in.refusals == ["the key"]


@pytest.fixture
async def caller(subject: Subject, vendor: LiveStandIn) -> AsyncIterator[Caller]:
    async with calling(subject, vendor) as caller:
        yield caller


# --- words ----------------------------------------------------------------------------------------


async def test_what_is_said_becomes_words(caller: Caller) -> None:
    caller.say(1)
    assert await caller.words(1) == "book a table"


async def test_each_utterance_gets_its_own_words_and_one_final(caller: Caller) -> None:
    for number, words in enumerate(("book a table", "for two people", "at seven thirty"), 1):
        caller.say(number)
        assert await caller.words(number) == words
        caller.silence(600)
    assert caller.ends() == [1, 2, 3]


async def test_utterances_in_a_row_without_waiting_do_not_mix(caller: Caller) -> None:
    for number in (1, 2, 3):
        caller.say(number)
        caller.silence(500)
    assert await caller.words(3) == "at seven thirty"
    assert await caller.words(1) == "book a table"
    assert await caller.words(2) == "for two people"
    assert caller.ends() == [1, 2, 3]


async def test_words_that_are_final_before_the_end_are_kept(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    caller.silence(100)
    caller.ears.pause()
    caller.silence(1_400)  # the vendor takes it for a turn's end long before we do
    await vendor.until(lambda: len(heard(vendor.audio)) == len(caller.spoken))
    await caller.until(Partial, 1)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert caller.ends() == [1]


async def test_pieces_that_the_vendor_cuts_are_joined(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["my number is | five five five", "thank you"]
    caller.say(1, ms=2_000)
    assert await caller.words(1) == "my number is five five five"
    caller.silence(500)
    caller.say(2)
    assert await caller.words(2) == "thank you"


async def test_an_end_without_a_pause_before_it_is_an_end(caller: Caller) -> None:
    caller.speak(1)
    caller.ears.finish()
    caller.silence(600)
    assert await caller.words(1) == "book a table"


async def test_a_pause_in_the_midst_loses_nothing(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["yes please"]
    caller.speak(1)
    caller.silence(100)
    caller.ears.pause()
    caller.silence(60)
    caller.ears.resume()
    caller.sound(400)
    caller.stop()
    assert await caller.words(1) == "yes please"
    assert caller.ends() == [1]


async def test_words_before_the_mark_belong_to_the_utterance(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.silence(400)
    caller.sound(600)
    caller.silence(200)
    caller.ears.begin(1)
    caller.ears.pause()
    caller.silence(200)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert heard(vendor.audio) == bytes(caller.spoken)


async def test_a_caller_who_goes_on_at_once_gets_all_words_in_one_final(
    caller: Caller, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    caller.ears.begin(2)
    caller.sound(400)
    caller.stop()
    assert await caller.words(2) == "book a table"
    assert caller.ends() == [2]


async def test_a_caller_who_goes_on_before_the_words_are_there_mixes_nothing(
    caller: Caller, vendor: LiveStandIn
) -> None:
    vendor.hold = asyncio.Event()
    caller.say(1)
    caller.silence(200)
    await vendor.until(lambda: len(heard(vendor.audio)) == len(caller.spoken))
    caller.speak(2)
    assert caller.ends() == []
    vendor.hold.set()
    assert await caller.words(1) == "book a table"
    caller.stop()
    assert await caller.words(2) == "for two people"
    assert caller.ends() == [1, 2]


async def test_partials_come_while_the_caller_speaks(
    caller: Caller, subject: Subject, vendor: LiveStandIn
) -> None:
    caller.speak(1)
    await vendor.until(lambda: len(vendor.audio) > 0)
    guess = await caller.until(Partial, 1)
    assert guess.text and "book a table".startswith(guess.text)


async def test_no_words_are_an_empty_final_and_soon(caller: Caller, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["", "book a table"]
    caller.say(1, ms=400)
    async with asyncio.timeout(2.0):
        assert await caller.words(1) == ""
    caller.silence(600)
    caller.say(2)
    assert await caller.words(2) == "book a table"
    assert caller.ends() == [1, 2]


async def test_a_mark_without_any_sound_is_an_empty_final(caller: Caller) -> None:
    caller.silence(600)
    caller.ears.begin(1)
    caller.silence(400)
    caller.ears.finish()
    caller.silence(1_000)
    async with asyncio.timeout(2.0):
        assert await caller.words(1) == ""


async def test_a_finish_without_a_begin_is_nothing(caller: Caller) -> None:
    caller.ears.finish()
    caller.ears.pause()
    caller.ears.resume()
    caller.say(1)
    assert await caller.words(1) == "book a table"
    assert caller.ends() == [1]


# --- audio ----------------------------------------------------------------------------------------


async def test_audio_arrives_whole_and_in_order(
    caller: Caller, vendor: LiveStandIn, subject: Subject
) -> None:
    for number in (1, 2):
        caller.say(number, ms=1_500)
        await caller.words(number)
        caller.silence(400)
    assert heard(vendor.audio) == bytes(caller.spoken)


def _has(vendor: LiveStandIn, ms: float) -> bool:
    return len(vendor.audio) / 8 > ms


async def test_what_is_between_utterances_is_sent_where_it_helps(
    caller: Caller, vendor: LiveStandIn, subject: Subject
) -> None:
    for sent_ms in (1_000, 2_000, 3_000):
        caller.silence(1_000)
        if subject.provider in WHOLE:
            await vendor.until(partial(_has, vendor, sent_ms - 100))
    caller.say(1)
    await caller.words(1)
    everything_ms = 3_000 + 1_000
    assert (len(vendor.audio) / 8 >= everything_ms) == (subject.provider in WHOLE)


async def test_frames_of_any_length_are_taken(caller: Caller, vendor: LiveStandIn) -> None:
    caller.ears.hear(b"")
    for length in (1, 7, 160, 333, 4_000):
        caller.ears.hear(b"\x21" * length)
    caller.ears.begin(1)
    caller.ears.hear(b"\x21" * 1_000)
    caller.stop()
    await caller.words(1)
    assert len(heard(vendor.audio)) == 1 + 7 + 160 + 333 + 4_000 + 1_000


async def test_audio_before_the_connection_stands_is_not_lost(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.gate = asyncio.Event()
    async with calling(subject, vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        caller.say(1)
        vendor.gate.set()
        await opening
        assert await caller.words(1) == "book a table"
        assert heard(vendor.audio) == bytes(caller.spoken)


async def test_of_endless_speech_without_a_connection_the_last_half_minute_is_kept(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.gate = asyncio.Event()
    async with calling(subject, vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        caller.speak(1, ms=40_000)
        vendor.gate.set()
        await opening
        caller.stop()
        assert await caller.words(1) == "book a table"
        kept = heard(vendor.audio)
        assert 29_000 * 8 <= len(kept) <= 30_000 * 8
        assert bytes(caller.spoken).endswith(kept)


# --- connections ----------------------------------------------------------------------------------


async def test_warming_up_saves_the_handshake(subject: Subject, vendor: LiveStandIn) -> None:
    async with calling(subject, vendor, opens=False) as caller:
        ears = caller.ears
        assert isinstance(ears, Warmable)
        await ears.warm()
        handshakes = len(vendor.seen)
        await caller.ears.open(caller)
        caller.say(1)
        assert await caller.words(1) == "book a table"
        assert len(vendor.seen) == handshakes


async def test_a_failure_while_warming_up_is_told_when_it_opens(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("status", 503, times=1)
    async with calling(subject, vendor, opens=False) as caller:
        await caller.ears.warm()
        await caller.ears.open(caller)
        caller.say(1)
        assert await caller.words(1) == "book a table"


async def test_a_cancelled_warming_up_leaves_nothing(subject: Subject, vendor: LiveStandIn) -> None:
    vendor.gate = asyncio.Event()
    before = tasks_running()
    async with calling(subject, vendor, opens=False) as caller:
        warming = asyncio.create_task(caller.ears.warm())
        await vendor.until(lambda: bool(vendor.seen))
        warming.cancel()
        await asyncio.gather(warming, return_exceptions=True)
    vendor.gate.set()
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0 and tasks_running() <= before)


async def test_a_broken_connection_is_made_anew_and_the_sentence_is_understood(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("cut", times=1)
    vendor.breaks_after_ms = 1_000
    async with calling(subject, vendor) as caller:
        caller.silence(400)
        caller.speak(1, ms=1_200)
        await vendor.until(lambda: len(vendor.by_connection) == 2)
        caller.stop()
        assert await caller.words(1) == "book a table"
        assert caller.ends() == [1]
        again = heard(vendor.by_connection[1])
        assert again == bytes(caller.spoken)


async def test_a_connection_that_breaks_when_the_words_are_due_is_made_anew(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("cut", times=1)
    vendor.breaks_after_ms = 1_000
    async with calling(subject, vendor) as caller:
        caller.say(1)
        caller.silence(400)
        assert await caller.words(1) == "book a table"
        assert caller.ends() == [1]


async def test_what_has_its_final_words_is_not_sent_again(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("cut", times=1)
    vendor.breaks_after_ms = 2_500
    async with calling(subject, vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == "book a table"
        first = len(caller.spoken)
        caller.silence(500)
        caller.speak(2, ms=2_000)
        await vendor.until(lambda: len(vendor.by_connection) == 2)
        caller.stop()
        assert await caller.words(2) == "for two people"
        assert heard(vendor.by_connection[1]) == bytes(caller.spoken[first:])


async def test_a_connection_that_cannot_be_had_again_fails_the_utterance_alone(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("cut")
    async with calling(subject, vendor) as caller:
        caller.say(1)
        error = await caller.failure(1)
        assert (error.reason, error.retryable) == ("unavailable", True)
        vendor.fault = Fault()
        caller.silence(400)
        caller.say(2)
        assert await caller.words(2) == "book a table"
        assert caller.ends() == [1, 2]


async def test_a_key_refused_on_reconnecting_is_not_tried_again(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("cut", times=1)
    async with calling(subject, vendor) as caller:
        vendor.fault = Fault("status", 401)
        caller.say(1)
        assert (await caller.failure(1)).reason == "auth"
        handshakes = len(vendor.seen)
        caller.say(2)
        assert (await caller.failure(2)).reason == "auth"
        assert len(vendor.seen) == handshakes


# --- failures -------------------------------------------------------------------------------------


async def failure(subject: Subject, vendor: LiveStandIn, *, key: str = KEY) -> ProviderError:
    """Return the failure of a first utterance, wherever it is told."""
    try:
        async with calling(subject, vendor, key=key, patience_s=0.6) as caller:
            caller.say(1)
            return await caller.failure(1)
    except ProviderError as error:
        return error


REASONS = {
    400: "bad_request",
    401: "auth",
    402: "quota",
    403: "auth",
    429: "quota",
    500: "unavailable",
    503: "unavailable",
}


@variants(*REASONS)
async def test_a_refusal_has_its_reason(subject: Subject, vendor: LiveStandIn, value: int) -> None:
    vendor.fault = Fault("status", value)
    assert (await failure(subject, vendor)).reason == REASONS[value]


async def test_a_wrong_key_is_told_when_it_opens(subject: Subject, vendor: LiveStandIn) -> None:
    with pytest.raises(ProviderError) as raised:
        async with calling(subject, vendor, key=WRONG_KEY):
            pass
    assert raised.value.reason == "auth"
    assert len(vendor.seen) == 1


@variants("none", "two words")
async def test_a_key_that_cannot_be_one_is_asked_of_nobody(
    subject: Subject, vendor: LiveStandIn, value: str
) -> None:
    with pytest.raises(ProviderError) as raised:
        async with calling(subject, vendor, key="" if value == "none" else value):
            pass
    assert raised.value.reason == "auth"
    assert vendor.seen == []


async def test_a_mute_vendor_is_waited_for_with_patience(
    subject: Subject, vendor: LiveStandIn
) -> None:
    vendor.fault = Fault("mute")
    assert (await failure(subject, vendor)).reason == "timeout"


@variants("garbage", "error_body")
async def test_an_answer_that_is_none_is_a_failure(
    subject: Subject, vendor: LiveStandIn, value: FaultKind
) -> None:
    vendor.fault = Fault(value)
    assert (await failure(subject, vendor)).reason == "unavailable"


async def test_a_vendor_that_is_not_there_is_told_when_it_opens(subject: Subject) -> None:
    stand_in = subject.stand_in()
    async with serving(stand_in):
        pass
    with pytest.raises(ProviderError) as raised:
        async with calling(subject, stand_in):
            pass
    assert raised.value.reason == "unavailable"


async def test_no_log_and_no_error_holds_the_key(
    subject: Subject, vendor: LiveStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets.client", "httpcore", "httpx", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    async with calling(subject, vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == "book a table"
        assert KEY not in repr(caller.ears) + repr(vars(caller.ears))
    error = await failure(subject, vendor, key=WRONG_KEY)
    told = caplog.text + str(error) + repr(error)
    assert not SECRET.search(told)
    assert "book a table" not in told


# --- ends -----------------------------------------------------------------------------------------


async def test_a_caller_who_hangs_up_in_midst_of_a_word_ends_the_session(
    subject: Subject, vendor: LiveStandIn
) -> None:
    before = tasks_running()
    async with calling(subject, vendor) as caller:
        caller.speak(1)
        await vendor.until(lambda: len(vendor.audio) > FRAME)
    told = len(caller.events)
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0)
    caller.sound(200)
    await vendor.until(lambda: tasks_running() <= before)
    assert len(caller.events) == told


async def test_the_end_is_told_in_the_vendors_words(subject: Subject, vendor: LiveStandIn) -> None:
    if not subject.stops_in_words:
        pytest.skip("closing the connection is all that this vendor has")
    async with calling(subject, vendor) as caller:
        caller.say(1)
        await caller.words(1)
    await vendor.until(lambda: vendor.sessions_ended == 1)


async def test_it_may_be_closed_at_any_moment_and_twice(
    subject: Subject, vendor: LiveStandIn
) -> None:
    async with calling(subject, vendor, opens=False) as caller:
        await caller.ears.aclose()
    async with calling(subject, vendor) as caller:
        caller.say(1)
        await caller.ears.aclose()
        await caller.ears.aclose()
        caller.say(2)


async def test_it_may_be_closed_while_it_opens(subject: Subject, vendor: LiveStandIn) -> None:
    vendor.gate = asyncio.Event()
    async with calling(subject, vendor, opens=False) as caller:
        opening = asyncio.create_task(caller.ears.open(caller))
        await vendor.until(lambda: bool(vendor.seen))
        await caller.ears.aclose()
        vendor.gate.set()
        await asyncio.gather(opening, return_exceptions=True)
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0)


async def test_a_hundred_calls_leave_nothing(subject: Subject, vendor: LiveStandIn) -> None:
    vendor.transcripts = ["book a table"] * 101
    before = tasks_running()
    for _ in range(100):
        async with calling(subject, vendor) as caller:
            caller.say(1, ms=600)
            assert await caller.words(1) == "book a table"
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0 and tasks_running() <= before)


async def test_it_says_whether_it_endpoints(caller: Caller, vendor: LiveStandIn) -> None:
    ears = caller.ears
    assert isinstance(ears, Endpointing)
    caller.speak(1)
    caller.silence(1_000)
    if not ears.endpoints:
        caller.stop()
        await caller.words(1)
        assert caller.turns_over() == []
        return
    await caller.until(TurnEnded, 1)
    caller.ears.finish()
    assert await caller.words(1) == "book a table"
    assert caller.turns_over() == [1]


@pytest.mark.live
async def test_the_real_vendor_answers(subject: Subject) -> None:
    key = os.environ.get(subject.key_name, "")
    if not key:
        pytest.skip(f"{subject.key_name} is not set")
    ears = subject.build(subject.service("", key=key, patience_s=10.0))
    caller = Caller(ears)
    await ears.open(caller)
    try:
        ears.begin(1)
        for _ in range(100):
            ears.hear(b"\xff" * FRAME)
            await asyncio.sleep(0.02)
        ears.finish()
        end = await caller.until(TranscriptionFailed | Partial, 1)
        assert end is not None
    finally:
        await ears.aclose()
