"""Hangs up and closes the calls that nobody looks after any more. No call is left open.

A call is claimed by moving its ``reap_at``, which is a lease as well; Twilio is asked with no
transaction open; then the row is locked, looked at once more, and closed. Whatever two reapers do
at once, or twice, comes to the same: a hang-up of what is over is a success.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from prometheus_client import Counter

from apps.accounts.models import TwilioConnection
from apps.accounts.twilio import ask
from apps.calls.endings import call_close
from apps.calls.lookups import call_take, connection_of
from apps.calls.models import Call, CallEvent
from apps.calls.processes import LOST_AFTER, Pulse, pulse_take
from apps.calls.reaping_rules import LOOK_EVERY, Case, case_of
from apps.telephony import rest
from apps.telephony.rest import TwilioError

logger = logging.getLogger(__name__)

REAPED = Counter("botsconfig_calls_reaped", "Calls that nobody looked after", ["reason"])

AT_ONCE = 64
# Asking Twilio twice takes half a minute at the most.
LEASE = timedelta(seconds=60)
# A Twilio that cannot be reached is asked again after as long as it has been so, within these.
AGAIN = (timedelta(seconds=5), timedelta(minutes=10))
# Then the call is closed without Twilio's word.
GIVE_UP = timedelta(hours=1)

Each = Callable[[Callable[[Call], bool], list[Call]], Iterable[bool]]


class Vigil:
    """How long this process has been seeing the gateways' beats.

    Its word counts after it has watched for as long as a gateway may be silent: before that, or
    after the database was away, every gateway looks dead, and every call would be hung up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._last = 0.0

    def watch(self, look: Callable[[], Pulse]) -> Pulse | None:
        """Look; return what was seen, or None as long as that proves nothing."""
        patience = LOST_AFTER.total_seconds()
        if self._clock() - self._last > patience:
            self._since = None
        try:
            pulse = look()
        except Exception:
            self._since = None
            raise
        self._last = self._clock()
        self._since = self._last if self._since is None else self._since
        # Half as long again: a gateway that lost the database too needs a moment to be back.
        return pulse if self._last - self._since >= 1.5 * patience else None


_vigil = Vigil()


def calls_reap(
    *, now: datetime | None = None, vigil: Vigil | None = None, each: Each | None = None
) -> int:
    """Look after every open call that nobody else does; returns how many were closed.

    each: runs the work, which asks Twilio, for every call; by default one after the other.
    """
    pulse = (vigil or _vigil).watch(lambda: pulse_take(now=now))
    now = now or timezone.now()
    cases = _cases(now, pulse)
    mine = [call for call, case in cases if _claim(call, case, now)]
    reasons = {call.pk: case for call, case in cases}

    def work(call: Call) -> bool:
        try:
            return _reap(call, reasons[call.pk], now, pulse)
        except Exception:  # one call's fault must not hold up the others
            logger.exception("A call could not be reaped", extra={"call": str(call.pk)})
            return False

    return sum((each or _one_by_one)(work, mine))


def _one_by_one(work: Callable[[Call], bool], calls: list[Call]) -> Iterable[bool]:
    return [work(call) for call in calls]


def _cases(now: datetime, pulse: Pulse | None) -> list[tuple[Call, Case]]:
    """Return what there is to do, oldest calls first."""
    waiting = Call.objects.open().exclude(status__in=(Call.Status.SCHEDULED, Call.Status.QUEUED))
    due = waiting.filter(Q(reap_at=None) | Q(reap_at__lte=now)).order_by("started_at")
    found = ((call, case_of(call, now=now, pulse=pulse)) for call in due.iterator())
    cases = [(call, case) for call, case in found if case is not None]
    return cases[:AT_ONCE]


def _claim(call: Call, case: Case, now: datetime) -> bool:
    """Take a call, unless another worker has. Whoever closes it from now on gives our reason."""
    changes: dict[str, Any] = {"reap_at": now + LEASE}
    if case.ends:
        changes["end_reason"] = case.reason
    as_seen = Call.objects.filter(
        pk=call.pk, reap_at=call.reap_at, status=call.status, stream_sid=call.stream_sid
    )
    return bool(as_seen.update(**changes))


def _reap(call: Call, case: Case, now: datetime, pulse: Pulse | None) -> bool:
    connection = connection_of(call)
    if connection is None or not call.call_sid:
        return _close(call, case, now, pulse) if case.ends else _later(call, now + LOOK_EVERY)
    try:
        found = _look(connection, call)
        if found is not None and not _take(call, found, now):
            if not case.ends:
                return _later(call, now + LOOK_EVERY)
            if not _is_still(call, case, now, pulse):
                return _later(call, now)
            _hang_up(connection, call)
    except TwilioError as error:
        return _again(call, case, now, pulse, error)
    return _close(call, case, now, pulse, asked=True)


def _look(connection: TwilioConnection, call: Call) -> Mapping[str, Any] | None:
    """Ask Twilio about a call; None if it knows none."""
    try:
        return ask(connection, rest.call_get(connection.account_sid, call.call_sid))
    except TwilioError as error:
        if error.is_gone:
            return None
        raise


def _hang_up(connection: TwilioConnection, call: Call) -> None:
    try:
        ask(connection, rest.call_hang_up(connection.account_sid, call.call_sid))
    except TwilioError as error:
        if not error.is_gone:
            raise


def _take(call: Call, found: Mapping[str, Any], now: datetime) -> bool:
    """Write down what Twilio shows of a call; returns whether it is over."""
    with transaction.atomic():
        row = Call.objects.select_for_update().get(pk=call.pk)
        call_take(row, found, now=now)
    return row.is_over


def _is_still(call: Call, case: Case, now: datetime, pulse: Pulse | None) -> bool:
    """Whether nothing has changed while Twilio was asked: the caller may be back."""
    fresh = Call.objects.get(pk=call.pk)
    found = case_of(fresh, now=now, pulse=pulse)
    return found is not None and found.ends and fresh.stream_sid == call.stream_sid


def _close(
    call: Call, case: Case, now: datetime, pulse: Pulse | None, *, asked: bool = False
) -> bool:
    """Close a call, if it is still ours to close. asked: Twilio knows that it is over."""
    with transaction.atomic():
        row = Call.objects.select_for_update().get(pk=call.pk)
        if row.is_over:
            return True
        if row.stream_sid != call.stream_sid or case_of(row, now=now, pulse=pulse) is None:
            return False
        answered = row.status == Call.Status.IN_PROGRESS
        status = Call.Status.COMPLETED if answered else Call.Status.CANCELED
        data = {"reason": case.reason, "asked_twilio": asked}
        CallEvent.objects.create(call=row, at=now, kind="reaped", data=data)
        call_close(row, status=status, reason=case.reason, at=now)
    REAPED.labels(case.reason).inc()
    return True


def _again(call: Call, case: Case, now: datetime, pulse: Pulse | None, error: TwilioError) -> bool:
    """Twilio did not do it: try again later, and in the end do without its word."""
    overdue = now - case.since
    logger.warning("Twilio did not end a call", extra={"reason": error.reason})
    if case.ends and overdue > GIVE_UP:
        return _close(call, case, now, pulse)
    return _later(call, now + min(max(overdue, AGAIN[0]), AGAIN[1]))


def _later(call: Call, at: datetime) -> bool:
    Call.objects.filter(pk=call.pk).update(reap_at=at)
    return False
