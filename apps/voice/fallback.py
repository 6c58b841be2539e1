"""A model and a voice made of several: one that fails before its first word has a successor.

A chain is a ring: every turn begins with whoever served last and asks each at the most once.
Whoever takes over stays. Whoever fails or stalls after the first word has spoiled the turn, and the
next one begins with who comes after them. A turn in which all fail, fails as it would with one
provider, and the next turn begins with the first again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from apps.voice.audible import is_silent
from apps.voice.ports import (
    ChatMessage,
    Flowing,
    LanguageModel,
    ModelEvent,
    ProviderError,
    TextDelta,
    TextToSpeech,
    Tool,
    Usage,
    Warmable,
    WordAt,
)
from apps.voice.sentences import has_words

logger = logging.getLogger(__name__)

# How long a model may be silent before the next one is asked. A caller is answered for within 3 s
# of their question: half of that is the first one's, who mostly begins within one; the other half
# is left for the next one's first sentence and for the voice to begin it.
MODEL_PATIENCE_S = 1.5
# The same of a voice, which mostly begins within 0.3 s. The model had its part of the 3 s before.
VOICE_PATIENCE_S = 1.0
# What is kept of an answer that has not begun, such as a voice's silence before the first sound.
# One that goes on so for longer is passed on as it is.
HELD_ITEMS = 256


class Closable(Protocol):
    async def aclose(self) -> None: ...


Member = TypeVar("Member", bound=Closable)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Link(Generic[Member]):
    """One provider of a chain. place: where the bot names it; 0 is the slot's own."""

    name: str
    provider: Member
    place: int = 0


@dataclass(frozen=True, slots=True)
class Switch:
    """Somebody takes over. place: theirs. error: why. text: what a voice is to speak.

    again: they are asked at once what has failed; else they are the next to be asked.
    """

    slot: str
    before: str
    after: str
    place: int
    error: ProviderError
    text: str = ""
    again: bool = True


OnSwitch = Callable[[Switch], None]


def _to_nobody(_switch: Switch) -> None:
    """Nobody wants to know."""


def mute(name: str) -> ProviderError:
    """Say of a provider that it did not begin in time."""
    return ProviderError(name, "stayed mute", reason="timeout", retryable=True)


