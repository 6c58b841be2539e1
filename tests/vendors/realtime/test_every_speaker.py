"""What goes wrong with OpenAI's Realtime API, and what is left of it."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing
from typing import Any

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime import OpenAIRealtime
from apps.voice.ports import (
    ChatMessage,
    Final,
    Partial,
    ProviderError,
    ToolCall,
    TranscriptEvent,
)
from tests.vendors.kinds import tasks_running
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.openai_realtime_responses import Said
from tests.vendors.openai_realtime_rules import Refused
from tests.vendors.realtime.phone import (
    ASKED,
    FRAME,
    LOOK,
    PROMPT,
    TONE,
    Phone,
    built,
    events_of,
    failing,
    sound_of,
    until,
    words_of,
)
from tests.vendors.serving import SECRET, WRONG_KEY, Fault, FaultKind

# --- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [(401, "auth", False), (402, "quota", False), (429, "quota", True), (404, "bad_request", False)]
    + [(500, "unavailable", True), (503, "unavailable", True)],
)
async def test_a_refused_handshake_is_told_by_its_status(
    vendor: OpenAIRealtimeStandIn, status: int, reason: str, retryable: bool
) -> None:
    vendor.fault = Fault("status", status)
    mind = built(vendor)
    error = await failing(mind)
    assert (error.reason, error.retryable) == (reason, retryable)
    with pytest.raises(ProviderError):
        await mind.ears.open(lambda event: None)
    await mind.warm()  # tells nothing
    await mind.aclose()


@pytest.mark.parametrize("secrets", [{}, {"api_key": WRONG_KEY}, {"api_key": "a\nb"}])
async def test_a_wrong_key_is_the_keys_fault(
    vendor: OpenAIRealtimeStandIn, secrets: dict[str, str]
) -> None:
    mind = built(vendor, secrets=secrets)
    assert (await failing(mind)).reason == "auth"
    await mind.aclose()


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ({"type": "invalid_request_error", "code": "insufficient_quota"}, "quota"),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, "quota"),
        ({"type": "server_error", "code": None}, "unavailable"),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, "auth"),
        ({"type": "invalid_request_error", "code": "unsupported_model"}, "bad_request"),
    ],
)
async def test_a_failed_response_is_told_by_its_code(
    vendor: OpenAIRealtimeStandIn, phone: Phone, failure: dict[str, Any], reason: str
) -> None:
    vendor.fault, vendor.failure = Fault("error_body", times=1), failure
    assert (await failing(phone.mind)).reason == reason
    assert await events_of(phone.mind)  # and the session goes on
    assert len(vendor.seen) == 1


async def test_a_guess_that_failed_is_not_the_last_word(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.fault = Fault("error_body", times=1)
    phone.say()
    await until(vendor, phone.finals)
    assert words_of(await events_of(phone.mind)) == "".join(vendor.answer)
    assert len(vendor.contexts) == 2


async def test_a_response_that_is_not_taken_is_told(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor)
    vendor.refuse_next = "rate_limit_exceeded"
    assert (await failing(mind)).reason == "quota"
    await mind.aclose()


async def test_an_error_of_the_whole_session_ends_its_answers(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold = asyncio.Event()
    asking = asyncio.ensure_future(failing(phone.mind))
    await until(vendor, lambda: vendor.contexts)
    await vendor.session.fail(Refused("insufficient_quota", "You exceeded your current quota."))
    assert (await asking).reason == "quota"


async def test_a_session_that_is_not_taken_is_told(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor, options={"voice": "nobody"})
    assert (await failing(mind)).reason == "bad_request"
    await mind.aclose()


async def test_a_model_that_nobody_knows_is_told(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor, model="llama")
    error = await failing(mind)
    assert (error.reason, "model_not_found" in error.message) == ("bad_request", True)
    await mind.aclose()


async def test_a_mute_vendor_is_not_waited_for(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor, patience_s=0.2)
    vendor.fault = Fault("mute", times=1)
    assert (await failing(mind)).reason == "timeout"
    assert await events_of(mind)  # by another connection
    await mind.aclose()


@pytest.mark.parametrize("kind", ["silence", "garbage", "cut"])
async def test_what_is_no_speech_is_a_failure(
    vendor: OpenAIRealtimeStandIn, kind: FaultKind
) -> None:
    mind = built(vendor)
    for speak in (mind.reply(ASKED, [LOOK]), mind.voice.speak("Hello.")):
        vendor.fault = Fault(kind, times=1)
        with pytest.raises(ProviderError) as told:
            async with aclosing(speak) as pieces:
                async for _ in pieces:
                    pass
        assert told.value.reason == "unavailable"
    await mind.aclose()


async def test_a_line_without_sound_is_a_failure(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.fault = Fault("empty", times=1)
    with pytest.raises(ProviderError) as told:
        assert [piece async for piece in phone.mind.voice.speak("Hello.")] == []
    assert told.value.reason == "unavailable"


async def test_after_a_cut_the_conversation_is_told_anew(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    first = words_of(await events_of(phone.mind))
    vendor.fault = Fault("cut", times=1)
    history = [*ASKED, ChatMessage("assistant", first), ChatMessage("user", "for two")]
    came = []
    with pytest.raises(ProviderError) as told:
        async for event in phone.mind.reply(history, [LOOK]):
            came.append(event)
    assert told.value.reason == "unavailable" and sound_of(came)
    history += [ChatMessage("assistant", "Sorry?"), ChatMessage("user", "for two, I said")]
    assert words_of(await events_of(phone.mind, history)) == "".join(vendor.answer)
    assert len(vendor.sessions) == 2
    assert vendor.contexts[-1] == [(said.role, said.content) for said in history[1:]]


async def test_a_connection_that_died_unnoticed_costs_one_retry(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    await events_of(phone.mind)
    vendor.script.append(Said.text("Still here."))
    asking = asyncio.ensure_future(events_of(phone.mind))
    await vendor.session.socket.close(1001)
    assert words_of(await asking) == "Still here."


async def test_an_expired_session_is_replaced_before_anybody_asks(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    await events_of(phone.mind)
    await vendor.session.expire()
    await until(vendor, lambda: len(vendor.sessions) == 2)
    await until(vendor, lambda: vendor.session.believes() == [("user", "book a table")])


async def test_an_utterance_in_flight_is_said_again_on_the_new_connection(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold_words = asyncio.Event()
    for _ in range(40):
        phone.mind.ears.hear(TONE)
    phone.say()
    phone.begin()
    said = TONE * 40 + FRAME * 40
    await until(vendor, lambda: len(vendor.session.heard) == len(said))
    vendor.hold_words = None
    await vendor.session.expire()
    await until(vendor, lambda: len(vendor.sessions) == 2)
    for _ in range(5):
        phone.mind.ears.hear(FRAME)
    phone.mind.ears.finish()
    await until(vendor, lambda: len(phone.finals()) == 2)
    assert phone.finals() == ["book a table", "for two people"]
    assert bytes(vendor.session.heard) == said + FRAME * 5


async def test_a_vendor_who_breaks_every_connection_is_left_alone(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.fault = Fault("cut")
    vendor.hold_words = asyncio.Event()
    phone = await Phone(built(vendor)).opened()
    phone.say()
    await until(vendor, phone.failures)
    assert len(vendor.seen) == 2
    assert (await failing(phone.mind)).reason == "unavailable"
    assert len(vendor.seen) == 3
    await phone.mind.aclose()


# --- the end ------------------------------------------------------------------------------------


async def test_it_may_be_closed_at_any_moment_and_twice(vendor: OpenAIRealtimeStandIn) -> None:
    before = tasks_running()
    idle = built(vendor)
    speaking = built(vendor)
    phone = await Phone(speaking).opened()
    phone.say()
    vendor.hold = asyncio.Event()
    events = speaking.reply(ASKED, [LOOK])
    await anext(events)
    connecting = built(vendor)
    asking = asyncio.ensure_future(failing(connecting))
    await asyncio.sleep(0)
    for mind in (connecting, idle, speaking):
        for _ in range(2):
            await mind.ears.aclose()
            await mind.aclose()
            await mind.voice.aclose()
    await events.aclose()
    assert (await asking).reason == "unavailable"
    phone.begin()  # late frames of a call that is over
    phone.mind.ears.finish()
    await until(vendor, lambda: vendor.live == 0)
    await asyncio.sleep(0)
    assert tasks_running() <= before
    assert (await failing(idle)).reason == "unavailable"


async def test_a_hundred_calls_leave_nothing_behind(vendor: OpenAIRealtimeStandIn) -> None:
    vendor.ms_per_character = 5
    before = tasks_running()
    for number in range(100):
        mind = built(vendor)
        mind.brief([PROMPT], [LOOK])
        phone = await Phone(mind).opened()
        phone.say()
        await until(vendor, phone.finals)
        async with aclosing(mind.reply(ASKED, [LOOK])) as events:
            async for _ in events:
                if number % 2:
                    break
        for part in (mind.ears, mind, mind.voice):
            await part.aclose()
    await until(vendor, lambda: vendor.live == 0)
    assert tasks_running() <= before
    assert vendor.refusals == []


@pytest.mark.parametrize("fault", ["none", "status", "error_body", "garbage", "cut"])
async def test_no_key_and_no_words_are_logged(
    vendor: OpenAIRealtimeStandIn, fault: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    vendor.fault = Fault(fault, 401)
    mind = built(vendor, patience_s=1.0)
    told = ""
    try:
        await events_of(mind)
    except ProviderError as error:
        told = f"{error!r} {error}"
    await mind.aclose()
    assert not SECRET.search(caplog.text + told + repr(mind))
    assert "book a table" not in caplog.text + told


# --- the vendor itself --------------------------------------------------------------------------


@pytest.mark.live
@pytest.mark.skipif("OPENAI_API_KEY" not in os.environ, reason="needs OPENAI_API_KEY")
async def test_the_vendor_itself_hears_answers_and_reads_out() -> None:
    secrets = {"api_key": os.environ["OPENAI_API_KEY"]}
    mind = OpenAIRealtime(ServiceSettings("openai_realtime", secrets=secrets))
    mind.brief([PROMPT], [LOOK])
    line = b"".join([piece async for piece in mind.voice.speak("Please book a table for two.")])
    told: asyncio.Queue[TranscriptEvent] = asyncio.Queue()
    await mind.ears.open(told.put_nowait)
    mind.ears.begin(1)
    mind.ears.hear(line)  # it hears what it said
    mind.ears.finish()
    event = await told.get()
    while isinstance(event, Partial):
        event = await told.get()
    assert isinstance(event, Final) and "table" in event.text.lower()
    events = await events_of(mind, (PROMPT, ChatMessage("user", event.text)))
    assert sound_of(events) or any(isinstance(found, ToolCall) for found in events)
    await mind.aclose()
