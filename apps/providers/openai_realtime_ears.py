"""The caller's words: every utterance becomes an item of the conversation, and is transcribed."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.providers import failures
from apps.providers.openai_realtime_items import Item
from apps.providers.openai_realtime_wire import NAME, Event, error_of
from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import Final, Partial, ProviderError, TranscriptEvent, TranscriptionFailed

if TYPE_CHECKING:
    from apps.providers.openai_realtime_session import Session

_PRE_ROLL = 800 * BYTES_PER_MS
# Less than this the vendor refuses; there are no words in it.
_SHORTEST = 100 * BYTES_PER_MS
# Kept for the case that the connection breaks; what is older than this is not sent again.
_LONGEST = 120_000 * BYTES_PER_MS
_PIECE = 4_000 * BYTES_PER_MS


@dataclass(slots=True)
class Utterance:
    """What the caller says in one go. audio: with the pre-roll, until its words are known."""

    number: int
    audio: bytearray = field(repr=False)
    item_id: str = ""
    text: str = field(default="", repr=False)
    result: TranscriptEvent | None = None
    timer: asyncio.TimerHandle | None = None


class Ears:
    """Implements ``voice.ports.Transcriber``. Finals are delivered in the utterances' order."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._deliver: Callable[[TranscriptEvent], None] | None = None
        self._recent = bytearray()
        self._open: Utterance | None = None
        self._waiting: deque[Utterance] = deque()  # finished; their words are on the way

    async def open(self, deliver: Callable[[TranscriptEvent], None]) -> None:
        self._deliver = deliver
        await self._session.connected()

    def hear(self, audio: bytes) -> None:
        if self._open is None:
            self._recent += audio
            del self._recent[:-_PRE_ROLL]
            return
        self._open.audio += audio
        del self._open.audio[:-_LONGEST]
        self._append(audio)

    def begin(self, utterance: int) -> None:
        if self._deliver is None:
            return
        self._session.answers.forget_guess()
        if self._open is not None:
            self._open.number = utterance
            return
        self._open = Utterance(utterance, self._recent)
        self._recent = bytearray()
        self._append(self._open.audio)

    def pause(self) -> None:
        """The vendor reads an utterance when it is committed, not before."""

    def resume(self) -> None:
        pass

    def finish(self) -> None:
        utterance, self._open = self._open, None
        if utterance is None:
            return
        self._waiting.append(utterance)
        if len(utterance.audio) < _SHORTEST:
            self._session.send({"type": "input_audio_buffer.clear"})
            utterance.result = Final(utterance.number, "")
            asyncio.get_running_loop().call_soon(self._tell)
            return
        loop = asyncio.get_running_loop()
        utterance.timer = loop.call_later(self._session.patience_s, self._expired, utterance)
        if self._session.connecting():
            return  # it is sent whole when there is a connection
        self._commit(utterance)
        self._session.answers.guess_now()

    async def aclose(self) -> None:
        self._deliver = None
        self._open = None
        for utterance in self._waiting:
            _stop(utterance)
        self._waiting.clear()

    # --- for the session ------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether the caller speaks, or waits for an answer to what was said."""
        return self._open is not None or any(u.result is None for u in self._waiting)

    def replay(self) -> None:
        """The connection is new: say everything again that nobody has read yet."""
        waiting = [utterance for utterance in self._waiting if utterance.result is None]
        for utterance in waiting:
            utterance.item_id = utterance.text = ""
            self._append(utterance.audio)
            self._commit(utterance)
        if self._open is not None:
            self._append(self._open.audio)
        elif waiting:
            self._session.answers.guess_now()

    def fail(self, error: ProviderError) -> None:
        """There is no connection to be had."""
        for utterance in list(self._waiting):
            self._failed(utterance, error)

    def committed(self, event: Event) -> None:
        fresh = (u for u in self._waiting if not u.item_id and u.result is None)
        utterance = next(fresh, None)
        self._session.items.add(Item(event["item_id"], "user", text=None))
        if utterance is not None:
            utterance.item_id = event["item_id"]

    def refused(self, number: str, error: ProviderError) -> None:
        """The vendor does not take a commit."""
        for utterance in list(self._waiting):
            if str(utterance.number) == number:
                self._failed(utterance, error)

    def partial(self, event: Event) -> None:
        utterance = self._of(event)
        if utterance is not None and event.get("delta"):
            utterance.text += event["delta"]
            if self._deliver is not None:
                self._deliver(Partial(utterance.number, utterance.text.strip()))

    def completed(self, event: Event) -> None:
        utterance, text = self._of(event), event["transcript"].strip()
        item = self._session.items.get(event["item_id"])
        if item is not None:
            item.text = text
        if utterance is None:
            return
        if not text:
            self._nothing_said(utterance)
        self._finished(utterance, Final(utterance.number, text))

    def failed(self, event: Event) -> None:
        utterance = self._of(event)
        if utterance is not None:
            self._failed(utterance, error_of(event.get("error")))

    # --- inside ---------------------------------------------------------------------------------

    def _of(self, event: Event) -> Utterance | None:
        item_id = event["item_id"]
        return next((u for u in self._waiting if u.item_id == item_id), None)

    def _append(self, audio: bytes | bytearray) -> None:
        for start in range(0, len(audio), _PIECE):
            sound = b64encode(audio[start : start + _PIECE])
            self._session.send_raw(b'{"type":"input_audio_buffer.append","audio":"%b"}' % sound)

    def _commit(self, utterance: Utterance) -> None:
        event = {"type": "input_audio_buffer.commit", "event_id": f"commit-{utterance.number}"}
        self._session.send(event)

    def _nothing_said(self, utterance: Utterance) -> None:
        """Nothing of this utterance stays, nor of an answer to it."""
        if utterance is self._waiting[-1] and self._open is None:
            self._session.answers.forget_guess()
        self._session.answers.delete(utterance.item_id)

    def _expired(self, utterance: Utterance) -> None:
        self._failed(utterance, failures.silent(NAME))
        self._session.distrust(failures.silent(NAME))

    def _failed(self, utterance: Utterance, error: ProviderError) -> None:
        if utterance.result is None:
            self._nothing_said(utterance)
            self._finished(utterance, TranscriptionFailed(utterance.number, error))

    def _finished(self, utterance: Utterance, result: TranscriptEvent) -> None:
        _stop(utterance)
        utterance.result = result
        self._tell()

    def _tell(self) -> None:
        """Deliver in order: a caller's second sentence must not stand before the first."""
        while self._waiting and (result := self._waiting[0].result) is not None:
            self._waiting.popleft()
            if self._deliver is not None:
                self._deliver(result)


def _stop(utterance: Utterance) -> None:
    if utterance.timer is not None:
        utterance.timer.cancel()
