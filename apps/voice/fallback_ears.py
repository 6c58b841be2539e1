"""A recogniser made of several: when one fails, the next one hears what it has heard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.voice.fallback import Link, Ring, mute
from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import (
    Endpointing,
    Final,
    ProviderError,
    Transcriber,
    TranscriptEvent,
    TranscriptionFailed,
)

logger = logging.getLogger(__name__)

# How long a recogniser may take to open, and to find the words of an utterance that is over.
EARS_PATIENCE_S = 1.5
# What is kept of the call for whoever takes over: longer than nearly every utterance, and 64 kB.
KEPT_BYTES = 8_000 * BYTES_PER_MS
# ``begin`` comes after an utterance's onset: what a recogniser wants to have heard before it.
BEFORE_BYTES = 600 * BYTES_PER_MS
# How fast a recogniser takes what it is told again, measured in the audio's own time: vendors'
# documents say so.
CATCHING_UP = 1.25


@dataclass(frozen=True, slots=True)
class _Mark:
    """A call around an utterance: the method's name."""

    name: str
    utterance: int


_Piece = bytes | _Mark


class Tape:
    """The last seconds of what a recogniser was told: audio, with the marks between it."""

    def __init__(self) -> None:
        self._told: deque[_Piece] = deque()
        self._bytes = 0

    def add(self, told: _Piece) -> None:
        self._told.append(told)
        if isinstance(told, bytes):
            self._bytes += len(told)
            while self._bytes > KEPT_BYTES:
                gone = self._told.popleft()
                self._bytes -= len(gone) if isinstance(gone, bytes) else 0

    def after(self, done: int, latest: int) -> list[_Piece]:
        """Return what has to be told again: the utterances after ``done`` up to ``latest``, and
        the audio before them. One whose beginning is not kept any more begins with what is.
        """
        told = [one for one in self._told if isinstance(one, bytes) or one.utterance > done]
        marks = [(place, one) for place, one in enumerate(told) if isinstance(one, _Mark)]
        if latest <= done:
            return [_joined(told)]
        if not marks or marks[0][1].name != "begin":
            return [_Mark("begin", marks[0][1].utterance if marks else latest), *told]
        first = marks[0][0]
        return [_joined(told[:first]), *told[first:]]


def _joined(told: Sequence[_Piece]) -> bytes:
    return b"".join(one for one in told if isinstance(one, bytes))[-BEFORE_BYTES:]


@dataclass(slots=True)
class _Held:
    """What waits for a hand-over to be made: how whoever serves has failed last.

    holds: a hand-over is being made.
    """

    failure: TranscriptionFailed | None = None
    holds: bool = False


@dataclass(slots=True)
class _Told:
    """How far a call has come. latest: the utterance that was begun last; finished: it is over.
    done: the last one that has its words.
    """

    latest: int = 0
    finished: bool = False
    done: int = 0

    @property
    def owed(self) -> bool:
        """Whether the latest is over and has no words."""
        return self.finished and self.latest > self.done


