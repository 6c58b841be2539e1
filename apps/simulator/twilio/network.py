"""The phone network: queues outbound calls, takes inbound ones, and lets all of them live.

Sources: Twilio's "Call resource" and its article on calls per second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from apps.simulator.script import Press
from apps.simulator.twilio import detection
from apps.simulator.twilio.callbacks import StatusCallbacks
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.live import LiveCall, Source
from apps.simulator.twilio.people import Person
from apps.simulator.twilio.running import talk
from apps.simulator.twilio.state import Call, Resource, Times, World, sid_new
from apps.simulator.twilio.tempo import Habits, wall
from apps.simulator.twilio.webhooks import Webhooks
from apps.voice.ports import Clock

logger = logging.getLogger(__name__)
_TIMEOUT_S = 60.0
_KEY_S = 0.25
# Twilio adds parameters without notice; this one comes with every call to a number.
_INBOUND = {"CallToken": '{"parentCallInfoToken":"eyJhbGciOiJFUzI1NiJ9"}'}
_CALLBACK = ("StatusCallback", "StatusCallbackMethod")


class PhoneNetwork:
    """Implements ``asking.Network`` and ``live.Exchange``. people: who is at which number.

    clock: by which everything but the streams' audio passes; a fast one makes tests short.
    """

    def __init__(
        self, world: World, webhooks: Webhooks, callbacks: StatusCallbacks, clock: Clock
    ) -> None:
        self.world = world
        self.webhooks = webhooks
        self.callbacks = callbacks
        self.clock = clock
        self.habits = Habits()
        self.people: dict[str, Person] = {}
        self.live: dict[str, LiveCall] = {}
        self._free_s: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        world.now = wall(clock)

    # --- what REST asks -------------------------------------------------------------------------

    def placed(self, call: Call) -> None:
        """Queue an outbound call: one a second of an account leaves the queue."""
        now_s = self.clock.now()
        account = self.world.accounts[call.account_sid]
        at_s = max(now_s, self._free_s.get(account.sid, now_s))
        self._free_s[account.sid] = at_s + 1 / account.limits.calls_per_s
        call.facts["queue_ms"] = round((at_s - now_s) * 1_000)
        live = LiveCall(self, call, self.person_at(call.to))
        self.own(live.until_over(self._outbound(live, at_s - now_s)))

    def redirected(self, call: Call, form: Form) -> None:
        if call.sid in self.live:
            self.live[call.sid].redirects.put_nowait(Source.asked(form))

    def ended(self, call: Call, status: str) -> None:
        if call.sid in self.live:
            self.live[call.sid].end(status)
        else:
            self.world.call_move(call, status)

    # --- what people do -------------------------------------------------------------------------

    def dial_in(self, to: str, from_: str, person: Person | None = None) -> Call:
        """Have somebody call one of our numbers.

        Raises LookupError if it is nobody's, or a trunk's: no document is asked for then.
        """
        number = self.world.number_of(to)
        if number is None:
            raise LookupError(f"{to} is nobody's number")
        if number.settings.get("TrunkSid"):
            raise LookupError(f"{to} leads to a trunk")
        when = self.world.now()
        settings = self._voice(number)
        asked = [(name, settings[name]) for name in _CALLBACK if settings.get(name)]
        call = Call(
            sid_new("CA"),
            number.account_sid,
            to,
            from_,
            "inbound",
            Times(when, when),
            asked=Form(tuple(asked)),
            history=["ringing"],
        )
        call.facts["phone_number_sid"] = number.sid
        self.world.call_add(call)
        live = LiveCall(self, call, person or Person())
        source = Source(
            settings.get("VoiceUrl", ""),
            settings.get("VoiceMethod") or "POST",
            settings.get("VoiceFallbackUrl", ""),
            settings.get("VoiceFallbackMethod") or "POST",
        )
        self.own(live.until_over(talk(live, source, _INBOUND)))
        return call

    def hang_up(self, call: Call) -> None:
        """Have the person at a call's end put the phone down."""
        self.live[call.sid].party_hangs_up()

    def press(self, call: Call, digits: str) -> None:
        self.live[call.sid].script.order(Press(digits))

    def person_at(self, number: str) -> Person:
        return self.people.get(number, Person())

    def _voice(self, number: Resource) -> dict[str, str]:
        application = self.world.applications.get(number.settings.get("VoiceApplicationSid", ""))
        return number.settings if application is None else application.settings

    # --- its own --------------------------------------------------------------------------------

    def take(self, live: LiveCall) -> None:
        self.live[live.call.sid] = live

    def own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def aclose(self) -> None:
        """Break off whatever is going on."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("A simulated call failed", exc_info=task.exception())

    async def _outbound(self, live: LiveCall, queued_s: float) -> None:
        await live.sleep(queued_s)
        live.initiated()
        await live.sleep(self.habits.setup_s)
        asked = live.call.asked
        if not await live.ring(float(asked.get("Timeout") or _TIMEOUT_S)):
            return
        if asked.get("SendDigits"):
            live.hear("digits", asked.get("SendDigits"))
            await live.sleep(_KEY_S * len(asked.get("SendDigits")))
        found: dict[str, str] = {}
        if detection.is_wanted(live):
            if detection.is_async(live):
                self.own(live.until_over(detection.detect_beside(live)))
            else:
                found = await detection.detect(live)
        await talk(live, Source.asked(asked), found)
