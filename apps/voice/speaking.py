"""The bot's side: one say at a time, made by a task that the speaker owns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from apps.voice.clips import Clip
from apps.voice.history import History
from apps.voice.patience import Asides
from apps.voice.playout import Playout, Talk
from apps.voice.ports import ChatMessage, Clock, Relayed, Speaking
from apps.voice.production import Outcome, Production, Say, Services
from apps.voice.stages import Stopwatch
from apps.voice.tooluse import Note, ToolUse

logger = logging.getLogger(__name__)

# How long a hang-up waits for providers to let go.
LET_GO_S = 5.0

# Called in the task, not before: a task that is cancelled before it begins awaits nothing.
Work = Callable[[], Coroutine[None, None, Outcome]]


class Speaker:
    """Starts, stops and replaces productions; plays clips. Tells how each production ended."""

    def __init__(
        self,
        *,
        services: Services,
        playout: Playout,
        clock: Clock,
        report: Callable[[Outcome], None],
        asides: Asides | None = None,
        note: Note = lambda kind, data: None,
    ) -> None:
        self._services = services
        self._playout = playout
        self._clock = clock
        self._report = report
        self.tools = ToolUse(services.toolbox, clock=clock, note=note)
        self._means = Say(services, playout, clock, self.tools, asides or Asides())
        self._production: Production | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.watch = Stopwatch(clock.now())

    @property
    def owes(self) -> bool:
        """Whether the last answer ended before it spoke of what tools had answered it."""
        return self._production is not None and self._production.owes

    @property
    def taking_over(self) -> bool:
        """Whether a model or a voice has been asked in the place of one that failed."""
        means = (self._services.mind, self._services.voice)
        return any(isinstance(one, Relayed) and one.taking_over for one in means)

    def answer(self, history: History, *, watch: Stopwatch) -> None:
        """Ask the model and speak its answer while it is being made."""
        production = self._next("model", watch)
        self._start(production, lambda: production.answer(history))

    def say(self, text: str, *, source: str) -> None:
        """Speak a text that exists already. source: what makes the bot say it."""
        production = self._next(source, Stopwatch(self._clock.now()))
        self._start(production, lambda: production.say(text))

    def play(self, clip: Clip, *, source: str) -> None:
        """Play a sentence whose audio is ready: it waits for nobody and cannot fail."""
        self.cancel()
        self.watch = Stopwatch(self._clock.now())
        self._playout.open(source)
        self._playout.passage(clip.text)
        self._playout.write(clip.audio)
        self._playout.end_passage()
        self._playout.finish()

    def cancel(self) -> None:
        """Stop making more. What the playout already has stays there."""
        if self._production is not None:
            self._production.stop()
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def stalled(self) -> None:
        """The caller has waited for too long: whoever is late is not asked next, if another can
        be."""
        if self._production is not None and self._task is not None:
            self._production.stalled()

    def brief(self, messages: Sequence[ChatMessage]) -> None:
        """Tell a model that speaks itself what the call starts from."""
        if isinstance(self._services.mind, Speaking):
            self._services.mind.brief(messages, self._services.toolbox.tools())

    def heard(self, talk: Talk, now: float) -> None:
        """Tell a model that speaks itself how much of what it said was heard; once a talk."""
        if talk.replied and isinstance(self._services.mind, Speaking):
            talk.replied = False
            self._services.mind.heard(talk.own_heard_ms(now))

    def follow(self, messages: Sequence[ChatMessage]) -> None:
        """Tell a model that speaks itself what the history says now."""
        if isinstance(self._services.mind, Speaking):
            self._services.mind.follow(messages)

    async def aclose(self) -> None:
        """End everything. A provider that ignores its cancellation is left behind, and said so."""
        self.cancel()
        await self.tools.aclose()
        if not self._ending:
            return
        _, stuck = await asyncio.wait(self._ending, timeout=LET_GO_S)
        if stuck:
            logger.error("A provider ignored its cancellation", extra={"tasks": len(stuck)})

    def _next(self, source: str, watch: Stopwatch) -> Production:
        self.cancel()
        self.watch = watch
        self._playout.open(source)
        self._production = Production(self._means, watch)
        return self._production

    def _start(self, production: Production, work: Work) -> None:
        self._task = asyncio.create_task(self._run(production, work))

    async def _run(self, production: Production, work: Work) -> None:
        outcome = await work()
        # A provider may swallow its cancellation: what it ends with is nobody's business then.
        if self._production is production and self._task is asyncio.current_task():
            self._task = None
            self._report(outcome)
