"""One WebSocket a call to a vendor's voice: opened ahead, shared by all sentences, replaced when it
breaks.

What differs between vendors is a ``Dialect``: what is sent, and what an answer means. It does no
I/O. Everything about connections, patience and interruption is here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from apps.providers import connections, failures
from apps.providers.sound import Sound, speakable
from apps.voice import g711
from apps.voice.ports import ProviderError, WordAt

# A connection that lived shorter than this is not reopened before it is needed: it would go on.
LIVED_S = 5.0
# How long sound may come after an end that had none: some vendors end a sentence twice.
GRACE_S = 1.0
# No sentence is longer. A vendor that sends more for one has lost its mind; the sentence fails.
LONGEST = 300_000 * g711.BYTES_PER_MS
STOP_S = 0.5


class Mark(Enum):
    """What a vendor says besides sound."""

    READY = "ready"  # a new connection takes sentences from now on; of vendors that greet
    END = "end"
    AGAIN = "again"  # lost before it began, by no fault of anybody's: ask once more


Event = bytes | WordAt | Mark | ProviderError


class Dialect(Protocol):
    """A vendor's words on the wire, for one sentence at a time.

    provider: the registry name. ends_twice: whether an end without sound may belong to the
    sentence before.
    """

    provider: str
    ends_twice: bool

    def handshake(self) -> tuple[str, Mapping[str, str]]:
        """Return URL and headers. Raises ProviderError without a key that can be sent."""

    def opened(self) -> None:
        """A new connection stands; the vendor knows nothing of what was said before."""

    def worn(self) -> bool:
        """Whether the connection should be replaced before the next sentence."""

    def ask(self, text: str) -> Sequence[str]:
        """Return the messages that have ``text`` spoken."""

    def read(self, message: str | bytes) -> Iterable[Event]:
        """Return what a message brings for the sentence asked last; nothing if it is another's.

        Raises ValueError, LookupError, TypeError or AttributeError for what is not documented.
        """

    def stop(self) -> Sequence[str]:
        """Return the messages that stop the sentence asked last; what comes of it is dropped."""

    def closed(self, code: int | None, reason: str) -> ProviderError:
        """Return the error for a connection that the vendor closed in mid-sentence."""

    def farewell(self) -> Sequence[str]:
        """Return what the vendor wants to hear before the connection is closed."""


class SpeechSocket:
    """Speaks sentences over one connection. Implements what ``voice.ports`` asks of a voice.

    subprotocol: what is offered in the handshake. greets: whether the vendor speaks first, and
    nothing is asked of it before its dialect reads ``Mark.READY``.
    """

    def __init__(
        self, dialect: Dialect, *, patience_s: float, subprotocol: str = "", greets: bool = False
    ) -> None:
        self._dialect = dialect
        self._patience_s = patience_s
        self._greets = greets
        self._more = {"subprotocols": [subprotocol]} if subprotocol else {}
        self._greeting = _Greeting()
        self._connection: ClientConnection | None = None
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sentence: _Sentence | None = None
        self._closed = asyncio.Event()

    async def warm(self) -> None:
        with contextlib.suppress(ProviderError):
            await self._ready()

    async def speak(self, text: str) -> AsyncGenerator[bytes | WordAt, None]:
        if not (text := speakable(text)):
            return
        sentence = self._sentence = _Sentence(self._dialect)
        sound = Sound(self._dialect.provider)
        complete = False
        try:
            event = await self._first(sentence, text)
            while event is not Mark.END:
                if not isinstance(event, bytes | WordAt):
                    raise _error(self._dialect.provider, event)
                yield sound.take(event) if isinstance(event, bytes) else event
                event = await sentence.next(self._patience_s)
            complete = True
            sound.end()
        except TimeoutError:
            self._abandon()
            raise failures.silent(self._dialect.provider) from None
        finally:
            if self._sentence is sentence:
                self._sentence = None
            if not complete:
                await self._stop()
            elif self._dialect.worn():
                self._spawn(self.warm())

    async def aclose(self) -> None:
        """Close the connection and end the tasks. Twice is no harm."""
        self._closed.set()
        self._greeting.fail(failures.lost(self._dialect.provider))
        if self._sentence is not None:
            self._sentence.put(failures.lost(self._dialect.provider))
        connection, self._connection = self._connection, None
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if connection is not None:
            await self._send(connection, self._dialect.farewell())
            await connections.hung_up(connection)

    # --- one sentence -------------------------------------------------------------------------

    async def _first(self, sentence: _Sentence, text: str) -> Event | _Lost:
        """Ask for the text and return the first that comes of it.

        Asks once more where that is safe: nothing of the sentence has been heard yet.
        """
        reused = await self._ask(text)
        event = await sentence.next(self._patience_s)
        if event is Mark.AGAIN or (reused and isinstance(event, _Lost)):
            sentence.renew()
            await self._ask(text)
            event = await sentence.next(self._patience_s)
        if event is Mark.END and self._dialect.ends_twice:
            with contextlib.suppress(TimeoutError):
                event = await sentence.next(min(GRACE_S, self._patience_s))
        return event

    async def _ask(self, text: str) -> bool:
        """Send the text; return whether over a connection that was there already."""
        reused = await self._ready()
        assert self._connection is not None
        await self._send(self._connection, self._dialect.ask(text))
        return reused

    async def _stop(self) -> None:
        messages = self._dialect.stop()
        if self._connection is not None and messages:
            await self._send(self._connection, messages)

    async def _send(self, connection: ClientConnection, messages: Sequence[str]) -> None:
        """Send, or leave it: a connection that is gone is told by its reader."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(STOP_S):
                for message in messages:
                    await connection.send(message)

    # --- the connection -----------------------------------------------------------------------

    async def _ready(self) -> bool:
        """Have an open connection; return whether it was there already. Raises ProviderError."""
        async with self._opening:
            standing = self._connection
            if standing is not None and standing.state is State.OPEN and not self._dialect.worn():
                await self._greeted()
                return True
            if self._closed.is_set():
                raise failures.lost(self._dialect.provider)
            # What its reader still has to tell of the old one is nobody's concern any more.
            self._connection = None
            if standing is not None:
                self._spawn(connections.hung_up(standing))
            url, headers = self._dialect.handshake()
            opened = await connections.socket(
                self._dialect.provider, url, headers, patience_s=self._patience_s, **self._more
            )
            if self._closed.is_set():  # meanwhile
                await connections.hung_up(opened)
                raise failures.lost(self._dialect.provider)
            self._connection = opened
            self._greeting = _Greeting(given=not self._greets)
            self._dialect.opened()
            self._spawn(self._listen(opened))
            await self._greeted()
            return False

    async def _greeted(self) -> None:
        """Wait until the connection takes sentences. Raises ProviderError if it does not."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._greeting.wait()
        except TimeoutError:
            self._abandon()
            raise failures.silent(self._dialect.provider) from None
        except ProviderError:
            self._abandon()
            raise

    async def _listen(self, connection: ClientConnection) -> None:
        """Read what comes until the connection ends; one that ends idle is replaced."""
        loop = asyncio.get_running_loop()
        opened = loop.time()
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                if connection is self._connection:
                    self._hear(message)
        if connection is not self._connection:
            return
        self._connection = None
        error = self._dialect.closed(connection.close_code, connection.close_reason or "")
        if not self._greeting.given:
            self._greeting.fail(error)
        elif self._sentence is not None:
            self._sentence.put(_Lost(error) if error.reason == "unavailable" else error)
        elif loop.time() - opened > LIVED_S:
            await self.warm()

    def _hear(self, message: str | bytes) -> None:
        """Hand on what a message brings for the sentence in hand."""
        sentence = self._sentence
        try:
            events = self._dialect.read(message)
        except (ValueError, LookupError, TypeError, AttributeError):
            # Whatever comes next on it cannot be trusted either.
            self._abandon()
            events = (failures.unreadable(self._dialect.provider),)
        for event in events:
            if event is Mark.READY:
                self._greeting.give()
            elif not self._greeting.given and isinstance(event, ProviderError):
                self._greeting.fail(event)
            elif sentence is not None:
                sentence.put(event)

    def _abandon(self) -> None:
        """Leave a connection that brings nothing or nonsense; the next sentence opens another."""
        if self._connection is not None:
            self._connection.transport.abort()
            self._connection = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Greeting:
    """Whether a new connection takes sentences yet, or why it never will."""

    __slots__ = ("_decided", "_error", "given")

    def __init__(self, *, given: bool = True) -> None:
        self.given = given
        self._error: ProviderError | None = None
        self._decided = asyncio.Event()
        if given:
            self._decided.set()

    def give(self) -> None:
        self.given = True
        self._decided.set()

    def fail(self, error: ProviderError) -> None:
        """Note why there will be none; the first reason counts."""
        if not self._decided.is_set():
            self._error = error
            self._decided.set()

    async def wait(self) -> None:
        await self._decided.wait()
        if self._error is not None:
            raise self._error


class _Lost:
    """The connection broke. Not yet a failure: it may have been stale."""

    __slots__ = ("error",)

    def __init__(self, error: ProviderError) -> None:
        self.error = error


class _Sentence:
    """What has come for a sentence and was not taken yet."""

    __slots__ = ("_came", "_dialect", "_events", "_length", "_over")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._events: deque[Event | _Lost] = deque()
        self._came = asyncio.Event()
        self._length = 0
        self._over = False

    def put(self, event: Event | _Lost) -> None:
        """Take an event. After an end or a failure there is nothing more to take."""
        if self._over:
            return
        if isinstance(event, bytes):
            self._length += len(event)
            if self._length > LONGEST:
                event = failures.unreadable(self._dialect.provider)
        another = event is Mark.END and not self._length and self._dialect.ends_twice
        self._over = not (another or isinstance(event, bytes | WordAt))
        self._events.append(event)
        self._came.set()

    def renew(self) -> None:
        """Begin anew: what comes now counts again."""
        self._over = False

    async def next(self, patience_s: float) -> Event | _Lost:
        """Return the next event. Raises TimeoutError when none comes for so long."""
        if not self._events:
            self._came.clear()
            async with asyncio.timeout(patience_s):
                await self._came.wait()
        return self._events.popleft()


def _error(provider: str, event: Mark | ProviderError | _Lost) -> ProviderError:
    if isinstance(event, _Lost):
        return event.error
    return event if isinstance(event, ProviderError) else failures.unreadable(provider)
