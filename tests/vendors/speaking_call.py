"""A call over a model that speaks itself: our engine, its adapter, the vendor's stand-in.

Sockets take real time, so the clock is real too, but runs ``SPEED`` times as fast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.providers.openai_realtime import OpenAIRealtime
from apps.voice import supervision
from apps.voice.assembly import Surroundings, assemble
from apps.voice.clips import Clip
from apps.voice.ports import (
    ChatMessage,
    Controls,
    Tool,
    ToolCall,
    ToolResult,
    ToolTerms,
    Turn,
)
from apps.voice.production import Services
from apps.voice.settings import ConversationSettings, LineName
from tests.voice.far_end import DEFAULT_CLIPS, FRAME, QUIET, SPEECH, Ear, Loudness, Notebook

SPEED = 4.0
FRAME_S = FRAME / 8_000
LOOK = Tool("look", "Looks for a table.", {"type": "object", "properties": {}})
ASK = Tool("ask", "Asks the cook.", {"type": "object", "properties": {}})
END = Tool("end_call", "Ends the call.", {"type": "object", "properties": {}})


class QuickClock:
    """Implements ``ports.Clock``: the loop's time, in a hurry."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time() * SPEED

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(when / SPEED, callback)


class QuickEar(Ear):
    """The far end's ear, whose timers count the same quick seconds."""

    def clear(self) -> None:
        now = self.clock.now()
        self.cleared_at.append(now)
        unheard = int(max(0.0, self._plays_until - now) * 8_000)
        if unheard:
            del self.heard[-unheard:]
        self._plays_until = now
        for name, timer in self._marks:
            if not timer.cancelled() and timer.when() * SPEED > now:
                timer.cancel()
                self.clock.call_at(now, lambda name=name: self.echo(name))  # type: ignore[misc]


class Desk:
    """A toolbox whose tools answer at once, but for ``busy``."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.busy: asyncio.Event | None = None

    def tools(self) -> Sequence[Tool]:
        return (LOOK, ASK, END)

    def terms(self, name: str) -> ToolTerms:
        return ToolTerms(timeout_s=30)

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        self.called.append(call.name)
        if self.busy is not None:
            await self.busy.wait()
        return ToolResult(f"{call.name}: done", ends_call=call.name == "end_call")


class SpokenCall:
    """A conversation with its supervisor, in quick time."""

    def __init__(
        self,
        mind: OpenAIRealtime,
        *,
        settings: ConversationSettings | None = None,
        clips: Mapping[LineName, Clip] | None = None,
    ) -> None:
        self.mind = mind
        self.clock = QuickClock()
        self.ear = QuickEar(self.clock)  # type: ignore[arg-type]
        self.notebook = Notebook()
        self.desk = Desk()
        self.talk = assemble(
            settings or ConversationSettings((ChatMessage("system", "Be brief."),)),
            around=Surroundings(self.clock, Loudness(), self.ear, self.notebook),
            services=Services(mind, mind.voice, self.desk),
            transcriber=mind.ears,
            clips=DEFAULT_CLIPS if clips is None else clips,
        )
        self.ear.echo = self.talk.parts.playout.echoed
        self._frame = QUIET
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> SpokenCall:
        await self.mind.ears.open(self.talk.parts.hearing.take)
        self._tasks = [asyncio.create_task(self._supervise()), asyncio.create_task(self._line())]
        self.talk.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.talk.parts.playout.close()
        self.talk.parts.hearing.close()
        await self.talk.parts.speaker.aclose()
        for part in (self.mind.ears, self.mind, self.mind.voice):
            await part.aclose()

    @property
    def history(self) -> list[tuple[str, str]]:
        return [(said.role, said.content) for said in self.talk.history.messages()[1:]]

    def turns(self, role: str = "bot") -> list[Turn]:
        return [turn for turn in self.notebook.turns if turn.role == role]

    async def speak(self, seconds: float) -> None:
        self._frame = SPEECH
        await asyncio.sleep(seconds / SPEED)
        self._frame = QUIET

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until something has happened in the call."""
        for _ in range(8_000):
            if true():
                return
            await asyncio.sleep(0.001)
        raise TimeoutError(f"It did not happen; {self.talk.phase}, {self.history}")

    async def _line(self) -> None:
        due = self.clock.now()
        while True:
            due += FRAME_S
            await asyncio.sleep((due - self.clock.now()) / SPEED)
            self.talk.parts.hearing.frame(self._frame)

    async def _supervise(self) -> None:
        while True:
            supervision.look_after(self.talk)
            await asyncio.sleep(supervision.EVERY_S / SPEED)
