"""What every speech-to-text adapter makes of lost connections, refusals, silence and hang-ups."""

from __future__ import annotations

import asyncio
import logging

import pytest

from apps.providers import connections
from apps.voice.ports import (
    ProviderError,
    Warmable,
)
from tests.vendors.caller import FRAME, calling, heard, variants
from tests.vendors.kinds import Subject, tasks_running
from tests.vendors.listening import LiveStandIn
from tests.vendors.serving import KEY, SECRET, WRONG_KEY, Fault, FaultKind, serving

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
        handshakes = len(vendor.seen)
    told = len(caller.events)
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0)
    caller.sound(200)
    await vendor.until(lambda: tasks_running() <= before)
    assert len(caller.events) == told
    assert len(vendor.seen) == handshakes


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
    before = tasks_running()
    async with calling(subject, vendor, opens=False) as caller:
        await caller.ears.aclose()
    async with calling(subject, vendor) as caller:
        caller.say(1)
        await caller.ears.aclose()
        told = len(caller.events)
        await caller.ears.aclose()
        caller.say(2)
        assert len(caller.events) == told
    await connections.aclose()
    await vendor.until(lambda: vendor.live == 0 and tasks_running() <= before)


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
