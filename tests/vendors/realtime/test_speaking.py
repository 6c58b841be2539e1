"""OpenAI's Realtime API, event by event, against its stand-in."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from apps.providers.openai_realtime import OpenAIRealtime, RealtimeVoice
from apps.providers.openai_realtime_ears import Ears
from apps.voice.ports import (
    ChatMessage,
    Final,
    Partial,
    Speaking,
    SpokenDelta,
    TextDelta,
    ToolCall,
    Usage,
    Warmable,
)
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.openai_realtime_responses import Said
from tests.vendors.realtime.phone import (
    ASKED,
    FRAME,
    LONG,
    LOOK,
    PROMPT,
    Phone,
    built,
    events_of,
    sound_of,
    until,
    words_of,
)

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
    vendor.hold = asyncio.Event()
    await until(vendor, lambda: vendor.contexts)
    phone.begin()
    await until(vendor, lambda: vendor.broken_off == 1)
    vendor.hold.set()
    phone.mind.ears.finish()
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


async def test_what_was_said_since_the_history_was_told_stays(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.hold = asyncio.Event()
    phone.say()
    await until(vendor, phone.finals)
    phone.mind.follow([PROMPT])
    vendor.hold.set()
    await until(vendor, lambda: phone.mind._session.answers.active is None)
    assert words_of(await events_of(phone.mind)) == "".join(vendor.answer)
    assert len(vendor.contexts) == 1


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
    assert (await events_of(phone.mind))[-1] == Usage(57, 11, 20, 0, 30, 8, 5)


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


async def test_an_answer_left_before_it_was_heard_was_never_given(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    async with aclosing(phone.mind.reply(ASKED, [LOOK])) as events:
        assert await anext(events) == SpokenDelta(text="Hello")  # and no sound yet
    phone.say()
    await until(vendor, lambda: len(vendor.contexts) == 2)
    assert [who for who, _ in vendor.contexts[1]] == ["user", "user"]


async def test_a_model_that_writes_is_read_out_by_the_engine(
    vendor: OpenAIRealtimeStandIn, phone: Phone
) -> None:
    vendor.script.append(Said(["Yes, ", "we do."], written=True))
    events = await events_of(phone.mind)
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["Yes, ", "we do."]


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