class EarsChain:
    """Implements ``ports.Transcriber``, ``Warmable``, ``Endpointing`` and ``Relayed``.

    Whoever serves is told everything, and heard, until the next one has opened: a member that has
    failed once may be well again, and is better than none. A chain that ends: a recogniser that was
    left, or did not open when it was wanted, is not opened again.
    """

    def __init__(self, links: Sequence[Link[Transcriber]]) -> None:
        self.ring = Ring("stt", links, EARS_PATIENCE_S)
        self._tape = Tape()
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._next = 1  # who is opened next, by place
        self._stands = False  # whether whoever serves has opened
        self._told = _Told()
        self._overdue: asyncio.TimerHandle | None = None
        self._caught_up_at = 0.0  # when whoever took over has taken what it was told again
        self._handing: asyncio.Task[None] | None = None  # every hand-over, one after the other
        self._held = _Held(holds=True)  # nobody has opened

    @property
    def taking_over(self) -> bool:
        return self.ring.taking_over

    @property
    def endpoints(self) -> bool:
        serving: object = self._serving
        well = self._stands and not self._held.holds
        return well and isinstance(serving, Endpointing) and serving.endpoints

    async def warm(self) -> None:
        self.ring.warm()

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        self._deliver = deliver
        self._handing = task = asyncio.create_task(self._begin(), name="ears")
        try:
            await asyncio.wait([task])
        except BaseException:
            self.ring.leave(task)
            raise
        task.result()

    def hear(self, audio: bytes) -> None:
        self._tape.add(audio)
        self._serving.hear(audio)

    def begin(self, utterance: int) -> None:
        self._told.latest, self._told.finished = utterance, False
        self._disarm()
        self._mark("begin")

    def pause(self) -> None:
        self._mark("pause")

    def resume(self) -> None:
        self._mark("resume")

    def finish(self) -> None:
        self._told.finished = True
        self._arm()
        self._mark("finish")

    async def aclose(self) -> None:
        self._deliver = None
        self._disarm()
        if self._handing is not None and not self._handing.done():
            self.ring.leave(self._handing)
        await self.ring.aclose()

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _serving(self) -> Transcriber:
        return self.ring.current.provider

    def _mark(self, name: str) -> None:
        mark = _Mark(name, self._told.latest)
        self._tape.add(mark)
        _tell(self._serving, mark)

    def _arm(self) -> None:
        """Look, some time after the end of an utterance, whether its words have come."""
        self._disarm()
        if self._told.owed and not self._held.holds and self._more():
            loop = asyncio.get_running_loop()
            heard_at = max(loop.time(), self._caught_up_at)
            self._overdue = loop.call_at(heard_at + EARS_PATIENCE_S, self._stayed_mute)

    def _disarm(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _stayed_mute(self) -> None:
        # Its words may come yet, should nobody open who could find them sooner.
        self._replace(mute(self.ring.current.name), None)

    def _more(self) -> bool:
        return self._next < len(self.ring.links)

    def _heard(self, link: Link[Transcriber], event: TranscriptEvent) -> None:
        """Take what a member delivers. One that was left has no say any more, one that is being
        opened none yet.
        """
        if link is not self.ring.current:
            return
        if isinstance(event, TranscriptionFailed):
            self._fail(event)
        else:
            self._pass(event)

    def _pass(self, event: TranscriptEvent) -> None:
        """Deliver an event."""
        if isinstance(event, Final):
            self._told.done = max(self._told.done, event.utterance)
        if isinstance(event, Final | TranscriptionFailed):
            self.ring.taking_over = False
            if event.utterance >= self._told.latest:
                self._disarm()
        if self._deliver is not None:
            self._deliver(event)

    # --- handing over ---------------------------------------------------------------------------

    def _fail(self, failure: TranscriptionFailed) -> None:
        """Whoever serves has failed: let the next one take over, if there is one."""
        if self._held.holds:
            self._held.failure = failure
        elif not self._more():
            self._pass(failure)
        else:
            self._replace(failure.error, failure)

    def _replace(self, error: ProviderError, failure: TranscriptionFailed | None) -> None:
        """Begin to hand over. failure: what is delivered if nobody takes over."""
        if self._deliver is not None:
            self._held = _Held(failure, holds=True)
            self._handing = asyncio.create_task(self._replacing(error), name="ears")

    async def _replacing(self, error: ProviderError) -> None:
        try:
            await self._hand_over(error)
        except Exception:  # the edge of a task: nobody above would ever hear of it
            logger.exception("A recogniser could not take over")
            self._release()

    async def _begin(self) -> None:
        """Open the first, or who opens in its place. Raises the first's ProviderError if none."""
        try:
            await self._open(self.ring.current)
        except ProviderError as error:
            await self._hand_over(error)
            if not self._stands:
                raise
        else:
            self._stands = True
            if (failed := self._held.failure) is not None:
                await self._hand_over(failed.error)
            else:
                self._release()

    async def _hand_over(self, error: ProviderError) -> None:
        """Let the next one take over that opens, and again if that one fails at once.

        If none opens, whoever serves goes on, and what it failed in has failed.
        """
        self._disarm()
        self.ring.taking_over = True
        errors = [error]
        while self._more():
            link = self.ring.links[self._next]
            self._next += 1
            try:
                await self._open(link)
            except ProviderError as exc:
                logger.warning("A recogniser did not open", extra={"reason": exc.reason})
                self.ring.dismiss(link)
                errors.append(exc)
                continue
            failed = self._take_over(errors)
            if failed is None:
                break
            errors = [failed.error]
        else:
            self.ring.taking_over = False
        self._release()

    def _take_over(self, errors: Sequence[ProviderError]) -> TranscriptionFailed | None:
        """Make the last one that opened serve, and tell it what has not been answered.

        errors: of whoever serves and of those passed over, in order. Returns how it failed at that.
        """
        self.ring.dismiss(self.ring.current)
        for error in errors:
            self.ring.advance(error)
        self._stands = True
        self._held.failure = None
        again = self._tape.after(self._told.done, self._told.latest)
        ms = sum(len(told) for told in again if isinstance(told, bytes)) / BYTES_PER_MS
        now = asyncio.get_running_loop().time()
        self._caught_up_at = now + ms / 1_000 / CATCHING_UP
        for told in again:
            _tell(self._serving, told)
        return self._held.failure

    def _release(self) -> None:
        """Nobody else is waited for: what has failed meanwhile has failed."""
        failure, self._held = self._held.failure, _Held()
        if self._told.latest <= self._told.done:
            self.ring.taking_over = False
        if failure is not None and failure.utterance > self._told.done:
            self._pass(failure)
        self._arm()

    async def _open(self, link: Link[Transcriber]) -> None:
        """Open a member. Raises ProviderError, too if it takes too long and there is another.

        The last may take longer; what has failed is not kept from the caller for so long.
        """
        task = asyncio.create_task(self._opening(link), name="opening")
        try:
            await asyncio.wait([task], timeout=EARS_PATIENCE_S)
            if not task.done() and not self._more():
                self._release()
                await asyncio.wait([task])
        except BaseException:
            self.ring.leave(task)
            raise
        if not task.done():
            self.ring.leave(task)
            raise mute(link.name)
        task.result()

    async def _opening(self, link: Link[Transcriber]) -> None:
        try:
            if link is self.ring.links[0]:
                await self.ring.warmed()
            await link.provider.open(lambda event: self._heard(link, event))
        except ProviderError:
            raise
        except Exception as error:  # the edge of a task
            logger.exception("A recogniser did not open")
            raise ProviderError(link.name, "did not open", reason="unavailable") from error


def _tell(ears: Transcriber, told: _Piece) -> None:
    if isinstance(told, bytes):
        ears.hear(told)
    elif told.name == "begin":
        ears.begin(told.utterance)
    else:
        getattr(ears, told.name)()
