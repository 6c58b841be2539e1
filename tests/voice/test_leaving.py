"""How a call ends by a tool: goodbyes that are heard, and transfers, in virtual time."""

from __future__ import annotations

import pytest

from apps.voice.playout import MARK_PATIENCE_S
from apps.voice.toolwords import STAYS
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call
from tests.voice.test_tooluse import Bench, Exchange, Mind, after, ask, bot_turns, ending


@in_virtual_time
async def test_a_goodbye_is_heard_before_the_call_ends() -> None:
    mind = Mind(("Goodbye then, and thank you.", ("end_call",)))
    async with Call(mind=mind, toolbox=Bench(end_call=ending(ends_call=True))) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["Goodbye then, and thank you."]
        assert call.ear.ended == "bot_ended"
        assert len(mind.told) == 1


@in_virtual_time
async def test_a_goodbye_whose_marks_are_lost_is_neither_cut_nor_waited_for_for_long() -> None:
    goodbye = "Goodbye then, and thank you."
    mind = Mind((goodbye, ("end_call",)))
    async with Call(mind=mind, toolbox=Bench(end_call=ending(ends_call=True))) as call:
        call.ear.lose_marks = True
        await ask(call, 1)
        first = call.ear.pieces[0][0]
        while not call.ear.ended and call.since_start() < 20:
            await call.quiet(0.1)
        over = call.clock.now() - first
    length = len(call.ear.heard) / 8_000
    assert length == pytest.approx(0.06 * len(goodbye), abs=0.02)
    assert length <= over <= length + MARK_PATIENCE_S + 0.4
    assert call.ear.ended == "bot_ended"
    assert "mark.lost" in call.notebook.events


@in_virtual_time
async def test_a_model_that_leaves_without_a_word_is_asked_for_its_goodbye() -> None:
    mind = Mind(("Let me see.", ("look",)), ("", ("end_call",)), ("Goodbye.", ()))
    bench = Bench(look=after(0.1), end_call=ending(ends_call=True))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["Let me see. Goodbye."]
        assert call.ear.ended == "bot_ended"


@in_virtual_time
@pytest.mark.parametrize("again", [(), ("end_call",)])
async def test_a_model_that_leaves_in_silence_has_its_goodbye_said_for_it(
    again: tuple[str, ...],
) -> None:
    mind = Mind(("", ("end_call",)), ("", again))
    async with Call(mind=mind, toolbox=Bench(end_call=ending(ends_call=True))) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["Goodbye."]
        assert call.ear.ended == "bot_ended"
        assert len(mind.told) == 2


@in_virtual_time
async def test_a_caller_who_speaks_into_the_goodbye_is_kept_and_the_model_knows() -> None:
    mind = Mind(("Goodbye then, and thank you for calling.", ("end_call",)), ("Yes?", ()))
    async with Call(mind=mind, toolbox=Bench(end_call=ending(ends_call=True))) as call:
        await ask(call, 1.2)
        await ask(call, 3)
        assert not call.ear.ended
        assert mind.answers() == [STAYS]


@in_virtual_time
async def test_a_call_is_put_through_when_that_was_heard() -> None:
    exchange = Exchange(works=True)
    mind = Mind(("I will put you through.", ("transfer_call",)))
    bench = Bench(transfer_call=ending(transfer_to="sales"))
    async with Call(mind=mind, toolbox=bench, transferrer=exchange) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["I will put you through."]
        assert call.ear.ended == "transferred"
        target, at = exchange.asked[0]
        first = call.ear.pieces[0][0]
        assert target == "sales"
        assert at - first == pytest.approx(len(call.ear.heard) / 8_000, abs=0.03)
        assert call.notebook.data[-1] == {"target": "sales"}
    assert call.notebook.events[-1] == "call.transferring"


@in_virtual_time
async def test_a_transfer_without_a_word_is_announced() -> None:
    mind = Mind(("", ("transfer_call",)), ("", ()))
    bench = Bench(transfer_call=ending(transfer_to="sales"))
    async with Call(mind=mind, toolbox=bench, transferrer=Exchange(works=True)) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["One moment, please."]
        assert call.ear.ended == "transferred"


@in_virtual_time
async def test_a_transfer_that_fails_leaves_the_caller_with_the_bot() -> None:
    mind = Mind(("I will put you through.", ("transfer_call",)), ("Sorry about that.", ()))
    bench = Bench(transfer_call=ending(transfer_to="sales"))
    async with Call(mind=mind, toolbox=bench, transferrer=Exchange(works=False)) as call:
        await ask(call, 6)
        assert call.notebook.turns[-1].source == "apology"
        assert not call.ear.ended
        await ask(call, 3)
        assert "could not be put through" in mind.answers()[0]
        assert bot_turns(call)[-1] == "Sorry about that."
