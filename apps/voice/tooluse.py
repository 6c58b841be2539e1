"""Tools in a call: several at once, each within its time, none of them heard as silence.

The caller may take the turn while tools run. Then the history is told at once that they were
called, and each answer, when it comes, takes the place that was kept for it: so the model neither
calls again what was done already nor claims what was not. If the interruption was no speech, the
bot waits on for the answers; if it was, a tool that only reads is given up, while one that acts
(its request cannot be taken back) is waited for in the background.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.voice.history import History
from apps.voice.ports import ChatMessage, Clock, Tool, Toolbox, ToolCall, ToolResult, ToolTerms
from apps.voice.toolwords import BROKEN, GIVEN_UP, NO_ANSWER, NO_MORE, STAYS, STILL_RUNNING

logger = logging.getLogger(__name__)

# What a tool gets on top of its time to say itself that it was not answered.
GRACE_S = 0.5
# How long the end of a call waits for tools to let go.
LET_GO_S = 2.0

Speak = Callable[[str], Awaitable[None]]
Note = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True, eq=False)
class Run:
    """One tool at work. result: None while it is."""

    call: ToolCall
    terms: ToolTerms
    result: ToolResult | None = None
    task: asyncio.Task[None] = field(init=False)


class Round:
    """The tools of one answer of the model. Implements ``ports.Controls`` for them.

    said: whether a tool has made the bot speak.
    """

    def __init__(self, history: History, speak: Speak) -> None:
        self.runs: list[Run] = []
        self.said = False
        self._history = history
        self._speak = speak
        self._context: list[ChatMessage] | None = None
        self._more: list[ChatMessage] = []
        self.closed = False

    async def say(self, text: str) -> bool:
        if self.closed:
            return False
        self.said = True
        await self._speak(text)
        return True

    def append(self, messages: Sequence[ChatMessage]) -> None:
        if self.closed:
            self._history.append(messages)
        else:
            self._more += messages

    def set_context(self, messages: Sequence[ChatMessage]) -> None:
        if self.closed:
            self._history.reset(messages)
        else:
            self._context, self._more = list(messages), []

    @property
    def told(self) -> bool:
        """Whether the tools have told the caller everything themselves."""
        return all(run.result is not None and run.result.told for run in self.runs)

    @property
    def filler(self) -> str:
        """What is said while they take long: the words of the first that has its own."""
        running = (run.terms.filler for run in self.runs if run.result is None)
        return next((filler for filler in running if filler), "")

    @property
    def leaving(self) -> tuple[str, ToolResult] | None:
        """The call that ends or transfers the conversation, and its result, if there is one."""
        for run in self.runs:
            if run.result and (run.result.ends_call or run.result.transfer_to):
                return run.call.id, run.result
        return None

    def close(self, *, last: bool = False) -> None:
        """Write the calls and their answers into the history. last: the model may call no more."""
        self._close([_content(run.result) for run in self.runs], NO_MORE if last else "")

    def abandon(self) -> None:
        """The caller has the turn: write down what is known so far."""
        self._close([_so_far(run.result) for run in self.runs], "")

    def _close(self, answers: Sequence[str], note: str) -> None:
        self.closed = True
        if self._context is not None:
            self._history.reset(self._context)
        calls = tuple(run.call for run in self.runs)
        answers = [*answers[:-1], f"{answers[-1]}\n{note}".rstrip()]
        self._history.tools_ran(
            [
                ChatMessage("assistant", "", tool_calls=calls),
                *(
                    ChatMessage("tool", answer, tool_call_id=call.id)
                    for call, answer in zip(calls, answers, strict=True)
                ),
            ]
        )
        self._history.append(self._more)

    def answered(self, run: Run) -> None:
        """An answer has come. Late, it goes where its place was kept."""
        if self.closed:
            self._history.tool_answered(run.call.id, _so_far(run.result))

    def give_up(self, run: Run) -> None:
        run.result = run.result or ToolResult(GIVEN_UP, outcome="given_up")
        run.task.cancel()
        self.answered(run)


class ToolUse:
    """One call's tools at work. Whoever made it awaits ``aclose``."""

    def __init__(self, toolbox: Toolbox, *, clock: Clock, note: Note) -> None:
        self._toolbox = toolbox
        self._clock = clock
        self._note = note
        self._ids: set[str] = set()
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._owed: list[tuple[Round, Run]] = []
        self._waiting = 0
        self._waited_at = -float("inf")

    def tools(self) -> Sequence[Tool]:
        return self._toolbox.tools()

    def start(self, calls: Sequence[ToolCall], *, history: History, speak: Speak) -> Round:
        """Run the tools that one answer of the model asks for."""
        found = Round(history, speak)
        for call in calls:
            own = replace(call, id=self._own_id(call.id))
            run = Run(own, self._toolbox.terms(own.name))
            run.task = asyncio.create_task(self._run(run, found), name="tool")
            self._tasks[run.task] = self._known(own.name)
            run.task.add_done_callback(self._done)
            found.runs.append(run)
        return found

    async def settle(self, found: Round) -> None:
        """Wait until each of the round's tools has answered, or has had its time."""
        await self._wait(found.runs)

    def abandon(self, found: Round) -> None:
        """The caller has taken the turn while the round's tools ran."""
        found.abandon()
        self._owed += [(found, run) for run in found.runs if run.result is None]

    async def catch_up(self) -> None:
        """Wait for the tools that the caller did not really interrupt."""
        await self._wait([run for _, run in self._owed])
        self._owed = []

    def move_on(self) -> None:
        """The caller has said something else: what only reads is given up."""
        for found, run in self._owed:
            if run.result is None and not run.terms.acts:
                found.give_up(run)
        self._owed = []

    @property
    def at_work(self) -> tuple[str, ...]:
        """The names of the tools that run."""
        return tuple(self._tasks.values())

    @property
    def owing(self) -> bool:
        """Whether tools run that the caller still waits for, after an interruption."""
        return bool(self._owed)

    def waited_until(self, now: float) -> float:
        """Return until when nobody else could have gone on, because of tools."""
        return now if self._waiting else self._waited_at

    async def aclose(self) -> None:
        """End every tool. One that ignores its cancellation is left behind, and said so."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=LET_GO_S)
            if stuck:
                logger.error("A tool ignored its cancellation", extra={"tasks": len(stuck)})

    async def _wait(self, runs: Sequence[Run]) -> None:
        tasks = [run.task for run in runs]
        if not tasks:
            return
        self._waiting += 1
        try:
            # Each ends by itself; this is for one that ignores it.
            limit = max(run.terms.timeout_s for run in runs) + 2 * GRACE_S
            await asyncio.wait(tasks, timeout=limit)
        finally:
            self._waiting -= 1
            self._waited_at = self._clock.now()
        for run in runs:
            if run.result is None:
                run.result = ToolResult(NO_ANSWER, outcome="timeout")
                run.task.cancel()

    async def _run(self, run: Run, found: Round) -> None:
        began = self._clock.now()
        result = ToolResult(BROKEN, outcome="cancelled")
        try:
            async with asyncio.timeout(run.terms.timeout_s + GRACE_S):
                result = await self._toolbox.call(run.call, found)
        except TimeoutError:
            result = ToolResult(NO_ANSWER, outcome="timeout")
        except Exception as error:  # noqa: BLE001 - the edge of a task
            # Without its text, which may quote what was sent or answered.
            logger.error("A tool broke", extra={"error": type(error).__name__})
            result = ToolResult(BROKEN, outcome="failed")
        finally:
            late = found.closed
            if run.result is None:
                run.result = result
                found.answered(run)
            self._tell(run.call.name, run.result, self._clock.now() - began, late=late)

    def _tell(self, name: str, result: ToolResult, took_s: float, *, late: bool) -> None:
        self._note(
            "tool.ran",
            {
                "tool": self._known(name),
                "ms": round(took_s * 1_000),
                "outcome": result.outcome,
                **({"status": result.status} if result.status else {}),
                **({"late": True} if late else {}),
            },
        )

    def _known(self, name: str) -> str:
        # A name that a model made up may be anything it was told.
        return name if any(tool.name == name for tool in self._toolbox.tools()) else ""

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    def _own_id(self, given: str) -> str:
        """Return an id that no other call of the conversation has: some models count anew each
        time, and their vendors refuse a history in which two are the same."""
        found = given or "call"
        number = 1
        while found in self._ids:
            number += 1
            found = f"{given or 'call'}_{number}"
        self._ids.add(found)
        return found


def _content(result: ToolResult | None) -> str:
    return NO_ANSWER if result is None else result.content


def _so_far(result: ToolResult | None) -> str:
    if result is None:
        return STILL_RUNNING
    return STAYS if result.ends_call or result.transfer_to else result.content
