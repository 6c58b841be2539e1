"""One admitted stream: its conversation, its tasks, and what the journal learns of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.calls.admission import Entrance
from apps.calls.costs import Ledger, tariffs_of, turn_usage
from apps.calls.entries import PAUSED, CallBegan, CallFinished, Happened, TurnTaken
from apps.calls.journal import JournalWriter
from apps.gateway.gaps import Gaps
from apps.gateway.line import StreamLine
from apps.gateway.recordings import StreamRecording
from apps.gateway.taps import Outlet, Tap
from apps.gateway.transferring import CallTransferrer
from apps.gateway.warmth import Prepared
from apps.telephony.streams import Dtmf, Mark, Media, Message, Started
from apps.voice.conversation import Conversation
from apps.voice.hearing import Failed
from apps.voice.orders import Order
from apps.voice.ports import ProviderError, TranscriptEvent, Turn, Used
from apps.voice.turns import Heard, Phase

logger = logging.getLogger(__name__)

# How long a peer may leave one message unread before the call is given up: Twilio reads at once.
STUCK_S = 10.0
# How long Twilio may take to leave the stream that it was asked to leave.
PAUSE_S = 15.0
# A call past its longest duration by so much is one that nobody looks after any more.
CAP_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class CallJournal:
    """Implements ``voice.ports.Journal`` for one stream of one call.

    ledger: what its slots are charged by. attempt: as in ``Entrance``. outlet: who else is told.
    """

    writer: JournalWriter
    call_id: uuid.UUID
    stream_sid: str
    began: datetime
    ledger: Ledger = field(default_factory=Ledger)
    attempt: int = 0
    outlet: Outlet = field(default_factory=Outlet)

    def turn(self, turn: Turn) -> None:
        if self.outlet.tap is not None:
            self.outlet.tap.turn(turn)
        values = asdict(turn)
        values.pop("used")
        values |= {**turn_usage(turn.used), "cost_usd": self.ledger.turn_cost(turn.used)}
        values["text_said"] = storable(values.pop("said"))
        values["text_heard"] = storable(values.pop("heard"))
        values["started_at"] = self.began + timedelta(seconds=values.pop("started_s"))
        values["ended_at"] = self.began + timedelta(seconds=values.pop("ended_s"))
        self.writer.record(TurnTaken(self.call_id, self.stream_sid, values))

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        if self.outlet.tap is not None:
            self.outlet.tap.happened("event", name=kind, data=dict(data))
        self.writer.record(Happened(self.call_id, datetime.now(UTC), kind, data))

    def began_now(self, entrance: Entrance, started: Started, gateway: uuid.UUID) -> None:
        admission = entrance.admission
        limit_s = float(admission.document["max_duration"])
        self.writer.record(
            CallBegan(
                call_id=self.call_id,
                account_id=admission.account_id,
                config_id=admission.config_id,
                version_id=admission.version_id,
                call_sid=started.call_sid,
                stream_sid=self.stream_sid,
                at=self.began,
                # Twilio is asked about what is Twilio's, whatever a page says that it is.
                account_sid="" if entrance.browser else started.account_sid,
                given={name: storable(text) for name, text in entrance.given.items()},
                attempt=entrance.attempt,
                gateway=gateway,
                cap_at=self.began + timedelta(seconds=limit_s + CAP_MARGIN_S),
            )
        )

    def finished(self, reason: str, *, failed: bool, used: Used) -> None:
        """used: by the whole stream, in turns or not."""
        costs = self.ledger.bills(self.stream_sid, used)
        self.writer.record(
            CallFinished(self.call_id, self.stream_sid, datetime.now(UTC), reason, failed, costs)
        )


def storable(text: str) -> str:
    """Return text that every database takes: PostgreSQL refuses NUL."""
    return text.replace("\x00", "")


def journal_of(writer: JournalWriter, entrance: Entrance, started: Started) -> CallJournal:
    """Open the journal of one stream."""
    return CallJournal(
        writer,
        entrance.call_id,
        started.stream_sid,
        datetime.now(UTC),
        Ledger(tariffs_of(entrance.admission.document)),
        entrance.attempt,
    )


class Session:
    """Runs a conversation over a stream. Whoever opened it awaits ``aclose``."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        line: StreamLine,
        prepared: Prepared,
        journal: CallJournal,
        transferrer: CallTransferrer | None = None,
        recording: StreamRecording | None = None,
    ) -> None:
        self.conversation = conversation
        self.line = line
        self._prepared = prepared
        self._journal = journal
        self._transferrer = transferrer
        self._recording = recording
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._pauses_until = -float("inf")
        self._gaps = Gaps(lambda missing: journal.event("audio.lost", {"messages": missing}))

    @property
    def call_id(self) -> uuid.UUID:
        return self._journal.call_id

    @property
    def attempt(self) -> int:
        """Which of the call's streams by a token of ours; 0: by a Bin."""
        return self._journal.attempt

    @property
    def stream_sid(self) -> str:
        return self._journal.stream_sid

    @property
    def tap(self) -> Tap | None:
        """By which the call is watched; None if nobody does."""
        return self._journal.outlet.tap

    def tell(self, tap: Tap | None) -> None:
        """Have the call watched, or by nobody any more."""
        self._journal.outlet.tap = self.line.tap = tap
        self.conversation.on_observed = tap.observed if tap is not None else _to_nobody

    def open(self, instead: Heard | None = None) -> None:
        """Start talking: nothing here waits for a provider or the database.

        instead: what has happened already, so that there is no use in a greeting.
        """
        self._tasks = [
            asyncio.create_task(self._write(), name="line"),
            asyncio.create_task(self._connect(), name="ears"),
        ]
        if instead is None:
            self.conversation.open()
        else:
            self.conversation.observe(instead)

    def hear(self, audio: bytes) -> None:
        """Take caller audio: mu-law 8 kHz, any length."""
        if audio:
            if self._journal.outlet.tap is not None:
                self._journal.outlet.tap.caller(audio)
            self.conversation.parts.hearing.frame(audio)

    def frame(self, text: str, audio: bytes) -> None:
        """Take a media message and the audio that is in it."""
        self._gaps.frame(text)
        if self._recording is not None and audio:
            self._recording.frame(text, audio)
        self.hear(audio)

    def take(self, message: Message) -> None:
        """Take one message of the stream."""
        match message:
            case Media(payload=audio, timestamp_ms=stamp_ms, chunk=chunk):
                self._gaps.numbered(chunk)
                if self._recording is not None:
                    self._recording.recorder.caller(audio, stamp_ms)
                self.hear(audio)
            case Mark(name=name):
                if self._recording is not None:
                    self._recording.recorder.echoed(name)
                self.conversation.parts.playout.echoed(name)
            case Dtmf():
                self._journal.event("dtmf", {})
            case _:
                pass

    def pause(self) -> str:
        """The call is about to leave this stream, and comes back in another. Returns why it
        cannot, or nothing."""
        if self.conversation.phase in _LEAVING or self.line.end_reason:
            return "ending"
        self._pauses_until = self.conversation.clock.now() + PAUSE_S
        return ""

    def unpause(self) -> None:
        """It does not leave after all."""
        self._pauses_until = -float("inf")

    def is_stuck(self) -> bool:
        return self.line.stuck_s() > STUCK_S

    def abandon(self, reason: str) -> None:
        """End the call without waiting for what the peer has not read."""
        self.line.hang_up(reason)
        self._tasks[0].cancel()

    async def written(self) -> None:
        """Wait until the bot's side has ended the call, or the socket has broken."""
        await asyncio.wait(self._tasks[:1])

    async def aclose(self, reason: str) -> None:
        """End the call whatever state it is in, and everything that runs for it."""
        if self._closed:
            return
        self._closed = True
        if self._is_transferred():
            # Twilio ends the stream when it has the call, often before it says so to us.
            reason = "transferred"
        elif self.conversation.clock.now() < self._pauses_until:
            reason = PAUSED
        reason = self.line.end_reason or reason
        self._gaps.close()
        self.conversation.observe(Heard.GONE)
        self.conversation.parts.playout.close()
        self.conversation.parts.hearing.close()
        if self._recording is not None:
            # A caller who was to be told and was not has not been recorded.
            self._recording.close(keep=not self.conversation.owes_consent)
        used = self.conversation.used()
        self._journal.finished(reason, failed=reason in FAILURES, used=used)
        if self.tap is not None:
            self.tap.ended(reason)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.conversation.parts.speaker.aclose()
        if self._transferrer is not None:
            await self._transferrer.aclose()
        await self._prepared.aclose()

    def hand_over(self, order: Order, terms: Mapping[str, Any]) -> str:
        """Put the call through on these terms. Returns why not, or nothing."""
        if self._transferrer is None:
            return "ending"
        self._transferrer.want(order.target, terms)
        return self.conversation.order(order)

    def _is_transferred(self) -> bool:
        left = self._transferrer is not None and self._transferrer.may_have_left
        return left or self.conversation.phase is Phase.TRANSFERRING

    async def _write(self) -> None:
        # The socket broke: the reading side is about to learn of it too, and ends the session.
        with contextlib.suppress(OSError, RuntimeError):
            await self.line.run()

    def _recognised(self, event: TranscriptEvent) -> None:
        if self.tap is not None:
            self.tap.recognised(event)
        self.conversation.parts.hearing.take(event)

    async def _connect(self) -> None:
        ears = self._prepared.providers.ears
        try:
            await self._prepared.warmth.ready(ears)
            await ears.open(self._recognised)
        except ProviderError as error:
            self.conversation.caller_reports(Failed(error))
        except Exception:  # the edge of a task
            logger.exception("The recogniser did not open")
            broken = ProviderError("stt", "did not open", reason="unavailable")
            self.conversation.caller_reports(Failed(broken))


def _to_nobody(_heard: Heard) -> None:
    """Nobody watches."""


_LEAVING = frozenset({Phase.HANDING_OVER, Phase.TRANSFERRING, Phase.CLOSING, Phase.ENDED})
FAILURES = frozenset({"provider_failure", "internal_error"})
