"""Tools during a call, in virtual time: nothing of them is heard as silence, none is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import pytest

from apps.voice.patience import AGAIN_S
from apps.voice.ports import (
    ChatMessage,
    Controls,
    ModelEvent,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    ToolTerms,
)
from apps.voice.production import AT_ONCE, TOOL_ROUNDS
from apps.voice.settings import ConversationSettings, Lines, TurnSettings
from apps.voice.toolwords import BROKEN, GIVEN_UP, NO_ANSWER, NO_MORE, STILL_RUNNING
from apps.voice.turns import Phase
from tests.support.virtual_time import in_virtual_time
from tests.voice.far_end import Call

Work = Callable[[ToolCall, Controls], Awaitable[ToolResult]]
Said = tuple[str, tuple[str, ...]]


def strict(messages: Sequence[ChatMessage]) -> None:
    """Refuse what vendors refuse: calls and answers that do not belong together."""
    ids: set[str] = set()
    open_calls: list[str] = []
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id in open_calls, "an answer without its call"
            open_calls.remove(message.tool_call_id)
            continue
        assert not open_calls, "a call without its answer"
        open_calls = [call.id for call in message.tool_calls]
        assert ids.isdisjoint(open_calls), "two calls with one id"
        ids |= set(open_calls)
    assert not open_calls, "a call without its answer"
    assert messages[-1].role != "assistant", "nothing to answer"


class Mind:
    """Says what its script says: a text and the tools that it calls. Remembers what it was told."""

    def __init__(self, *script: Said) -> None:
        self.script = list(script)
        self.thinks_s = 0.05
        self.told: list[list[ChatMessage]] = []

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        strict(messages)
        self.told.append(list(messages))
        text, calls = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await asyncio.sleep(self.thinks_s)
        if text:
            yield TextDelta(text)
        for name in calls:
            yield ToolCall("call_0", name, {})

    async def aclose(self) -> None:
        pass

    def answers(self) -> list[str]:
        """Return the tools' answers in what it was told last."""
        return [message.content for message in self.told[-1] if message.role == "tool"]


class Bench:
    """Tools made of functions."""

    def __init__(self, terms: Mapping[str, ToolTerms] | None = None, **work: Work) -> None:
        self.work = work
        self.named = terms or {}
        self.began: list[str] = []
        self.ended: list[str] = []

    def tools(self) -> Sequence[Tool]:
        return [Tool(name, "") for name in self.work]

    def terms(self, name: str) -> ToolTerms:
        return self.named.get(name, ToolTerms())

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        self.began.append(call.name)
        try:
            return await self.work[call.name](call, controls)
        finally:
            self.ended.append(call.name)


def after(seconds: float, content: str = "Done.") -> Work:
    async def work(call: ToolCall, controls: Controls) -> ToolResult:
        await asyncio.sleep(seconds)
        return ToolResult(content)

    return work


def ending(**result: bool | str) -> Work:
    async def work(call: ToolCall, controls: Controls) -> ToolResult:
        return ToolResult("Soon.", **result)  # type: ignore[arg-type]

    return work


