"""Which calls nobody looks after any more: a pure rule over a call's row and the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from apps.calls.entries import TRANSFERRED
from apps.calls.models import Call
from apps.calls.processes import Pulse
from apps.calls.wishes import SYNC

Status = Call.Status

# Nobody talks to a call that was answered, and no stream has come for so long. TwiML that speaks a
# sentence first, or waits for the verdict on a machine, takes its time.
NO_STREAM: Final = timedelta(seconds=30)
VERDICT: Final = timedelta(seconds=60)
# A phone that rings: Twilio rings no longer than ten minutes, and a caller waits for its answer.
RINGS: Final = timedelta(minutes=11)
INBOUND_RINGS: Final = timedelta(seconds=60)
# The line broke, and the caller has not come back.
RESUMES: Final = timedelta(seconds=20)
# Two humans talk: Twilio's own limit on a <Dial>. Meanwhile it is asked whether they still do.
TRANSFER: Final = timedelta(hours=4, minutes=1)
LOOK_EVERY: Final = timedelta(minutes=2)
# Nothing at Twilio lasts longer: a day in its queue, and an hour of margin.
LONGEST: Final = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Case:
    """A call that somebody must look after. since: when it became so.

    ends: it is to be hung up; otherwise Twilio is only asked whether it is over.
    """

    reason: str
    since: datetime
    ends: bool = True


def case_of(call: Call, *, now: datetime, pulse: Pulse | None) -> Case | None:
    """Return what is wrong with a call, or None. pulse: None where nobody can tell."""
    if call.is_over or call.status in (Status.SCHEDULED, Status.QUEUED):
        return None
    found = (rule(call, pulse) for rule in _RULES)
    return next((case for case in found if case is not None and case.since <= now), None)


def _capped(call: Call, pulse: Pulse | None) -> Case | None:
    longest = (call.posted_at or call.started_at) + LONGEST
    cap = longest if call.cap_at is None else call.cap_at
    if _is_transferred(call) and call.stream_ended_at is not None:
        cap = max(cap, call.stream_ended_at + TRANSFER)
    return Case("reaped_cap", cap)


def _bereft(call: Call, pulse: Pulse | None) -> Case | None:
    if pulse is None or call.gateway is None or call.stream_ended_at is not None:
        return None
    if call.status != Status.IN_PROGRESS or call.gateway in pulse.alive:
        return None
    begun = call.answered_at or call.started_at
    return Case("gateway_lost", pulse.silent.get(call.gateway, begun))


def _broken(call: Call, pulse: Pulse | None) -> Case | None:
    if call.stream_ended_at is None or call.status != Status.IN_PROGRESS:
        return None
    if _is_transferred(call):
        return Case(TRANSFERRED, call.stream_ended_at + LOOK_EVERY, ends=False)
    return Case(call.end_reason or "connection_lost", call.stream_ended_at + RESUMES)


def _unattended(call: Call, pulse: Pulse | None) -> Case | None:
    if call.stream_sid or call.status != Status.IN_PROGRESS:
        return None
    detection = call.asked.get("machine_detection") or {}
    patience = VERDICT if detection.get("mode") == SYNC else NO_STREAM
    return Case("reaped_no_stream", (call.answered_at or call.started_at) + patience)


def _ringing(call: Call, pulse: Pulse | None) -> Case | None:
    if call.status == Status.IN_PROGRESS:
        return None
    if call.direction == Call.Direction.INBOUND:
        return Case("reaped_no_stream", call.started_at + INBOUND_RINGS)
    if not call.call_sid:
        return None  # the dialler finds out what became of it
    # It may have waited in Twilio's queue for hours, so it is only asked about.
    return Case("unanswered", (call.posted_at or call.started_at) + RINGS, ends=False)


def _is_transferred(call: Call) -> bool:
    return call.end_reason == TRANSFERRED


_RULES: tuple[Callable[[Call, Pulse | None], Case | None], ...] = (
    _capped,
    _bereft,
    _broken,
    _unattended,
    _ringing,
)
