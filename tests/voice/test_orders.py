"""What somebody outside wants said in a call, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from apps.voice.orders import WAITING, Order
from apps.voice.ports import ChatMessage
from apps.voice.settings import ConversationSettings, Lines, TurnSettings
from apps.voice.turns import Heard, Phase
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call
from tests.voice.test_tooluse import Exchange

SYSTEM = (ChatMessage("system", "Be brief."),)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen."
NEWS = Order("Your table is ready.")
NOW = Order("Your table is ready.", interrupt=True)


def said(call: Call) -> list[tuple[str, str]]:
    """What was heard of each turn of the bot's, with what made it speak."""
    return [(turn.source, turn.heard) for turn in call.notebook.turns if turn.role == "bot"]


def phase(call: Call) -> Phase:
    return call.talk.phase


def history(call: Call) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in call.talk.history.messages()[1:]]


@in_virtual_time
async def test_it_is_said_at_once_when_nobody_speaks() -> None:
    async with Call() as call:
        assert call.talk.order(NEWS) == ""
        assert phase(call) is Phase.SPEAKING
        await call.quiet(3)
        assert phase(call) is Phase.LISTENING
    assert said(call) == [("operator", "Your table is ready.")]
    assert history(call) == [("assistant", "Your table is ready.")]


@in_virtual_time
async def test_it_waits_for_a_bot_that_speaks() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        await call.speak(1)
        await call.quiet(1)
        assert phase(call) is Phase.SPEAKING
        call.talk.order(NEWS)
        await call.quiet(8)
    assert said(call) == [("model", LONG), ("operator", "Your table is ready.")]
    assert call.ear.cleared_at == []


@in_virtual_time
async def test_it_waits_for_the_answer_that_is_being_made() -> None:
    async with Call(llm={"replies": ["At nine."], "delay_ms": 1_000}) as call:
        await call.speak(1)
        await call.quiet(0.6)
        assert phase(call) is Phase.THINKING
        call.talk.order(NEWS)
        await call.quiet(5)
    assert [source for source, _ in said(call)] == ["model", "operator"]


@in_virtual_time
async def test_it_cuts_a_bot_that_speaks_and_what_was_heard_of_it_stays() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        await call.speak(1)
        await call.quiet(1.5)
        at = call.clock.now()
        call.talk.order(NOW)
        await call.quiet(4)
    assert call.ear.cleared_at == [at]
    (source, heard), news = said(call)
    assert (source, news) == ("model", ("operator", "Your table is ready."))
    assert heard and LONG.startswith(heard) and heard != LONG
    assert history(call)[-2:] == [("assistant", heard), ("assistant", "Your table is ready.")]


@in_virtual_time
async def test_it_takes_the_place_of_the_answer_that_is_being_made() -> None:
    async with Call(llm={"replies": ["At nine."], "delay_ms": 1_000}) as call:
        await call.speak(1)
        await call.quiet(0.6)
        call.talk.order(NOW)
        await call.quiet(5)
    assert said(call) == [("operator", "Your table is ready.")]


@in_virtual_time
@pytest.mark.parametrize("order", [NEWS, NOW])
async def test_the_caller_is_never_interrupted(order: Order) -> None:
    async with Call(stt={"lines": ["Hello."], "delay_ms": 200}) as call:
        await call.speak(0.5)
        assert phase(call) is Phase.HEARING
        call.talk.order(order)
        await call.speak(0.5)
        assert not call.ear.heard
        await call.quiet(0.4)
        assert phase(call) is Phase.TRANSCRIBING
        assert not call.ear.heard
        await call.quiet(8)
    sources = [source for source, _ in said(call)]
    assert sources == (["operator"] if order.interrupt else ["model", "operator"])


@in_virtual_time
async def test_the_caller_interrupts_it_as_ever() -> None:
    async with Call(stt={"lines": ["Wait."]}, llm={"replies": ["Yes?"]}) as call:
        call.talk.order(Order(LONG))
        await call.quiet(1.5)
        await call.speak(0.5)
        assert phase(call) is Phase.OVERTAKEN
        await call.quiet(3)
    (first, heard), last = said(call)
    assert first == "operator"
    assert heard != LONG
    assert last == ("model", "Yes?")


@in_virtual_time
async def test_after_a_cough_the_rest_of_it_is_said() -> None:
    async with Call(stt={"lines": [""]}) as call:
        call.talk.order(Order(LONG))
        await call.quiet(1.5)
        await call.speak(0.3)
        await call.quiet(8)
    assert " ".join(heard for _, heard in said(call)) == LONG


@in_virtual_time
async def test_several_are_said_in_order_and_who_interrupts_first() -> None:
    async with Call() as call:
        for order in (Order("First."), Order("Second."), Order("Now.", interrupt=True)):
            call.talk.order(order)
        await call.quiet(10)
    assert [heard for _, heard in said(call)][-2:] == ["Now.", "Second."]