class Ring(Generic[Member]):
    """The members of a slot's chain, who of them serves, and what they leave behind."""

    def __init__(self, slot: str, links: Sequence[Link[Member]], patience_s: float) -> None:
        self.slot = slot
        self.links = tuple(links)
        self.patience_s = patience_s
        self.on_switch: OnSwitch = _to_nobody
        self.taking_over = False
        self.owes_more = False  # whoever serves has begun an answer, and more of it is waited for
        self._at = 0
        self._warming: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[Any]] = set()

    @property
    def current(self) -> Link[Member]:
        return self.links[self._at]

    def warm(self) -> None:
        """Connect the first ahead. It is not waited for here: its patience counts for that too."""
        first: object = self.current.provider
        if isinstance(first, Warmable):
            self._warming = asyncio.create_task(first.warm(), name="warmth")

    async def warmed(self) -> None:
        """Wait until the first has connected or failed to: it is used either way."""
        if self._warming is not None and self._at == 0:
            await asyncio.wait([self._warming])

    def advance(self, error: ProviderError, text: str = "") -> None:
        """Let the next one take over, and be asked at once."""
        self.taking_over = True
        self._move((self._at + 1) % len(self.links), error, text, again=True)

    def pass_on(self, error: ProviderError) -> None:
        """Let the next one be asked from the next request on: this one's is spoiled."""
        self.owes_more = False
        self._move((self._at + 1) % len(self.links), error)

    def stalled(self) -> None:
        """Pass on if whoever serves has begun an answer and does not go on with it."""
        if self.owes_more:
            self.pass_on(mute(self.current.name))

    def start_over(self, error: ProviderError) -> None:
        """All have failed: the first is as good as any."""
        if self._at:
            self._move(0, error)

    def _move(self, at: int, error: ProviderError, text: str = "", *, again: bool = False) -> None:
        before = self.current
        if self._warming is not None and self._at == 0:
            self.leave(self._warming)
        self._at = at
        after = self.current
        self.on_switch(Switch(self.slot, before.name, after.name, after.place, error, text, again))

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel what nobody waits for any more; ``aclose`` awaits it."""
        task.cancel()
        self._part(task)

    def dismiss(self, link: Link[Member]) -> None:
        """Close a member that serves no more; ``aclose`` awaits it."""
        self._part(asyncio.create_task(link.provider.aclose(), name="parting"))

    def _part(self, task: asyncio.Task[Any]) -> None:
        self._leaving.add(task)
        task.add_done_callback(self._parted)

    def _parted(self, task: asyncio.Task[Any]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.info("A provider failed when it was left", exc_info=error)

    async def aclose(self) -> None:
        """Let every member go, all at once. How long that may take, the caller decides."""
        if self._warming is not None:
            self.leave(self._warming)
        closing = [link.provider.aclose() for link in self.links]
        for found in await asyncio.gather(*self._leaving, *closing, return_exceptions=True):
            if isinstance(found, Exception):
                logger.error("A provider of a chain did not let go", exc_info=found)
        while left := [task for task in self._leaving if not task.done()]:
            await asyncio.wait(left)  # what those had begun that were awaited just now


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None = None


class _Attempt(Generic[Item]):
    """One member's answer, made in a task of its own: so it can be left, whatever it does."""

    def __init__(self, stream: AsyncGenerator[Item, None], ring: Ring[Any]) -> None:
        self._stream = stream
        self._ring = ring
        self._queue: asyncio.Queue[Item | _End] = asyncio.Queue(1)
        self._left = False
        self.ended = False
        self._task = asyncio.create_task(self._run(), name="attempt")

    async def begin(self, begins: Callable[[Item], bool], patience_s: float | None) -> list[Item]:
        """Return what came up to the first item that counts; without one, if it ended so.

        Raises what the member raised, and TimeoutError.
        """
        held: list[Item] = []
        async with asyncio.timeout(patience_s):
            while len(held) < HELD_ITEMS and (item := await self.take()) is not None:
                held.append(item)
                if begins(item):
                    break
        return held

    async def take(self) -> Item | None:
        """Return the next item, or None at the end and after it. Raises what the member raised."""
        if self.ended:
            return None
        found = await self._queue.get()
        if not isinstance(found, _End):
            return found
        self.ended = True
        if found.error is not None:
            raise found.error
        return None

    async def _run(self) -> None:
        end = _End()
        try:
            await self._ring.warmed()
            async with aclosing(self._stream) as items:
                async for item in items:
                    if self._left:
                        return
                    await self._queue.put(item)
        except Exception as error:  # noqa: BLE001 - raised where it is taken
            end = _End(error)
        if not self._left:
            await self._queue.put(end)

    def leave(self) -> None:
        """End it. One that swallows its cancellation is stopped at the next thing it delivers."""
        self._left = True
        self._ring.leave(self._task)

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.leave()
        await asyncio.wait([self._task])


@dataclass(frozen=True, slots=True)
class _Request(Generic[Member, Item]):
    """What a chain is asked. begins: whether an item is the first that counts.

    owes: whether an answer without any is a failure. text: what is to be spoken.
    """

    ask: Callable[[Member], AsyncGenerator[Item, None]]
    begins: Callable[[Item], bool]
    owes: bool = False
    text: str = ""

    async def beginning(
        self, attempt: _Attempt[Item], name: str, patience_s: float | None
    ) -> list[Item]:
        """Return what an answer begins with. Raises ProviderError."""
        try:
            held = await attempt.begin(self.begins, patience_s)
        except TimeoutError:
            raise mute(name) from None
        if self.owes and attempt.ended and not any(map(self.begins, held)):
            raise ProviderError(name, "sent nothing", reason="unavailable")
        return held


