"""Speech-to-text over a vendor's WebSocket: what all of them need, whatever their protocol.

One connection a call. A writer sends what is on the tape (the call's latest audio), a reader takes
what the vendor says of it; ``live_words`` decides whose words they are. When a connection breaks, a
new one is sent the tape again from the last final word on, so that the caller's sentence survives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.providers import failures
from apps.providers.base import ServiceSettings
from apps.providers.connections import hung_up
from apps.providers.live_wire import Place, Wire
from apps.providers.live_words import Said, Utterance, Utterances
from apps.voice.g711 import BYTES_PER_MS, SAMPLE_RATE, SILENCE
from apps.voice.ports import ProviderError, TranscriptEvent

logger = logging.getLogger(__name__)

# Longer speech without a final word is kept, and sent again, from its last half minute only.
LONGEST = 30_000 * BYTES_PER_MS
# How soon a broken connection is tried again, each time. A caller waits.
PAUSES_S = (0.0, 0.25, 1.0)
# One that broke sooner, without final words, counts as a try that failed.
STEADY_S = 5.0
_RECONNECT_S = 3.0
# A vendor that speaks of every second of audio is behind, or dumb, if it has not spoken of so much.
_BEHIND = 1_500 * BYTES_PER_MS
# Vendors take what is sent faster than it was spoken at about this speed (Deepgram's and
# AssemblyAI's documents say 1.25).
_CATCHING_UP = 1.25
_LONGEST_CATCH_UP_S = 3.0
_GOODBYE_S = 0.5


@dataclass(slots=True)
class Tape:
    """The call's latest audio. start, end: positions in bytes since the call's first."""

    start: int = 0
    data: bytearray = field(default_factory=bytearray)

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def forget(self, before: int) -> None:
        gone = min(before - self.start, len(self.data))
        if gone > 0:
            del self.data[:gone]
            self.start += gone

    def read(self, start: int, end: int) -> bytes:
        return bytes(self.data[start - self.start : end - self.start])


@dataclass(slots=True, eq=False)
class _Flush:
    """The vendor is to be asked for final words when it has the audio up to ``at``."""

    at: int
    ticket: int
    utterance: Utterance


@dataclass(slots=True, eq=False)
class _Link:
    """One connection.

    sent: up to where its audio has gone out. shift: from the vendor's count of bytes to the call's.
    heard: up to where the vendor has spoken of. busy_until: when it will have taken what it was
    sent, as far as one can reckon. served: it has brought final words.
    """

    socket: ClientConnection
    sent: int
    shift: int
    since: float
    sent_at: float
    busy_until: float
    heard: int = 0
    beat: asyncio.TimerHandle | None = None
    idle: bool = False
    flushes: deque[_Flush] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    served: bool = False

    def place(self, seconds: float) -> int:
        return self.shift + int(seconds * SAMPLE_RATE)


class LiveEars:
    """Implements ``voice.ports.Transcriber``, ``Warmable`` and ``Endpointing`` over a ``Wire``.

    ``hear`` keeps 30 s of an utterance that has no final words yet, and 1.5 s between utterances;
    what is older is dropped.
    """

    def __init__(self, settings: ServiceSettings, wire: Wire) -> None:
        self._name = settings.provider
        self._patience_s = settings.patience_s
        self._wire = wire
        self._tape = Tape()
        self._utterances = Utterances(self._tell, self._disarm, endpoints=wire.endpoints)
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._link: _Link | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._down: ProviderError | None = None
        self._timers: dict[Utterance, list[asyncio.TimerHandle]] = {}
        self._ticket = 0

    @property
    def endpoints(self) -> bool:
        return self._wire.endpoints

    # --- the call -------------------------------------------------------------------------------

    async def warm(self) -> None:
        with contextlib.suppress(ProviderError):
            await self._connected()

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        self._deliver = deliver
        await self._connected()

    def hear(self, audio: bytes) -> None:
        if self._closed:
            return
        tape, link = self._tape, self._link
        tape.data += audio
        tape.forget(max(self._utterances.needed(tape.end), tape.end - LONGEST))
        if link is not None and tape.end - link.sent >= self._wire.chunk and self._is_wanted(None):
            link.wake.set()

    def begin(self, utterance: int) -> None:
        if self._utterances.begin(utterance, self._tape.end) and self.endpoints:
            # Not from within ``begin``: the caller of that is not ready for an answer.
            asyncio.get_running_loop().call_soon(self._was_over, utterance)
        self._revive()

    def pause(self) -> None:
        self._utterances.pause(self._tape.end)
        opened = self._utterances.open
        if self._wire.early and opened is not None:
            self._flush(opened, self._tape.end)

    def resume(self) -> None:
        self._utterances.resume()

    def finish(self) -> None:
        done = self._utterances.finish(self._tape.end)
        if done is None:
            return
        if self._down is not None:
            self._utterances.fail(done, self._down)
            return
        if done.asked and done.tickets:  # the answer to the pause's is on its way
            self._look_again(done)
        else:
            self._flush(done, self._tape.end)
        self._arm(done, self._patience_s, self._overdue)

    async def aclose(self) -> None:
        self._closed = True
        self._deliver = None
        for utterance in list(self._timers):
            self._disarm(utterance)
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            await self._part(link.socket)

    # --- connecting -------------------------------------------------------------------------------

    async def _connected(self) -> None:
        """Connect, if nobody has. Raises ProviderError."""
        async with self._opening:
            stands = self._keeper is not None and self._down is None
            if not stands and not self._closed:
                link = await self._connect(self._patience_s)
                self._down = None
                self._keeper = asyncio.get_running_loop().create_task(self._keep(link))

    async def _connect(self, patience_s: float) -> _Link:
        socket = await self._wire.connect(patience_s)
        if self._closed:
            await self._part(socket)
            raise failures.lost(self._name)
        tape = self._tape
        start = max(tape.start, min(self._utterances.needed(tape.end), tape.end))
        now = asyncio.get_running_loop().time()
        link = _Link(socket, start, start, now, sent_at=now, busy_until=now)
        for one in self._utterances.waiting:
            self._ask(link, one, one.finished or tape.end)
            self._arm(one, self._patience_s, self._overdue)
        link.wake.set()
        self._link = link
        return link

    def _revive(self) -> None:
        """Try again what was given up; a key that was refused will be refused again."""
        down = self._down
        if down is None or not _passes(down) or self._closed:
            return
        self._down = None
        self._keeper = asyncio.get_running_loop().create_task(self._keep(None))

    async def _keep(self, link: _Link | None) -> None:
        """Keep the call connected until the vendor cannot be had any more."""
        tries = 0
        try:
            while True:
                if link is not None:
                    error = await self._serve(link)
                    tries = 0 if self._was_steady(link) else tries
                    self._lost()
                    if not _passes(error):
                        break
                found, tries = await self._again(tries)
                if isinstance(found, ProviderError):
                    error = found
                    break
                link = found
        except Exception:  # the edge of a task: nobody above would ever hear of it
            logger.exception("The ears of a call failed")
            error = failures.unreadable(self._name)
            self._lost()
        self._give_up(error)

    async def _again(self, tries: int) -> tuple[_Link | ProviderError, int]:
        """Connect again, a few times. Returns the last error if that fails."""
        error = failures.lost(self._name)
        while tries < len(PAUSES_S):
            await asyncio.sleep(PAUSES_S[tries])
            tries += 1
            try:
                return await self._connect(min(self._patience_s, _RECONNECT_S)), tries
            except ProviderError as exc:
                error = exc
                if not _passes(error):
                    break
        return error, tries

    def _was_steady(self, link: _Link) -> bool:
        lived_s = asyncio.get_running_loop().time() - link.since
        return link.served or lived_s >= STEADY_S

    def _lost(self) -> None:
        self._link = None
        self._utterances.lost()
        for utterance in list(self._timers):
            self._disarm(utterance)

    def _give_up(self, error: ProviderError) -> None:
        self._down = error
        for one in list(self._utterances.waiting):
            self._utterances.fail(one, error)

    async def _part(self, socket: ClientConnection) -> None:
        """Tell the vendor that the session is over, and close."""
        goodbye = self._wire.goodbye()
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                if goodbye:
                    await socket.send(goodbye)
        await hung_up(socket)

    # --- one connection ---------------------------------------------------------------------------

    async def _serve(self, link: _Link) -> ProviderError:
        """Send and receive until the connection is gone. Returns why it is."""
        writer = asyncio.get_running_loop().create_task(self._write(link))
        try:
            return await self._read(link)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            if not self._closed:  # ``aclose`` has words to say on it
                await hung_up(link.socket)

    async def _read(self, link: _Link) -> ProviderError:
        place = link.place
        try:
            async for message in link.socket:
                said = self._understood(message, place)
                if said is not None:
                    link.served = link.served or (said.final and bool(said.text))
                    link.heard = max(link.heard, said.through or 0, said.end or 0)
                    self._utterances.said(said)
        except ConnectionClosed:
            pass
        except ProviderError as error:
            return error
        return self._wire.closed(link.socket.close_code or 1006, link.socket.close_reason or "")

    def _understood(self, message: str | bytes, place: Place) -> Said | None:
        """Read a message. Raises ProviderError."""
        try:
            return self._wire.read(orjson.loads(message), place)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise failures.unreadable(self._name) from None

    async def _write(self, link: _Link) -> None:
        loop = asyncio.get_running_loop()
        self._listen_for_idleness(link)
        try:
            while True:
                await link.wake.wait()
                link.wake.clear()
                while (message := self._next(link)) is not None:
                    await link.socket.send(message)
                    link.sent_at = loop.time()
        except ConnectionClosed:
            pass  # the reader says why
        except Exception:  # the edge of a task: nobody above would ever hear of it
            logger.exception("Sending to a recogniser failed")
            link.socket.transport.abort()
        finally:
            if link.beat is not None:
                link.beat.cancel()

    def _listen_for_idleness(self, link: _Link) -> None:
        """Have something sent where nothing was for a while: vendors close what is idle."""
        idle_s = self._wire.idle_s
        if not idle_s:
            return
        loop = asyncio.get_running_loop()
        left_s = link.sent_at + idle_s - loop.time()
        if left_s <= 0:
            link.idle = True
            link.wake.set()
            left_s = idle_s
        link.beat = loop.call_later(left_s, self._listen_for_idleness, link)

    def _pulse(self, link: _Link) -> bytes | str:
        """Return what keeps an idle connection open; sound counts in the vendor's time."""
        link.idle = False
        beat = self._wire.idle()
        if isinstance(beat, bytes):
            link.shift -= len(beat)
        return beat

    def _next(self, link: _Link) -> bytes | str | None:
        """Return the next message that is due, or None."""
        tape, wire = self._tape, self._wire
        if link.sent < tape.start:  # it was too far behind: the oldest is gone
            link.shift += tape.start - link.sent
            link.sent = tape.start
        flush = link.flushes[0] if link.flushes else None
        if not wire.whole:
            self._skip(link, flush.utterance if flush is not None else self._utterances.open)
        limit = tape.end if flush is None else min(flush.at, tape.end)
        due = limit - link.sent if self._is_wanted(flush) else 0
        if due >= wire.chunk or (due > 0 and flush is not None):
            return wire.audio(self._piece(link, min(due, wire.most)))
        if flush is not None:
            link.flushes.popleft()
            self._look_again(flush.utterance)
            return wire.flush(flush.ticket) or self._next(link)
        return self._pulse(link) if link.idle else None

    def _is_wanted(self, flush: _Flush | None) -> bool:
        return self._wire.whole or flush is not None or self._utterances.open is not None

    def _skip(self, link: _Link, wanted: Utterance | None) -> None:
        """Leave out what is between utterances."""
        if wanted is not None and link.sent < wanted.begun:
            link.shift += wanted.begun - link.sent
            link.sent = wanted.begun

    def _piece(self, link: _Link, length: int) -> bytes:
        """Take the next audio; what is too short for the vendor is filled up with silence."""
        piece = self._tape.read(link.sent, link.sent + length)
        link.sent += length
        began = max(link.busy_until, asyncio.get_running_loop().time())
        link.busy_until = began + length / SAMPLE_RATE / _CATCHING_UP
        short = self._wire.least - length
        if short > 0:
            link.shift -= short
            piece += SILENCE * short
        return piece

    # --- final words ------------------------------------------------------------------------------

    def _flush(self, utterance: Utterance, at: int) -> None:
        if self._link is not None:
            self._ask(self._link, utterance, at)

    def _ask(self, link: _Link, utterance: Utterance, at: int) -> None:
        self._ticket += 1
        self._utterances.flushing(self._ticket, utterance, at)
        link.flushes.append(_Flush(at, self._ticket, utterance))
        link.wake.set()

    def _arm(
        self, utterance: Utterance, after_s: float, action: Callable[[Utterance], None]
    ) -> None:
        if utterance in self._utterances.waiting:
            handle = asyncio.get_running_loop().call_later(after_s, action, utterance)
            self._timers.setdefault(utterance, []).append(handle)

    def _disarm(self, utterance: Utterance) -> None:
        for handle in self._timers.pop(utterance, []):
            handle.cancel()

    def _look_again(self, utterance: Utterance) -> None:
        """Look some time after the vendor has taken what it was sent: it may be seconds at once."""
        if self._wire.nothing_s is not None:
            now = asyncio.get_running_loop().time()
            busy_s = self._link.busy_until - now if self._link is not None else 0.0
            later_s = max(0.0, min(busy_s, _LONGEST_CATCH_UP_S))
            self._arm(utterance, self._wire.nothing_s + later_s, self._unanswered)

    def _unanswered(self, utterance: Utterance) -> None:
        """The vendor was asked for final words some time ago. Are any to be expected?"""
        link = self._link
        ended = utterance.finished or 0
        behind = self._wire.regular and link is not None and link.heard < ended - _BEHIND
        if utterance.guess or behind:
            self._look_again(utterance)
        elif link is not None:
            self._utterances.conclude(utterance)

    def _overdue(self, utterance: Utterance) -> None:
        self._utterances.fail(utterance, failures.silent(self._name))
        if self._link is not None:  # nothing good will come from it
            self._link.socket.transport.abort()

    def _was_over(self, number: int) -> None:
        opened = self._utterances.open
        if opened is not None and opened.number == number and opened.settled:
            self._utterances.tell_over(opened)

    def _tell(self, event: TranscriptEvent) -> None:
        if self._deliver is not None:
            self._deliver(event)


def _passes(error: ProviderError) -> bool:
    """Whether a failure may be over in a moment. A refusal is not."""
    return error.reason in ("unavailable", "timeout")