@in_virtual_time
async def test_only_so_many_wait() -> None:
    async with Call() as call:
        taken = [call.talk.order(Order("Hello.")) for _ in range(WAITING + 2)]
    assert taken == [""] * (WAITING + 1) + ["full"]


@in_virtual_time
async def test_a_goodbye_is_stopped_by_who_may_interrupt() -> None:
    turns = TurnSettings(idle_secs=1)
    lines = Lines(goodbye=LONG)
    settings = ConversationSettings(SYSTEM, turns=turns, lines=lines)
    async with Call(settings=settings, clips={}) as call:
        while phase(call) is not Phase.PARTING:
            await call.quiet(0.1)
        assert call.talk.order(NEWS) == "ending"
        assert call.talk.order(NOW) == ""
        assert phase(call) is Phase.SPEAKING


@in_virtual_time
async def test_a_call_that_ends_takes_none_and_says_what_was_not_said() -> None:
    async with Call(stt={"lines": ["Hello."]}) as call:
        await call.speak(0.5)
        call.talk.order(NEWS)
        call.talk.observe(Heard.GONE)
        assert call.talk.order(NEWS) == "ending"
        assert not call.talk.orders
    assert "say.dropped" in call.notebook.events
    assert call.notebook.data[call.notebook.events.index("say.dropped")] == {"count": 1}


@in_virtual_time
@pytest.mark.parametrize("greeting", ["", "Welcome."])
async def test_what_the_caller_has_to_be_told_comes_first(greeting: str) -> None:
    lines = Lines(consent="This call is recorded.", greeting=greeting)
    async with Call(settings=ConversationSettings(SYSTEM, lines=lines), clips={}) as call:
        await call.quiet(0.3)
        call.talk.order(NEWS)
        await call.quiet(8)
    sources = [source for source, _ in said(call)]
    assert sources == ["consent", *(["greeting"] if greeting else []), "operator"]


@in_virtual_time
async def test_no_order_cuts_what_the_caller_has_to_be_told() -> None:
    lines = Lines(consent="This call is recorded.")
    async with Call(settings=ConversationSettings(SYSTEM, lines=lines), clips={}) as call:
        await call.quiet(0.3)
        call.talk.order(NOW)
        await call.quiet(8)
    assert said(call)[:2] == [
        ("consent", "This call is recorded."),
        ("operator", "Your table is ready."),
    ]


@in_virtual_time
async def test_the_call_is_handed_over_when_that_was_heard_whatever_the_caller_says() -> None:
    exchange = Exchange(works=True)
    async with Call(transferrer=exchange) as call:
        call.talk.order(Order("I will put you through.", then="transfer", target="sales"))
        await call.speak(1)
        assert phase(call) is Phase.HANDING_OVER
        assert exchange.asked == []
        await call.speak(2)
        assert call.ear.ended == "transferred"
    assert [target for target, _ in exchange.asked] == ["sales"]
    assert said(call) == [("operator", "I will put you through.")]


@in_virtual_time
async def test_a_hand_over_whose_mark_is_lost_is_not_waited_for_for_ever() -> None:
    exchange = Exchange(works=True)
    async with Call(transferrer=exchange) as call:
        call.ear.lose_marks = True
        call.talk.order(Order("Bye.", then="transfer", target="sales"))
        await call.quiet(4)
        assert exchange.asked


@in_virtual_time
async def test_without_words_the_call_is_put_through_at_once() -> None:
    exchange = Exchange(works=True)
    async with Call(llm={"replies": [LONG]}, transferrer=exchange) as call:
        await call.speak(1)
        await call.quiet(1)
        assert call.talk.order(Order("", then="transfer", target="sales")) == ""
        await asyncio.sleep(0)
        assert exchange.asked
        assert call.talk.order(NOW) == "ending"
        assert call.talk.order(Order("", then="transfer", target="other")) == "ending"


@in_virtual_time
async def test_after_a_transfer_that_failed_the_bot_is_back() -> None:
    async with Call(transferrer=Exchange(works=False)) as call:
        call.talk.order(Order("One moment.", then="transfer", target="sales"))
        await call.quiet(6)
        assert phase(call) is Phase.LISTENING
        assert [source for source, _ in said(call)] == ["operator", "apology"]
        call.talk.order(NEWS)
        await call.quiet(3)
    assert said(call)[-1] == ("operator", "Your table is ready.")


@in_virtual_time
async def test_a_message_is_left_and_then_the_call_ends() -> None:
    async with Call(llm={"replies": [LONG]}) as call:
        await call.speak(1)
        await call.quiet(1)
        call.talk.order(Order("Please call us back.", source="message", then="leave"))
        await call.speak(4)
        assert call.ear.ended == "machine"
    assert said(call)[-1] == ("message", "Please call us back.")


@in_virtual_time
async def test_a_message_without_words_ends_the_call_at_once() -> None:
    async with Call() as call:
        await call.speak(1)
        await call.quiet(5)
        call.talk.order(Order("👋", source="message", then="leave"))
        await call.quiet(0.1)
        assert call.ear.ended == "machine"
