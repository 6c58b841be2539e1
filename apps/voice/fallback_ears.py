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


@dataclass(frozen=True, slots=True)
class _Mark:
    """A call around an utterance: the method's name."""

    name: str
    utterance: int


_Told = bytes | _Mark


class Tape:
    """The last seconds of what a recogniser was told: audio, with the marks between it."""

    def __init__(self) -> None:
        self._told: deque[_Told] = deque()
        self._bytes = 0

    def add(self, told: _Told) -> None:
        self._told.append(told)
        if isinstance(told, bytes):
            self._bytes += len(told)
            while self._bytes > KEPT_BYTES:
                gone = self._told.popleft()
                self._bytes -= len(gone) if isinstance(gone, bytes) else 0

    def after(self, done: int, latest: int) -> list[_Told]:
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


def _joined(told: Sequence[_Told]) -> bytes:
    return b"".join(one for one in told if isinstance(one, bytes))[-BEFORE_BYTES:]


class EarsChain:
    """Implements ``ports.Transcriber``, ``Warmable``, ``Endpointing`` and ``Relayed``.

    A chain that ends: a recogniser that was left is not opened again.
    """

    def __init__(self, links: Sequence[Link[Transcriber]]) -> None:
        self.ring = Ring("stt", links, EARS_PATIENCE_S)
        self._tape = Tape()
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._serving: Transcriber | None = links[0].provider  # None while the next one opens
        self._latest = self._done = 0
        self._overdue: asyncio.TimerHandle | None = None
        self._handing: asyncio.Task[None] | None = None

    @property
    def taking_over(self) -> bool:
        return self.ring.taking_over

    @property
    def endpoints(self) -> bool:
        serving: object = self._serving
        return isinstance(serving, Endpointing) and serving.endpoints

    async def warm(self) -> None:
        self.ring.warm()

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        self._deliver = deliver
        try:
            await self._open()
        except ProviderError as error:
            await self._hand_over(error)

    def hear(self, audio: bytes) -> None:
        self._tape.add(audio)
        if self._serving is not None:
            self._serving.hear(audio)

    def begin(self, utterance: int) -> None:
        self._latest = utterance
        self._disarm()
        self._mark("begin")

    def pause(self) -> None:
        self._mark("pause")

    def resume(self) -> None:
        self._mark("resume")

    def finish(self) -> None:
        self._arm()
        self._mark("finish")

    async def aclose(self) -> None:
        self._deliver = None
        self._disarm()
        if self._handing is not None:
            self.ring.leave(self._handing)
        await self.ring.aclose()

    # --- inside ---------------------------------------------------------------------------------

    def _mark(self, name: str) -> None:
        mark = _Mark(name, self._latest)
        self._tape.add(mark)
        if self._serving is not None:
            _tell(self._serving, mark)

    def _arm(self) -> None:
        """Look, some time after the end of an utterance, whether its words have come."""
        self._disarm()
        if self._more() and self._serving is not None:
            loop = asyncio.get_running_loop()
            self._overdue = loop.call_later(EARS_PATIENCE_S, self._stayed_mute)

    def _disarm(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _stayed_mute(self) -> None:
        self._fail(mute(self.ring.current.name))

    def _more(self) -> bool:
        return self.ring.current is not self.ring.links[-1]

    def _heard(self, link: Link[Transcriber], event: TranscriptEvent) -> None:
        """Take what a member delivers; one that was left has no say any more."""
        if link is not self.ring.current or self._deliver is None:
            return
        if isinstance(event, TranscriptionFailed) and self._more():
            self._fail(event.error)
            return
        if isinstance(event, Final):
            self._done = max(self._done, event.utterance)
        if isinstance(event, Final | TranscriptionFailed):
            self.ring.taking_over = False
            if event.utterance >= self._latest:
                self._disarm()
        self._deliver(event)

    def _fail(self, error: ProviderError) -> None:
        """The one who serves has failed, and there is a next one."""
        self._disarm()
        if self._handing is None or self._handing.done():
            self._handing = asyncio.create_task(self._replace(error), name="ears")

    async def _replace(self, error: ProviderError) -> None:
        try:
            await self._hand_over(error)
        except ProviderError as last:
            if self._deliver is not None:
                self._deliver(TranscriptionFailed(self._latest, last))

    async def _hand_over(self, error: ProviderError) -> None:
        """Let the next one take over that opens. Raises ProviderError if none does."""
        while self._more():
            self._serving = None
            self.ring.dismiss(self.ring.current)
            self.ring.advance(error)
            try:
                await self._open()
            except ProviderError as exc:
                error = exc
                continue
            self._catch_up(self.ring.current.provider)
            return
        self.ring.taking_over = False
        self._serving = self.ring.current.provider
        raise error

    def _catch_up(self, serving: Transcriber) -> None:
        """Tell somebody new what the one before was told and has not answered."""
        self._serving = serving
        finished = False
        for told in self._tape.after(self._done, self._latest):
            _tell(serving, told)
            finished = isinstance(told, _Mark) and told.name == "finish"
        if self._latest <= self._done:
            self.ring.taking_over = False
        elif finished:
            self._arm()

    async def _open(self) -> None:
        """Open the current member. Raises ProviderError, too if it takes too long."""
        link = self.ring.current
        task = asyncio.create_task(self._opening(link), name="opening")
        try:
            patience_s = EARS_PATIENCE_S if self._more() else None
            await asyncio.wait([task], timeout=patience_s)
        except BaseException:
            self.ring.leave(task)
            raise
        if not task.done():
            self.ring.leave(task)
            raise mute(link.name)
        task.result()

    async def _opening(self, link: Link[Transcriber]) -> None:
        try:
            await self.ring.warmed()
            await link.provider.open(lambda event: self._heard(link, event))
        except ProviderError:
            raise
        except Exception as error:  # the edge of a task
            logger.exception("A recogniser did not open")
            raise ProviderError(link.name, "did not open", reason="unavailable") from error


def _tell(ears: Transcriber, told: _Told) -> None:
    if isinstance(told, bytes):
        ears.hear(told)
    elif told.name == "begin":
        ears.begin(told.utterance)
    else:
        getattr(ears, told.name)()
