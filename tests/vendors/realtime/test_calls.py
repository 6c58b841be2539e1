"""Whole calls over OpenAI's Realtime API: our turns, their ears, mind and voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime import OpenAIRealtime
from apps.voice.ports import ChatMessage, Usage
from apps.voice.settings import ConversationSettings, Lines
from apps.voice.turns import Phase
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.openai_realtime_responses import Said
from tests.vendors.serving import KEY, Fault
from tests.vendors.speaking_call import SpokenCall
from tests.voice.far_end import DEFAULT_CLIPS, clip

LONG = "We have a table for two by the window and another one near the kitchen door."
PROMPT = ChatMessage("system", "Be brief.")


@asynccontextmanager
async def calling(vendor: OpenAIRealtimeStandIn, **more: Any) -> AsyncIterator[SpokenCall]:
    mind = OpenAIRealtime(
        ServiceSettings(
            "openai_realtime", secrets={"api_key": KEY}, base_url=vendor.url, patience_s=3
        )
    )
    async with SpokenCall(mind, **more) as call:
        yield call


def agree(vendor: OpenAIRealtimeStandIn, call: SpokenCall) -> bool:
    """Whether the vendor's conversation is our history, but for the half word that sound may end
    in, and with an item for each utterance of a caller who went on."""
    believed: list[tuple[str, str]] = []
    for who, words in vendor.session.believes():
        if who == "user" and believed and believed[-1][0] == "user":
            words = f"{believed.pop()[1]} {words}"
        believed.append((who, words))
    return len(believed) == len(call.history) and all(
        who == whose and theirs.startswith(ours) and " " not in theirs[len(ours) :].strip()
        for (who, theirs), (whose, ours) in zip(believed, call.history, strict=True)
    )


async def test_a_turn_is_heard_understood_and_answered(vendor: OpenAIRealtimeStandIn) -> None:
    vendor.script.append(Said.text("For how many people?"))
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        assert call.history == [("user", "book a table"), ("assistant", "For how many people?")]
        await call.until(lambda: agree(vendor, call))
        assert len(vendor.session.sent("response.create")) == 1  # asked before the words were there
        assert call.turns()[0].used.tokens == Usage(57, 11, 20, 0, 30, 8, 5)


async def test_what_was_heard_before_an_interruption_is_all_that_was_said(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text(LONG), Said.text("For two, then.")])
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: len(call.ear.heard) > 8_000)
        await call.speak(0.5)
        await call.until(lambda: len(call.turns()) == 2)
        first = call.turns()[0]
        assert first.interrupted and 0 < len(first.heard) < len(LONG) / 2
        await call.until(lambda: agree(vendor, call))
        # The second answer was asked for with no more than that.
        assert len(vendor.contexts) == 2 and len(vendor.contexts[1][1][1]) < len(LONG) / 2
        assert len(vendor.session.sent("conversation.item.truncate")) == 1


async def test_an_answer_still_being_made_is_stopped_by_an_interruption(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text(LONG), Said.text("For two, then.")])
    vendor.pace_s = 0.02
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: len(call.ear.heard) > 8_000)
        await call.speak(0.5)
        await call.until(lambda: len(call.turns()) == 2)
        assert vendor.broken_off == 1
        await call.until(lambda: agree(vendor, call))


async def test_two_tools_at_once_are_used_and_their_results_spoken(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    tools: list[tuple[str, dict[str, Any]]] = [("look", {"seats": 2}), ("ask", {})]
    vendor.script.extend([Said.text("Let me see.", *tools), Said.text("Yes, we have one.")])
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        assert call.desk.called == ["look", "ask"]
        assert call.turns()[0].heard == "Let me see. Yes, we have one."
        assert vendor.session.believes() == [
            ("user", "book a table"),
            ("assistant", "Let me see."),
            ("function_call", '{"seats": 2}'),
            ("function_call", "{}"),
            ("function_call_output", "look: done"),
            ("function_call_output", "ask: done"),
            ("assistant", "Yes, we have one."),
        ]
        # A later turn changes nothing of it.
        before = vendor.session.believes()
        await call.speak(0.5)
        await call.until(lambda: len(call.turns()) == 2 and call.talk.phase is Phase.LISTENING)
        assert vendor.session.believes()[: len(before)] == before
        assert len(vendor.session.sent("response.create")) == 3


async def test_a_tool_that_the_caller_interrupts_is_told_to_the_vendor_as_to_the_history(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text("Let me see.", ("look", {})), Said.text("For two, then.")])
    async with calling(vendor) as call:
        call.desk.busy = asyncio.Event()
        await call.speak(0.5)
        await call.until(lambda: call.desk.called and call.talk.phase is Phase.SPEAKING)
        await call.speak(0.5)
        await call.until(lambda: call.history[-1][1] == "For two, then.")
        kept = [said for said in call.history if said[0] == "tool"]
        believed = vendor.session.believes()
        assert [said for said in believed if said[0] != "assistant" or said[1]] == [
            ("user", "book a table"),
            ("function_call", "{}"),
            ("function_call_output", kept[0][1]),
            ("user", "for two people"),
            ("assistant", "For two, then."),
        ]


async def test_a_cough_changes_nothing_but_that_the_rest_is_said_again(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text(LONG), Said.text("Never heard.")])
    vendor.transcripts = ["book a table", "", "for two people"]
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: len(call.ear.heard) > 8_000)
        await call.speak(0.3)
        await call.until(lambda: len(call.turns()) == 2 and call.talk.phase is Phase.LISTENING)
        first, rest = call.turns()
        assert f"{first.heard} {rest.heard}" == LONG
        assert vendor.lines and " ".join(vendor.lines) == rest.heard
        await call.until(lambda: agree(vendor, call))
        assert "Never" not in str(vendor.session.believes())


async def test_a_model_may_speak_first(vendor: OpenAIRealtimeStandIn) -> None:
    vendor.script.append(Said.text("Good morning."))
    settings = ConversationSettings((PROMPT,), speaks_first=True)
    async with calling(vendor, settings=settings) as call:
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        assert call.history == vendor.session.believes() == [("assistant", "Good morning.")]


async def test_the_greeting_is_known_before_the_first_answer_is_asked_for(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    settings = ConversationSettings((PROMPT,), lines=Lines(greeting="Pizza or pasta?"))
    vendor.script.append(Said.text("Pasta it is."))
    vendor.transcripts = ["pasta"]
    clips = {**DEFAULT_CLIPS, "greeting": clip("Pizza or pasta?", 0.5)}
    async with calling(vendor, settings=settings, clips=clips) as call:
        await call.until(lambda: call.turns())
        await call.speak(0.5)
        await call.until(lambda: len(call.turns()) == 2)
        assert vendor.contexts == [[("assistant", "Pizza or pasta?"), ("user", "")]]
        await call.until(lambda: agree(vendor, call))


async def test_the_platforms_lines_are_read_out_by_the_same_voice(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    settings = ConversationSettings((PROMPT,), lines=Lines(greeting="Hello there."))
    async with calling(vendor, settings=settings, clips={}) as call:
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        assert vendor.lines == ["Hello there."]
        await call.until(lambda: vendor.session.believes() == [("assistant", "Hello there.")])


async def test_the_model_may_end_the_call(vendor: OpenAIRealtimeStandIn) -> None:
    vendor.script.append(Said.text("Goodbye.", ("end_call", {})))
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: call.ear.ended)
        assert call.talk.phase is Phase.ENDED
        assert call.turns()[0].heard == "Goodbye."


async def test_a_cut_in_mid_answer_is_told_and_the_call_goes_on_as_text(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text(LONG), Said.text("A table for two.")])
    vendor.fault = Fault("cut", times=1)
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: "provider.failed" in call.notebook.events)
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        await call.speak(0.5)
        await call.until(lambda: call.history[-1] == ("assistant", "A table for two."))
        assert len(vendor.sessions) == 2
        await call.until(lambda: agree(vendor, call))


async def test_a_session_that_expires_while_the_caller_speaks_costs_nothing(
    vendor: OpenAIRealtimeStandIn,
) -> None:
    vendor.script.extend([Said.text("For how many?"), Said.text("For two people.")])
    async with calling(vendor) as call:
        await call.speak(0.5)
        await call.until(lambda: call.turns() and call.talk.phase is Phase.LISTENING)
        await call.speak(0.3)
        await call.until(lambda: call.talk.phase is not Phase.LISTENING)
        await vendor.session.expire()
        await call.until(lambda: len(call.turns()) == 2 and call.talk.phase is Phase.LISTENING)
        assert len(vendor.sessions) == 2
        await call.until(lambda: agree(vendor, call))
        assert call.notebook.events == []
