"""What all calls of a process share: the detector, the journal, the gate and the supervisor."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from pathlib import Path

from django.conf import settings

from apps.bots.selectors import Admission
from apps.calls import ringing
from apps.calls.admission import Entrance
from apps.calls.costs import Ledger
from apps.calls.journal import JournalWriter
from apps.calls.recordings.spool import Label
from apps.calls.ringing import Ringing
from apps.core import health
from apps.core.threads import shared_close
from apps.gateway.admission import Admitted, Gate
from apps.gateway.building import (
    ProviderMissing,
    Providers,
    going_on,
    is_recorded,
    providers_of,
    settings_of,
)
from apps.gateway.controlling import ControlDesk
from apps.gateway.heartbeat import Heartbeat
from apps.gateway.line import StreamLine
from apps.gateway.metrics import CALLS_LIVE, entries_count, lag_measure
from apps.gateway.recordings import RecordingDesk, StreamRecording
from apps.gateway.relaying import Relays
from apps.gateway.session import CallJournal, Session, journal_of
from apps.gateway.toolbox import toolbox_of
from apps.gateway.transferring import CallTransferrer
from apps.gateway.unavailable import unavailable
from apps.gateway.warmth import Prepared, Reception
from apps.gateway.watching import WatchDesk
from apps.providers import connections
from apps.providers.silero import BatchedSilero
from apps.telephony.streams import Started
from apps.voice import supervision
from apps.voice.assembly import Surroundings, assemble
from apps.voice.clock import LoopClock
from apps.voice.ports import ProviderError
from apps.voice.production import Services
from apps.voice.turns import Heard

logger = logging.getLogger(__name__)

# Twilio has its answer before the call is prepared; its stream comes some hundred ms later.
ANSWER_FIRST_S = 0.02


class Gateway:
    """One a process and event loop. Owns the supervisor's task and every shared part."""

    def __init__(self) -> None:
        self.clock = LoopClock(asyncio.get_running_loop())
        self.gate = Gate()
        self.journal = JournalWriter(watch=entries_count)
        self.recordings = RecordingDesk(Path(settings.RECORDINGS_SPOOL))
        self.detector = BatchedSilero()
        self.sessions: dict[uuid.UUID, Session] = {}
        self.draining = False
        self.id = uuid.uuid4()
        self.heartbeat = Heartbeat(self.id)
        self.reception = Reception(self.gate, _build)
        loop = asyncio.get_running_loop()

        def rings(call: Ringing) -> None:
            loop.call_soon_threadsafe(loop.call_later, ANSWER_FIRST_S, self.reception.expect, call)

        self._deaf = ringing.listen(rings)
        self._watching = WatchDesk(self.clock)
        self._control = ControlDesk(self.id, self.sessions.get, more=self._watching.acts)
        self._watchers = [
            asyncio.create_task(self._supervise(), name="supervisor"),
            asyncio.create_task(lag_measure(), name="lag"),
            asyncio.create_task(self.recordings.run(), name="recordings"),
        ]

    def open(self, admitted: Admitted, started: Started, line: StreamLine) -> Session:
        """Start the conversation of an admitted stream.

        A bot whose providers cannot run here says so with a stock sentence, and hangs up.
        """
        entrance, admission = admitted.entrance, admitted.entrance.admission
        journal = journal_of(self.journal, entrance, started)
        journal.began_now(entrance, started, self.id)
        prepared = self.reception.claim(started.call_sid, admission)
        prepared = prepared or _prepared(admission, journal)
        given = prepared or Prepared.now(unavailable())
        parts = given.providers
        if prepared is None:  # what stands in for them charges nothing
            journal = replace(journal, ledger=Ledger())
        recording = self._recording(entrance, journal)
        talk = settings_of(admission.document, recorded=recording is not None)
        talk = going_on(talk, entrance.past)
        targets = admission.document.get("transfers") or {}
        transferrer = CallTransferrer(entrance.call_id, targets)
        toolbox = toolbox_of(
            admission,
            talk.tools,
            summarise=transferrer.summarise if admitted.can_transfer else None,
        )
        heard = line if recording is None else recording.line(line)
        conversation = assemble(
            talk,
            around=Surroundings(self.clock, self.detector, heard, journal, transferrer),
            services=Services(parts.mind, parts.voice, toolbox, given.warmth.ready),
            transcriber=parts.ears,
            clips=admitted.clips,
        )
        Relays(admission.document, conversation, journal).follow(parts)
        session = Session(
            conversation,
            line=line,
            prepared=given,
            journal=journal,
            transferrer=transferrer,
            recording=recording,
        )
        session.open(Heard.GIVE_UP if prepared is None else None)
        return session

    def _recording(self, entrance: Entrance, journal: CallJournal) -> StreamRecording | None:
        """Begin to record the stream, if it is to be."""
        admission = entrance.admission
        if not is_recorded(admission.document, entrance.record):
            return None
        label = Label(
            uuid.UUID(admission.account_id), journal.call_id, journal.stream_sid, journal.began
        )
        return StreamRecording(label, desk=self.recordings, journal=self.journal, clock=self.clock)

    async def register(self, session: Session) -> None:
        """Make this stream the call's own: the newest wins, an older one is closed."""
        before = self.sessions.pop(session.call_id, None)
        self.sessions[session.call_id] = session
        CALLS_LIVE.set(len(self.sessions))
        if before is not None:
            before.line.hang_up("replaced")
            await before.aclose("replaced")

    def forget(self, session: Session) -> None:
        if self.sessions.get(session.call_id) is session:
            del self.sessions[session.call_id]
            CALLS_LIVE.set(len(self.sessions))

    async def aclose(self) -> None:
        """End every call, then write down what is left to write."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._deaf()
        await self._control.aclose()
        await self.reception.aclose()
        for session in list(self.sessions.values()):
            await session.aclose("shutdown")
        self.sessions.clear()
        await self._watching.aclose()
        await self.detector.aclose()
        await self.journal.aclose()
        # After the last word about its calls: nobody is to miss a process that has ended them.
        await self.heartbeat.aclose()
        await self.recordings.aclose()
        await self.gate.aclose()
        await connections.aclose()

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(supervision.EVERY_S)
            self._look_after_all()

    def _look_after_all(self) -> None:
        # Not in the loop above: its frame would hold the last call until there is another.
        for session in list(self.sessions.values()):
            self._look_after(session)

    def _look_after(self, session: Session) -> None:
        try:
            if session.is_stuck():
                session.abandon("line_stuck")
            else:
                supervision.look_after(session.conversation)
        except Exception:  # one call's fault must not leave the others unwatched
            logger.exception("A call could not be looked after")
            session.line.hang_up("internal_error")


def _build(admission: Admission) -> Providers:
    return providers_of(admission, test_providers=settings.ENABLE_TEST_PROVIDERS)


def _prepared(admission: Admission, journal: CallJournal) -> Prepared | None:
    try:
        return Prepared.now(_build(admission))
    except (ProviderMissing, ProviderError) as missing:
        logger.error("A call's provider is missing", extra={"missing": str(missing)})
        journal.event("provider.missing", {"provider": str(missing)})
        return None


_gateways: dict[asyncio.AbstractEventLoop, Gateway] = {}


def gateway() -> Gateway:
    """Return the running loop's gateway; the first call starts it."""
    loop = asyncio.get_running_loop()
    found = _gateways.get(loop)
    if found is None:
        found = _gateways[loop] = Gateway()
        health.register("draining", lambda: "draining" if found.draining else "")
    return found


async def gateway_close() -> None:
    """End the running loop's gateway, if it was ever started."""
    found = _gateways.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.aclose()
    await shared_close()