async def _relay(ring: Ring[Member], request: _Request[Member, Item]) -> AsyncGenerator[Item, None]:
    """Stream the answer of whoever begins."""
    attempt: _Attempt[Item] | None = None
    try:
        attempt, held = await _whoever_begins(ring, request)
        for item in held:
            yield item
        while (more := await _more(ring, attempt)) is not None:
            yield more
    finally:
        ring.taking_over = False
        if attempt is not None:
            await attempt.stop()


async def _more(ring: Ring[Any], attempt: _Attempt[Item]) -> Item | None:
    """Return the next item of an answer that has begun. Whoever fails now is not asked next."""
    ring.owes_more = True
    try:
        return await attempt.take()
    except ProviderError as error:
        if ring.owes_more:
            ring.pass_on(error)
        raise
    finally:
        ring.owes_more = False


async def _whoever_begins(
    ring: Ring[Member], request: _Request[Member, Item]
) -> tuple[_Attempt[Item], list[Item]]:
    """Ask one after the other. Returns who has begun, with what. Raises ProviderError."""
    left = len(ring.links)
    while True:
        left -= 1
        serving = ring.current
        attempt = _Attempt(request.ask(serving.provider), ring)
        try:
            patience_s = ring.patience_s if left else None
            held = await request.beginning(attempt, serving.name, patience_s)
        except ProviderError as error:
            # Not awaited here: one that ignores its cancellation must not hold up the next.
            attempt.leave()
            if not left:
                ring.start_over(error)
                raise
            ring.advance(error, request.text)
        except BaseException:
            await attempt.stop()
            raise
        else:
            ring.taking_over = False
            return attempt, held


def _is_said(event: ModelEvent) -> bool:
    return bool(event.text) if isinstance(event, TextDelta) else not isinstance(event, Usage)


def _is_sound(piece: bytes | WordAt) -> bool:
    return isinstance(piece, bytes) and not is_silent(piece)


class MindChain:
    """Implements ``ports.LanguageModel``, ``Warmable``, ``Relayed`` and ``Replaceable`` over
    several models."""

    def __init__(self, links: Sequence[Link[LanguageModel]]) -> None:
        self.ring = Ring("llm", links, MODEL_PATIENCE_S)

    @property
    def taking_over(self) -> bool:
        return self.ring.taking_over

    def stalled(self) -> None:
        self.ring.stalled()

    async def warm(self) -> None:
        self.ring.warm()

    def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        request: _Request[LanguageModel, ModelEvent] = _Request(
            lambda mind: mind.reply(messages, tools), _is_said
        )
        return _relay(self.ring, request)

    async def aclose(self) -> None:
        await self.ring.aclose()


class VoiceChain:
    """Implements ``ports.TextToSpeech``, ``Warmable``, ``Flowing``, ``Relayed`` and
    ``Replaceable`` over several voices."""

    def __init__(self, links: Sequence[Link[TextToSpeech]]) -> None:
        self.ring = Ring("tts", links, VOICE_PATIENCE_S)
        self._flows: TextToSpeech | None = None  # who knows of the say that is being made

    @property
    def taking_over(self) -> bool:
        return self.ring.taking_over

    def stalled(self) -> None:
        self.ring.stalled()

    async def warm(self) -> None:
        self.ring.warm()

    def flow(self) -> None:
        self._flows = None

    def speak(self, text: str) -> AsyncGenerator[bytes | WordAt, None]:
        request: _Request[TextToSpeech, bytes | WordAt] = _Request(
            lambda voice: self._speak(voice, text), _is_sound, owes=has_words(text), text=text
        )
        return _relay(self.ring, request)

    async def aclose(self) -> None:
        await self.ring.aclose()

    def _speak(self, voice: TextToSpeech, text: str) -> AsyncGenerator[bytes | WordAt, None]:
        if self._flows is not voice and isinstance(voice, Flowing):
            voice.flow()
        self._flows = voice
        return voice.speak(text)
