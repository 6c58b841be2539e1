"""OpenAI's Realtime API, event by event, against its stand-in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime import OpenAIRealtime, RealtimeVoice
from apps.providers.openai_realtime_ears import Ears
from apps.voice.ports import (
    ChatMessage,
    Final,
    ModelEvent,
    Partial,
    ProviderError,
    Speaking,
    SpokenDelta,
    Tool,
    ToolCall,
    TranscriptEvent,
    TranscriptionFailed,
    Usage,
    Warmable,
)
from tests.vendors.kinds import tasks_running
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.openai_realtime_responses import Said
from tests.vendors.serving import KEY, SECRET, WRONG_KEY, Fault, FaultKind, serving

PROMPT = ChatMessage("system", "Be brief.")
ASKED = (PROMPT, ChatMessage("user", "book a table"))
LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"seats": {"type": "integer"}}})
FRAME = b"\x20\xa0" * 80
TONE = b"\x31\xb1" * 80
LONG = "We have a table for two by the window and another one near the kitchen door."


async def until(vendor: OpenAIRealtimeStandIn, true: Callable[[], object]) -> None:
    await vendor.until(lambda: bool(true()))


class Phone:
    """A call's end: what the ears delivered, and a mouth."""

    def __init__(self, mind: OpenAIRealtime) -> None:
        self.mind = mind
        self.told: list[TranscriptEvent] = []
        self.spoken = 0

    async def opened(self) -> Phone:
        await self.mind.ears.open(self.told.append)
        return self

    def begin(self, frames: int = 20) -> None:
        """Start to say something."""
        self.spoken += 1
        self.mind.ears.begin(self.spoken)
        for _ in range(frames):
            self.mind.ears.hear(FRAME)

    def say(self, frames: int = 20) -> None:
        self.begin(frames)
        self.mind.ears.pause()
        self.mind.ears.resume()
        self.mind.ears.finish()

    def finals(self) -> list[str]:
        return [event.text for event in self.told if isinstance(event, Final)]

    def failures(self) -> list[ProviderError]:
        return [event.error for event in self.told if isinstance(event, TranscriptionFailed)]


@pytest.fixture
async def vendor() -> AsyncIterator[OpenAIRealtimeStandIn]:
    async with serving(OpenAIRealtimeStandIn()) as stand_in:
        assert isinstance(stand_in, OpenAIRealtimeStandIn)
        yield stand_in


def built(vendor: OpenAIRealtimeStandIn, **more: Any) -> OpenAIRealtime:
    given = {"secrets": {"api_key": KEY}, "patience_s": 3.0, **more}
    return OpenAIRealtime(ServiceSettings("openai_realtime", base_url=vendor.url, **given))


@pytest.fixture
async def mind(vendor: OpenAIRealtimeStandIn) -> AsyncIterator[OpenAIRealtime]:
    found = built(vendor)
    yield found
    await found.aclose()
    assert vendor.refusals == []


@pytest.fixture
async def phone(mind: OpenAIRealtime) -> Phone:
    mind.brief([PROMPT], [LOOK])
    return await Phone(mind).opened()


async def events_of(
    mind: OpenAIRealtime, messages: Sequence[ChatMessage] = ASKED
) -> list[ModelEvent]:
    async with aclosing(mind.reply(messages, [LOOK])) as events:
        return [event async for event in events]


def words_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, SpokenDelta))


def sound_of(events: Sequence[ModelEvent]) -> bytes:
    return b"".join(event.audio for event in events if isinstance(event, SpokenDelta))


async def failing(mind: OpenAIRealtime) -> ProviderError:
    with pytest.raises(ProviderError) as told:
        await events_of(mind)
    return told.value


# --- the session --------------------------------------------------------------------------------


def test_it_is_what_the_engine_and_the_gateway_look_for(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor)
    roles: list[tuple[object, type]] = [(mind, Speaking), (mind, Warmable)]
    roles += [(mind.ears, Ears), (mind.voice, RealtimeVoice)]
    assert all(isinstance(part, role) for part, role in roles)


