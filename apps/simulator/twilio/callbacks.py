"""Status callbacks: what Twilio tells of a call, in which fields, and what may go wrong on the way.

Source: Twilio's "Call resource", statuscallback.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Literal

from apps.simulator.twilio.bodies import VERSION
from apps.simulator.twilio.calls import events_wanted
from apps.simulator.twilio.state import TERMINAL, Account, Call, World
from apps.simulator.twilio.webhooks import Hook, WebhookFailed, Webhooks

# By status: the event that a client subscribes to.
EVENT_OF = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
SIP_CODES = {
    "completed": "200",
    "busy": "486",
    "no-answer": "487",
    "canceled": "487",
    "failed": "404",
}


def standard_fields(call: Call, status: str = "") -> dict[str, str]:
    """Return what every request about a call carries."""
    fields = {
        "CallSid": call.sid,
        "AccountSid": call.account_sid,
        "From": call.from_,
        "To": call.to,
        "CallStatus": status or call.status,
        "ApiVersion": VERSION,
        "Direction": call.direction,
        **_party("Caller", call.from_),
        **_party("Called", call.to),
    }
    if call.parent_sid:
        fields["ParentCallSid"] = call.parent_sid
    return fields


def _party(name: str, number: str) -> dict[str, str]:
    """Say where a number is. Empty where Twilio does not know, and sent all the same."""
    known = number.startswith("+1")
    side = "From" if name == "Caller" else "To"
    place = {
        "City": "SAN FRANCISCO" if known else "",
        "State": "CA" if known else "",
        "Zip": "94105" if known else "",
        "Country": "US" if known else "",
    }
    both = {f"{prefix}{key}": value for prefix in (name, side) for key, value in place.items()}
    return {name: number, **both}


def progress_fields(call: Call, status: str, number: int, world: World) -> dict[str, str]:
    """Return the fields of a status callback."""
    fields = {
        **standard_fields(call, status),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(number),
        "Timestamp": format_datetime(world.now()),
    }
    if status in TERMINAL:
        fields["CallDuration"] = str(call.seconds)
        fields["Duration"] = str(-(-call.seconds // 60))
        fields["SipResponseCode"] = str(call.facts.get("sip_code") or SIP_CODES[status])
    if call.facts.get("answered_by"):
        fields["AnsweredBy"] = call.facts["answered_by"]
    return fields


@dataclass(slots=True)
class Spoil:
    """What happens to the callback of an event. swapped: it comes after the next one."""

    event: str
    kind: Literal["twice", "dropped", "swapped"]
    times: int = 1


class StatusCallbacks:
    """Sends a call's callbacks, one after the other in the order of their events."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self._world = world
        self._webhooks = webhooks
        self._spoils: list[Spoil] = []
        self._sequence: dict[str, int] = defaultdict(int)
        self._chains: dict[str, asyncio.Task[None]] = {}
        self._behind: dict[str, list[tuple[Hook, Mapping[str, str]]]] = defaultdict(list)

    def twice(self, event: str = "completed", times: int = 1) -> None:
        """Deliver that callback twice, with one idempotency token."""
        self._spoils.append(Spoil(event, "twice", times))

    def dropped(self, event: str = "completed", times: int = 1) -> None:
        """Never deliver that callback; its number in the sequence is used up."""
        self._spoils.append(Spoil(event, "dropped", times))

    def swapped(self, event: str = "ringing", times: int = 1) -> None:
        """Deliver that callback after the one that follows it; if none does, never."""
        self._spoils.append(Spoil(event, "swapped", times))

    def spoil(self, spoil: Spoil) -> None:
        self._spoils.append(spoil)

    def tell(self, call: Call, status: str) -> None:
        """Send the callback of a status, if the call's owner wants it. Returns at once."""
        event = EVENT_OF.get(status, "completed")
        url = call.asked.get("StatusCallback")
        if not url or event not in events_wanted(call.asked):
            return
        fields = progress_fields(call, status, self._sequence[call.sid], self._world)
        self._sequence[call.sid] += 1
        hook = Hook(url, call.asked.get("StatusCallbackMethod") or "POST")
        self.send(call.sid, self._world.accounts[call.account_sid], event, hook, fields)

    def send(
        self, row: str, account: Account, event: str, hook: Hook, fields: Mapping[str, str]
    ) -> None:
        """Send one callback behind those of its row that are under way. Returns at once."""
        behind = self._behind[row]
        deliveries = [(hook, fields), *behind]
        spoil = self._spoilt(event)
        if spoil == "swapped":
            behind.append((hook, fields))
            return
        behind.clear()
        if spoil == "dropped":
            del deliveries[0]
        elif spoil == "twice":
            deliveries.insert(1, deliveries[0])
        before = self._chains.get(row)
        self._webhooks.open += 1
        self._chains[row] = asyncio.create_task(self._deliver(account, deliveries, before))

    async def settle(self) -> None:
        """Wait until everything sent so far was answered or given up."""
        await asyncio.gather(*self._chains.values(), return_exceptions=True)

    async def aclose(self) -> None:
        for task in self._chains.values():
            task.cancel()
        await self.settle()

    async def _deliver(
        self,
        account: Account,
        deliveries: list[tuple[Hook, Mapping[str, str]]],
        before: asyncio.Task[None] | None,
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            for hook, fields in deliveries:
                try:
                    await self._webhooks.ask(account, hook, fields)
                except WebhookFailed as failed:
                    self._world.alert(failed.code, failed.text)
        finally:
            self._webhooks.open -= 1

    def _spoilt(self, event: str) -> str:
        for spoil in self._spoils:
            if spoil.event in ("*", event):
                spoil.times -= 1
                if spoil.times <= 0:
                    self._spoils.remove(spoil)
                return spoil.kind
        return ""