async def deaf(call: ToolCall, controls: Controls) -> ToolResult:
    """Ignore every cancellation for a while."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 20
    while loop.time() < until:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(until - loop.time())
    return ToolResult("Too late.")


async def breaking(call: ToolCall, controls: Controls) -> ToolResult:
    raise RuntimeError("secret-words")


class Exchange:
    """Implements ``ports.Transferrer``."""

    def __init__(self, *, works: bool) -> None:
        self.works = works
        self.asked: list[tuple[str, float]] = []

    def transfer(self, target: str, done: Callable[[bool], None]) -> None:
        loop = asyncio.get_running_loop()
        self.asked.append((target, loop.time()))
        loop.call_later(0.3, done, self.works)


def bot_turns(call: Call) -> list[str]:
    return [turn.heard for turn in call.notebook.turns if turn.role == "bot"]


async def ask(call: Call, wait_s: float = 4.0) -> None:
    await call.speak(0.5)
    await call.quiet(wait_s)


@in_virtual_time
async def test_the_model_is_told_what_the_tool_answered_and_speaks_of_it() -> None:
    mind = Mind(("One second.", ("look",)), ("It is open.", ()))
    async with Call(mind=mind, toolbox=Bench(look=after(0.2, "open"))) as call:
        await ask(call)
        assert bot_turns(call) == ["One second. It is open."]
        assert mind.answers() == ["open"]
        assert [m.content for m in mind.told[-1] if m.role == "assistant"] == ["One second."]
        strict([*call.talk.history.messages(), ChatMessage("user", "")])


@in_virtual_time
async def test_tools_that_are_called_together_run_together() -> None:
    mind = Mind(("", ("look", "book")), ("Both are done.", ()))
    bench = Bench(look=after(0.8, "a"), book=after(0.8, "b"))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call, 2.0)
        assert mind.answers() == ["a", "b"]
        assert "provider.mute" not in call.notebook.events


@in_virtual_time
async def test_a_model_that_calls_without_end_is_served_so_far() -> None:
    mind = Mind(("", ("look",) * 100), ("Enough.", ()))
    bench = Bench(look=after(0.1))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call)
        assert len(bench.began) == len(mind.answers()) == AT_ONCE
        assert bot_turns(call) == ["Enough."]


@in_virtual_time
async def test_a_slow_tool_is_bridged_by_one_request_for_patience() -> None:
    mind = Mind(("", ("book",)), ("Your table is booked.", ()))
    async with Call(mind=mind, toolbox=Bench(book=after(6))) as call:
        ended = call.clock.now() + 0.5
        await ask(call, 10)
        assert bot_turns(call) == ["One moment, please. Your table is booked."]
        # 0.3 s to the end of the turn, 0.05 s of the model, a second of patience.
        assert call.ear.pieces[0][0] - ended == pytest.approx(1.35, abs=0.1)
        assert "provider.mute" not in call.notebook.events
        assert call.notebook.turns[-1].stages_ms["tools"] == pytest.approx(1_050, abs=40)


@in_virtual_time
async def test_a_quick_tool_is_not_bridged() -> None:
    mind = Mind(("", ("book",)), ("Booked.", ()))
    async with Call(mind=mind, toolbox=Bench(book=after(0.8))) as call:
        await ask(call)
        assert bot_turns(call) == ["Booked."]


@in_virtual_time
async def test_nobody_asks_for_patience_while_the_bot_still_speaks() -> None:
    mind = Mind(("I am looking that up for you in the big book.", ("look",)), ("Found.", ()))
    async with Call(mind=mind, toolbox=Bench(look=after(3))) as call:
        await ask(call, 8)
        assert bot_turns(call) == ["I am looking that up for you in the big book. Found."]


@in_virtual_time
async def test_a_tool_asks_for_patience_in_its_own_words() -> None:
    terms = {"book": ToolTerms(filler="I am writing that down.")}
    mind = Mind(("", ("book",)), ("Booked.", ()))
    async with Call(mind=mind, toolbox=Bench(terms, book=after(4))) as call:
        await ask(call, 8)
        assert bot_turns(call) == ["I am writing that down. Booked."]


@in_virtual_time
async def test_a_very_long_silence_is_broken_again() -> None:
    terms = {"book": ToolTerms(timeout_s=30)}
    mind = Mind(("", ("book",)), ("Booked.", ()))
    async with Call(mind=mind, toolbox=Bench(terms, book=after(AGAIN_S + 6))) as call:
        await ask(call, 25)
        assert bot_turns(call) == ["One moment, please. One moment, please. Booked."]


@in_virtual_time
async def test_patience_is_not_asked_for_where_that_is_switched_off() -> None:
    for settings in (
        ConversationSettings((), turns=TurnSettings(filler_secs=0)),
        ConversationSettings((), lines=Lines(filler="")),
    ):
        mind = Mind(("", ("book",)), ("Booked.", ()))
        call = Call(settings=settings, mind=mind, toolbox=Bench(book=after(5)))
        async with call:
            await ask(call, 9)
            assert bot_turns(call) == ["Booked."]


@in_virtual_time
@pytest.mark.parametrize("work", [deaf, after(1_000)])
async def test_a_tool_that_hangs_is_told_to_the_model_in_time(work: Work) -> None:
    terms = {"book": ToolTerms(timeout_s=3)}
    mind = Mind(("", ("book",)), ("I could not do that, sorry.", ()))
    bench = Bench(terms, book=work)
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call, 9)
        assert mind.answers() == [NO_ANSWER]
        assert bot_turns(call) == ["One moment, please. I could not do that, sorry."]
        await call.quiet(20)
    assert mind.answers() == [NO_ANSWER]


@in_virtual_time
async def test_a_tool_that_breaks_is_told_to_the_model(caplog: pytest.LogCaptureFixture) -> None:
    mind = Mind(("", ("book",)), ("Sorry.", ()))
    async with Call(mind=mind, toolbox=Bench(book=breaking)) as call:
        await ask(call)
        assert mind.answers() == [BROKEN]
    assert "secret-words" not in caplog.text


@in_virtual_time
async def test_the_journal_learns_how_tools_ran_and_nothing_of_what_they_said() -> None:
    mind = Mind(("", ("book", "no such tool")), ("Sorry.", ()))
    async with Call(mind=mind, toolbox=Bench(book=after(0.25))) as call:
        await ask(call)
        ran = [data for data in call.notebook.data if "tool" in data]
    assert ran == [
        {"tool": "", "ms": 0, "outcome": "failed"},
        {"tool": "book", "ms": 250, "outcome": "ok"},
    ]


@in_virtual_time
async def test_what_was_done_behind_an_interruption_is_known_in_the_end() -> None:
    mind = Mind(("", ("book",)), ("Of course.", ()), ("It is booked.", ()))
    async with Call(mind=mind, toolbox=Bench(book=after(4, "Booked, number 7."))) as call:
        await ask(call, 1.0)  # the tool runs
        await ask(call, 1.5)  # the caller says something else
        assert mind.answers() == [STILL_RUNNING]
        assert [m.role for m in mind.told[-1]] == ["system", "user", "assistant", "tool", "user"]
        await call.quiet(3)
        await ask(call)
        assert mind.answers() == ["Booked, number 7."]
        assert bot_turns(call)[-1] == "It is booked."
        assert [data for data in call.notebook.data if "tool" in data][0]["late"]


@in_virtual_time
async def test_a_reading_tool_is_given_up_when_the_caller_moves_on() -> None:
    terms = {"look": ToolTerms(acts=False)}
    mind = Mind(("", ("look",)), ("Of course.", ()))
    bench = Bench(terms, look=after(6))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call, 1.0)
        await ask(call, 2.0)
        assert mind.answers() == [GIVEN_UP]
        assert bench.ended == ["look"]


@in_virtual_time
@pytest.mark.parametrize("before", ["", "Let me look."])
@pytest.mark.parametrize("moment", [0.9, 2.0])
async def test_a_cough_does_not_lose_the_answer_of_a_tool(before: str, moment: float) -> None:
    terms = {"look": ToolTerms(acts=False)}
    mind = Mind((before, ("look",)), ("It is open.", ()))
    bench = Bench(terms, look=after(4, "open"))
    async with Call(stt={"lines": ["Is it open?", ""]}, mind=mind, toolbox=bench) as call:
        await ask(call, moment)
        await call.speak(0.2)
        await call.quiet(9)
        assert mind.answers() == ["open"]
        assert bot_turns(call)[-1].endswith("It is open.")
        assert bench.began == ["look"]
        assert "provider.mute" not in call.notebook.events


@in_virtual_time
async def test_a_cough_between_a_tools_answer_and_the_bots_loses_neither() -> None:
    mind = Mind(("Let me look.", ("look",)), ("It is open.", ()))
    mind.thinks_s = 1.0
    bench = Bench(look=after(0.1, "open"))
    async with Call(stt={"lines": ["Is it open?", ""]}, mind=mind, toolbox=bench) as call:
        await ask(call, 1.8)  # the tool has answered; the model thinks about it
        await call.speak(0.2)
        await call.quiet(5)
        assert bot_turns(call)[-1].endswith("It is open.")
        assert bench.began == ["look"]


@in_virtual_time
async def test_what_was_heard_before_a_tool_stands_before_its_call() -> None:
    mind = Mind(("Let me look at that.", ("look",)), ("Of course.", ()))
    async with Call(mind=mind, toolbox=Bench(look=after(6))) as call:
        await ask(call, 2.2)
        await ask(call, 2)
        calling = next(m for m in mind.told[-1] if m.tool_calls)
        assert "Let me look at that.".startswith(calling.content) and calling.content


@in_virtual_time
async def test_a_model_that_only_calls_tools_has_to_speak_in_the_end() -> None:
    script = [("", ("look",))] * TOOL_ROUNDS
    mind = Mind(*script, ("It is open.", ("look",)))
    bench = Bench(look=after(0.01))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call)
        assert bot_turns(call) == ["It is open."]
        assert len(bench.began) == TOOL_ROUNDS
        assert mind.answers()[-1].endswith(NO_MORE)
        assert not mind.answers()[0].endswith(NO_MORE)


@in_virtual_time
@pytest.mark.parametrize("seconds", [0.01, 1.5])
async def test_a_model_that_never_speaks_is_apologised_for(seconds: float) -> None:
    mind = Mind(("", ("look",)), ("", ()))
    async with Call(mind=mind, toolbox=Bench(look=after(seconds))) as call:
        await ask(call, 7)
        assert call.notebook.turns[-1].source == "apology"
        assert call.talk.phase is Phase.LISTENING


async def drives(call: ToolCall, controls: Controls) -> ToolResult:
    await controls.say("First I look. Then I see.")
    await asyncio.sleep(0.5)
    said = await controls.say("Here it is.")
    return ToolResult(f"said: {said}", told=True)


@in_virtual_time
async def test_a_tool_that_has_told_the_caller_is_heard_in_order_and_not_repeated() -> None:
    mind = Mind(("Yes.", ("show",)), ("Never said.", ()))
    async with Call(mind=mind, toolbox=Bench(show=drives)) as call:
        await ask(call, 6)
        assert bot_turns(call) == ["Yes. First I look. Then I see. Here it is."]
        assert len(mind.told) == 1


@in_virtual_time
async def test_a_tool_says_nothing_once_the_caller_has_the_turn() -> None:
    async def slow(call: ToolCall, controls: Controls) -> ToolResult:
        await asyncio.sleep(3)
        return await drives(call, controls)

    mind = Mind(("", ("show",)), ("Fine.", ()))
    async with Call(mind=mind, toolbox=Bench(show=slow)) as call:
        await ask(call, 1)
        await ask(call, 5)
        assert bot_turns(call) == ["Fine."]
        await ask(call, 3)
        assert mind.answers() == ["said: False"]


@in_virtual_time
async def test_what_a_tool_adds_stands_behind_its_answer() -> None:
    async def add(call: ToolCall, controls: Controls) -> ToolResult:
        controls.append([ChatMessage("system", "The guest is a member.")])
        return ToolResult("ok")

    mind = Mind(("", ("show",)), ("Welcome back.", ()))
    async with Call(mind=mind, toolbox=Bench(show=add)) as call:
        await ask(call)
        assert [m.role for m in mind.told[-1]] == ["system", "user", "assistant", "tool", "system"]


@in_virtual_time
@pytest.mark.parametrize("interrupted", [False, True])
async def test_a_tool_may_change_all_that_the_model_knows(interrupted: bool) -> None:
    async def change(call: ToolCall, controls: Controls) -> ToolResult:
        await asyncio.sleep(2)
        controls.set_context([ChatMessage("system", "Be loud."), ChatMessage("user", "Hi.")])
        return ToolResult("ok")

    mind = Mind(("", ("show",)), ("WELCOME.", ()))
    async with Call(mind=mind, toolbox=Bench(show=change)) as call:
        await ask(call, 1.0 if interrupted else 4)
        await ask(call, 3)
        await ask(call, 3)
        first, second = mind.told[-1][:2]
        assert first == ChatMessage("system", "Be loud.")
        assert second.content.startswith("Hi.")


@in_virtual_time
@pytest.mark.parametrize("moment", [0.35, 0.5, 1.0, 1.5, 2.6])
async def test_hanging_up_while_tools_run_leaves_nothing_running(moment: float) -> None:
    mind = Mind(("", ("look", "book")), ("Done.", ()))
    bench = Bench(look=after(2), book=after(5))
    async with Call(mind=mind, toolbox=bench) as call:
        await ask(call, moment)
    assert sorted(bench.began) == sorted(bench.ended)