async def test_what_a_session_is_told(vendor: OpenAIRealtimeStandIn, phone: Phone) -> None:
    await until(vendor, lambda: vendor.session.config)
    config, seen = vendor.session.config, vendor.seen[0]
    assert (seen.path, dict(seen.query)) == ("/v1/realtime", {"model": "gpt-realtime-2.1"})
    assert "openai-beta" not in seen.headers
    assert config["type"] == "realtime"
    assert config["instructions"] == "Be brief."
    assert config["output_modalities"] == ["audio"]
    assert config["max_output_tokens"] == "inf"
    assert config["tools"][0]["name"] == "look" and "function" not in config["tools"][0]
    assert config["audio"] == {
        "input": {
            "format": {"type": "audio/pcmu"},
            "turn_detection": None,
            "noise_reduction": None,
            "transcription": {"model": "gpt-transcribe"},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
    }


async def test_options_reach_the_session_but_not_the_turns(vendor: OpenAIRealtimeStandIn) -> None:
    options = {
        "voice": "cedar",
        "speed": 1.2,
        "max_tokens": 9_000,
        "temperature": 0.7,
        "language": "de-DE",
        "transcription_model": "gpt-4o-transcribe",
        "noise_reduction": "far_field",
        "extra": {
            "reasoning": {"effort": "low"},
            "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"speed": 1}},
        },
    }
    mind = built(vendor, model="gpt-realtime-mini", options=options)
    await mind.warm()
    await until(vendor, lambda: vendor.session.config)
    config = vendor.session.config
    assert vendor.seen[0].query["model"] == "gpt-realtime-mini"
    assert config["max_output_tokens"] == 4_096
    assert config["reasoning"] == {"effort": "low"}
    assert config["audio"]["output"] == {
        "format": {"type": "audio/pcmu"},
        "voice": "cedar",
        "speed": 1,
    }
    assert config["audio"]["input"]["turn_detection"] is None
    assert config["audio"]["input"]["noise_reduction"] == {"type": "far_field"}
    assert config["audio"]["input"]["transcription"] == {
        "model": "gpt-4o-transcribe",
        "language": "de",
    }
    await mind.aclose()
    assert vendor.refusals == []


async def test_what_stands_in_the_history_already_becomes_items(
    vendor: OpenAIRealtimeStandIn, mind: OpenAIRealtime
) -> None:
    call = ToolCall("call_1", "look", {"seats": 2})
    opening = [
        PROMPT,
        ChatMessage("assistant", "Hello."),
        ChatMessage("user", "A table?"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "one", tool_call_id="call_1"),
        ChatMessage("system", "The caller is known."),
    ]
    mind.brief(opening, [LOOK])
    await mind.warm()
    await until(vendor, lambda: len(vendor.session.items) == 5)
    assert vendor.session.believes() == [
        ("assistant", "Hello."),
        ("user", "A table?"),
        ("function_call", '{"seats":2}'),
        ("function_call_output", "one"),
        ("system", "The caller is known."),
    ]


async def test_connecting_ahead_saves_the_handshake(
    vendor: OpenAIRealtimeStandIn, mind: OpenAIRealtime
) -> None:
    await mind.warm()
    mind.brief([PROMPT], [LOOK])
    await mind.ears.open(lambda event: None)
    assert words_of(await events_of(mind)) == "".join(vendor.answer)
    assert len(vendor.seen) == 1


# --- ears ---------------------------------------------------------------------------------------


async def test_the_caller_is_heard_from_before_the_onset_and_untouched(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    for number in range(60):
        phone.mind.ears.hear(bytes([number]) * 160)
    phone.say(20)
    await until(vendor, phone.finals)
    heard = bytes(vendor.session.heard)
    before = heard[: -20 * 160]
    assert heard[len(before) :] == FRAME * 20
    assert len(before) >= 600 * 8
    assert before == b"".join(bytes([number]) * 160 for number in range(60))[-len(before) :]


async def test_words_come_as_they_are_read(vendor: OpenAIRealtimeStandIn, phone: Phone) -> None:
    phone.say()
    await until(vendor, phone.finals)
    assert phone.told == [
        Partial(1, "book"),
        Partial(1, "book a"),
        Partial(1, "book a table"),
        Final(1, "book a table"),
    ]


async def test_finals_come_in_the_order_in_which_things_were_said(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    slow = vendor.hold_words = asyncio.Event()
    phone.say()
    await until(vendor, lambda: len(vendor.session.items) >= 1)
    vendor.hold_words = None
    phone.say()
    await until(vendor, lambda: any(e == Partial(2, "for two people") for e in phone.told))
    assert phone.finals() == []
    slow.set()
    await until(vendor, lambda: len(phone.finals()) == 2)
    assert phone.finals() == ["book a table", "for two people"]


async def test_a_cough_leaves_nothing_behind(vendor: OpenAIRealtimeStandIn, phone: Phone) -> None:
    vendor.transcripts = [""]
    vendor.hold = asyncio.Event()
    phone.say()
    await until(vendor, phone.finals)
    await until(vendor, lambda: vendor.broken_off == 1 and vendor.session.items == [])
    assert phone.told == [Final(1, "")]


async def test_a_transcript_that_fails_is_told_and_leaves_nothing_behind(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.transcripts = [None]
    phone.say()
    await until(vendor, phone.failures)
    await until(vendor, lambda: vendor.session.items == [])
    assert phone.failures()[0].reason == "unavailable"


async def test_a_sound_too_short_to_hold_words_is_not_sent(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    phone.say(2)
    await until(vendor, phone.finals)
    assert phone.finals() == [""]
    phone.say()  # and is not part of what is said next
    await until(vendor, lambda: len(phone.finals()) == 2)
    assert len(vendor.session.sent("input_audio_buffer.commit")) == 1


async def test_a_caller_who_goes_on_gets_no_answer_to_half_a_sentence(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.extend([Said.text("Never heard."), Said.text("For two, then.")])
    vendor.hold_words = asyncio.Event()
    phone.say()
    await until(vendor, lambda: vendor.contexts)
    phone.say()
    vendor.hold_words.set()
    await until(vendor, lambda: len(phone.finals()) == 2)
    asked = (PROMPT, ChatMessage("user", "book a table for two people"))
    assert words_of(await events_of(phone.mind, asked)) == "For two, then."
    assert "Never" not in str(vendor.session.believes())
    assert len(vendor.contexts) == 2


async def test_a_vendor_who_never_reads_is_given_up(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor, patience_s=0.2)
    phone = await Phone(mind).opened()
    vendor.hold_words = asyncio.Event()
    phone.say()
    await until(vendor, phone.failures)
    assert phone.failures()[0].reason == "timeout"
    await mind.aclose()


# --- mind ---------------------------------------------------------------------------------------


async def test_the_answer_is_asked_for_with_the_end_of_speech(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold_words = asyncio.Event()
    phone.say()
    await until(vendor, lambda: vendor.contexts)  # it is being made before there are words
    vendor.hold_words.set()
    await until(vendor, phone.finals)
    events = await events_of(phone.mind)
    assert words_of(events) == "".join(vendor.answer)
    assert len(vendor.session.sent("response.create")) == 1


async def test_speech_is_passed_on_untouched_and_as_it_comes(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold = asyncio.Event()
    said = "".join(vendor.answer)
    async with aclosing(phone.mind.reply(ASKED, [LOOK])) as events:
        first = [await anext(events), await anext(events)]
        assert sound_of(first)  # before the rest exists
        vendor.hold.set()
        events_left = [event async for event in events]
    whole = sound_of([*first, *events_left])
    assert whole == b"".join(vendor.tone(piece) for piece in vendor.answer)
    assert words_of([*first, *events_left]) == said


async def test_usage_counts_what_was_cached_and_what_was_sound(phone: Phone) -> None:
    assert (await events_of(phone.mind))[-1] == Usage(57, 11, 20, 0, 30, 8)


async def test_what_was_thrown_away_is_counted_with_the_next_answer(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.transcripts = ["", "book a table"]
    phone.say()
    await until(vendor, phone.finals)
    await until(vendor, lambda: vendor.session.items == [])
    usage = (await events_of(phone.mind))[-1]
    assert isinstance(usage, Usage) and usage.completion_tokens == 22


async def test_two_calls_at_once_and_their_results(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.append(Said([], [("look", {"seats": 2}), ("look", {"seats": 4})]))
    vendor.script.append(Said.text("There is one."))
    calls = [event for event in await events_of(phone.mind) if isinstance(event, ToolCall)]
    assert [dict(call.arguments) for call in calls] == [{"seats": 2}, {"seats": 4}]
    results = [ChatMessage("tool", f"{n}", tool_call_id=call.id) for n, call in enumerate(calls)]
    history = [*ASKED, ChatMessage("assistant", "", tuple(calls)), *results]
    assert words_of(await events_of(phone.mind, history)) == "There is one."
    kinds = [who for who, _ in vendor.session.believes()]
    assert kinds == ["user"] + ["function_call"] * 2 + ["function_call_output"] * 2 + ["assistant"]


async def test_the_history_is_the_authority(vendor: OpenAIRealtimeStandIn, phone: Phone) -> None:
    phone.say()
    await until(vendor, phone.finals)
    history = [
        PROMPT,
        ChatMessage("assistant", "Hello, this is the front desk."),
        ChatMessage("user", "book a table"),
    ]
    await events_of(phone.mind, history)
    believed = [("assistant", "Hello, this is the front desk."), ("user", "book a table")]
    # The answer that was asked for without the greeting is not the one that was heard.
    assert vendor.contexts[-1] == believed and len(vendor.contexts) == 2
    assert vendor.session.believes() == [*believed, ("assistant", "".join(vendor.answer))]


async def test_what_the_history_forgot_is_forgotten(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    history = [*ASKED]
    for number in range(3):
        said = words_of(await events_of(phone.mind, history))
        phone.mind.heard(10_000)
        history += [ChatMessage("assistant", said), ChatMessage("user", f"and {number}?")]
    await events_of(phone.mind, [PROMPT, *history[-1:]])
    assert vendor.contexts[-1] == [("user", "and 2?")]


async def test_a_prompt_that_changes_is_told(vendor: OpenAIRealtimeStandIn, phone: Phone) -> None:
    await events_of(phone.mind, [ChatMessage("system", "Be long."), ASKED[1]])
    assert vendor.session.config["instructions"] == "Be long."
    assert vendor.session.config["audio"]["output"]["voice"] == "marin"


async def test_closing_an_answer_stops_it_and_the_next_is_clean(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.extend([Said.text(LONG), Said.text("As you like.")])
    vendor.hold = asyncio.Event()
    async with aclosing(phone.mind.reply(ASKED, [LOOK])) as events:
        await anext(events)
    await until(vendor, lambda: vendor.broken_off == 1)
    vendor.hold = None
    later = [*ASKED, ChatMessage("user", "wait")]
    assert words_of(await events_of(phone.mind, later)) == "As you like."
    assert len(vendor.seen) == 1


async def test_of_an_answer_the_vendor_keeps_what_was_heard(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.append(Said.text(LONG))
    await events_of(phone.mind)
    phone.mind.heard(1_200.7)
    await until(vendor, lambda: vendor.session.sent("conversation.item.truncate"))
    assert vendor.session.sent("conversation.item.truncate")[0]["audio_end_ms"] == 1_200
    assert vendor.session.believes()[-1] == ("assistant", LONG[:20].strip())


@pytest.mark.parametrize("beyond", [0.0, 5_000.0])
async def test_an_answer_heard_to_its_end_is_left_whole(
    vendor: OpenAIRealtimeStandIn, phone: Phone, beyond: float
) -> None:
    length = len(sound_of(await events_of(phone.mind))) / 8
    phone.mind.heard(length + beyond)
    await events_of(phone.mind, [*ASKED, ChatMessage("assistant", "".join(vendor.answer))])
    assert vendor.session.sent("conversation.item.truncate") == []


async def test_an_answer_that_nobody_heard_was_never_given(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    await events_of(phone.mind)
    phone.mind.heard(0.0)
    await until(vendor, lambda: vendor.session.believes() == [("user", "book a table")])


async def test_an_answer_cut_in_the_making_is_kept_as_far_as_it_was_heard(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.append(Said.text(LONG))
    vendor.hold = asyncio.Event()
    events = phone.mind.reply(ASKED, [LOOK])
    heard = [await anext(events), await anext(events)]
    phone.mind.heard(len(sound_of(heard)) / 8)  # the engine tells before it lets go
    await events.aclose()
    await until(vendor, lambda: vendor.broken_off == 1)
    phone.say()
    await until(vendor, lambda: len(vendor.contexts) == 2)
    assert vendor.contexts[1][1] == ("assistant", "W")


async def test_a_call_that_was_interrupted_is_forgotten_before_the_next_answer(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.append(Said([], [("look", {})]))
    await events_of(phone.mind)
    phone.say()
    await until(vendor, lambda: len(vendor.contexts) == 2)
    assert vendor.contexts[1] == [("user", "book a table"), ("user", "")]


# --- voice --------------------------------------------------------------------------------------


async def test_a_line_is_read_out_beside_the_conversation(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    pieces = [piece async for piece in phone.mind.voice.speak("Are you still there?")]
    assert len(b"".join(pieces)) == len("Are you still there?") * 60 * 8
    assert vendor.lines == ["Are you still there?"]
    assert vendor.session.items == []
    asked = vendor.session.sent("response.create")[0]["response"]
    assert asked["conversation"] == "none" and asked["tools"] == []


async def test_a_line_that_is_broken_off_is_stopped_and_the_next_is_clean(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold = asyncio.Event()
    async with aclosing(phone.mind.voice.speak("One moment please.")) as pieces:
        await anext(pieces)
    await until(vendor, lambda: vendor.broken_off == 1)
    vendor.hold = None
    whole = b"".join([piece async for piece in phone.mind.voice.speak("Sorry.")])
    assert len(whole) == len("Sorry.") * 60 * 8


async def test_a_guess_is_given_up_when_the_platform_speaks(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.transcripts = ["uh huh"]
    vendor.hold = asyncio.Event()
    phone.say()
    await until(vendor, phone.finals)
    vendor.hold.set()
    assert [piece async for piece in phone.mind.voice.speak("As I said.")]
    await until(vendor, lambda: vendor.session.believes() == [("user", "uh huh")])


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


async def test_a_response_that_is_not_taken_is_told(vendor: OpenAIRealtimeStandIn) -> None:
    mind = built(vendor)
    vendor.refuse_next = "rate_limit_exceeded"
    assert (await failing(mind)).reason == "quota"
    await mind.aclose()


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
    await until(vendor, lambda: vendor.contexts)
    before = bytes(vendor.session.heard)
    vendor.hold_words = None
    await vendor.session.expire()
    await until(vendor, lambda: len(vendor.sessions) == 2)
    for _ in range(5):
        phone.mind.ears.hear(FRAME)
    phone.mind.ears.finish()
    await until(vendor, lambda: len(phone.finals()) == 2)
    assert phone.finals() == ["book a table", "for two people"]
    assert bytes(vendor.session.heard) == before + FRAME * 5


async def test_a_vendor_who_breaks_every_connection_is_left_alone(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.fault = Fault("cut")
    phone = await Phone(built(vendor)).opened()
    phone.say()
    await until(vendor, lambda: phone.failures() or phone.finals())
    assert (await failing(phone.mind)).reason == "unavailable"
    assert len(vendor.seen) <= 5
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
