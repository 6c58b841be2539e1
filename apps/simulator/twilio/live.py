"""A call that lives: it rings, is answered, takes orders and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from apps.simulator.record import CallRecord
from apps.simulator.twilio.callbacks import StatusCallbacks
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.people import REFUSALS, Heard, LiveScript, Person
from apps.simulator.twilio.state import Account, Call, World
from apps.simulator.twilio.tempo import Habits, sleep
from apps.simulator.twilio.webhooks import Webhooks
from apps.voice import g711
from apps.voice.ports import Clock, Timer


class Exchange(Protocol):
    """What a call needs of the network that it lives in."""

    world: World
    webhooks: Webhooks
    callbacks: StatusCallbacks
    clock: Clock
    habits: Habits

    def person_at(self, number: str) -> Person: ...

    def take(self, live: LiveCall) -> None:
        """Know of it by its SID."""

    def own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the calls until it ends or the network does."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from: ``twiml`` itself, or a URL and what to ask if that fails.

    base: what relative URLs in it are relative to.
    """

    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    twiml: str = ""

    @classmethod
    def asked(cls, form: Form) -> Source:
        """Read it from a create or an update. ``Url`` wins."""
        url = form.get("Url")
        return cls(
            url,
            form.get("Method") or "POST",
            form.get("FallbackUrl"),
            form.get("FallbackMethod") or "POST",
            "" if url else form.get("Twiml"),
        )

    def join(self, url: str) -> str:
        """Make a URL of the document absolute. Twilio resolves it against the document's own."""
        return urljoin(self.url, url) if self.url else url


class HangUpNow(Exception):
    """The document has the call hung up."""


class LiveCall:
    """One leg, and the person at its end.

    over: done when it has ended; the status. heard: what the line carried. streams: what came of
    each stream. Whatever ends a call goes by ``end``: the first to do so did.
    """

    def __init__(self, exchange: Exchange, call: Call, person: Person) -> None:
        self.exchange = exchange
        self.call = call
        self.person = person
        self.script = LiveScript(person.script)
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard: list[Heard] = []
        self.streams: list[tuple[float, CallRecord]] = []
        self.redirects: asyncio.Queue[Source] = asyncio.Queue()
        self._timers: list[Timer] = []
        self._began_s = exchange.clock.now()
        exchange.take(self)

    @property
    def account(self) -> Account:
        return self.exchange.world.accounts[self.call.account_sid]

    @property
    def answered(self) -> bool:
        return self.call.status == "in-progress"

    def elapsed_s(self) -> float:
        return self.exchange.clock.now() - self._began_s

    def hear(self, kind: str, what: str = "") -> None:
        self.heard.append(Heard(self.elapsed_s(), kind, what))
        self.exchange.world.tell("heard", {"sid": self.call.sid, "sound": kind, "what": what})

    async def sleep(self, seconds: float) -> None:
        await sleep(self.exchange.clock, seconds)

    # --- statuses -------------------------------------------------------------------------------

    def move(self, status: str) -> None:
        """Take on a status, and tell of it."""
        self.exchange.world.call_move(self.call, status)
        self.exchange.callbacks.tell(self.call, status)

    def initiated(self) -> None:
        self.exchange.callbacks.tell(self.call, "initiated")

    async def ring(self, timeout_s: float) -> bool:
        """Let it ring until somebody answers, refuses or ``timeout_s`` have passed."""
        person = self.person
        refusal = REFUSALS.get(person.temper)
        if refusal is None or person.temper == "rejects":
            self.move("ringing")
        waits = timeout_s if person.temper == "silent" else min(person.after_s, timeout_s)
        await self.sleep(waits)
        if refusal is not None and person.after_s <= timeout_s:
            self.end(refusal[0], sip_code=refusal[1])
            return False
        if person.temper == "silent" or person.after_s > timeout_s:
            self.end("no-answer", sip_code=487)
            return False
        self.answer()
        return True

    def answer(self) -> None:
        """Be connected. From here on the person may hang up, and the time limit runs."""
        if self.call.status == "in-progress" or self.call.ended:
            return
        self.move("in-progress")
        limit_s = float(self.call.asked.get("TimeLimit") or self.exchange.habits.time_limit_s)
        if self.account.kind == "Trial":
            limit_s = min(limit_s, 600.0)
        self.after(limit_s, lambda: self.end("completed"))
        if self.person.hang_up_after_s != float("inf"):
            self.after(self.person.hang_up_after_s, self.party_hangs_up)

    def party_hangs_up(self) -> None:
        """The person puts the phone down."""
        self.end("completed" if self.answered else "no-answer")

    def end(self, status: str, *, sip_code: int | None = None) -> None:
        """End the call. The status is told at once; what still runs is stopped behind it."""
        if self.over.done():
            return
        if sip_code is not None:
            self.call.facts["sip_code"] = sip_code
        self.over.set_result(status)
        for timer in self._timers:
            timer.cancel()
        self.move(status)

    def after(self, seconds: float, act: Any) -> None:
        clock = self.exchange.clock
        self._timers.append(clock.call_at(clock.now() + seconds, act))

    async def until_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what the call does; stop it when the call ends. A fault of ours ends it too."""
        task = asyncio.ensure_future(work)
        try:
            ends: set[asyncio.Future[Any]] = {task, self.over}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and task.exception() is not None:
            self.end("failed")
            task.result()


def is_absolute(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https")


def tracks(live: LiveCall) -> tuple[bytes, bytes]:
    """Return what the person said and what they heard in streams: mu-law from the call's start."""
    caller, bot = bytearray(), bytearray()
    for at_s, record in live.streams:
        at = round(at_s * g711.SAMPLE_RATE)
        for track, piece in ((caller, record.caller), (bot, record.bot)):
            track += g711.SILENCE * max(0, at - len(track))
            track[at : at + len(piece)] = piece
    return bytes(caller), bytes(bot)
