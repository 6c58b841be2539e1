"""Asks Twilio what became of a call, where nobody has told us.

An ``unknown`` call is one whose create may have been carried out. Its callbacks name it, and settle
it; where they fail to come it is looked for in Twilio's list. It is never dialled again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.accounts.models import Account, TwilioConnection
from apps.accounts.twilio import ask
from apps.calls.callback_effects import END_REASONS, call_move, moment_of
from apps.calls.endings import call_close
from apps.calls.lines import Clock
from apps.calls.models import Call
from apps.calls.posting import UNTOLD, call_fail
from apps.telephony import rest
from apps.telephony.progress import TERMINAL, moment, number, word
from apps.telephony.rest import TwilioError

LOOK_AGAIN = timedelta(seconds=15)
# A call that Twilio's list does not have by then was never placed: the list lags by seconds.
NEVER = timedelta(minutes=10)
# Several equal calls may leave one whose CallSid cannot be told. Twilio queues for a day at most.
GIVE_UP = timedelta(hours=24, minutes=30)
# What Twilio's clock may be ahead of ours, and how long a create may take to arrive there.
EARLY, LATE = timedelta(seconds=30), timedelta(seconds=60)
# How long after its beginning a call's facts are asked for.
STRANGERS = timedelta(hours=24)
STRANGER_AGAIN = timedelta(seconds=60)
# In Call.asked: Twilio was asked for the call's facts.
LOOKED_UP = "looked_up"
NEVER_SETTLED = "never_settled"
PAGE = "100"
BATCH = 50

Found = Mapping[str, Any]


# --- what Twilio shows of a call, written into its row --------------------------------------------


def call_take(row: Call, found: Found, *, now: datetime | None = None) -> None:
    """Write what Twilio's Call resource says into the row, which is locked; nothing goes backwards.

    Raises IntegrityError if the CallSid is another row's already.
    """
    now = now or timezone.now()
    row.call_sid = row.call_sid or str(found.get("sid") or "")
    row.twilio_account_sid = row.twilio_account_sid or str(found.get("account_sid") or "")
    row.answered_by = row.answered_by or word(str(found.get("answered_by") or ""), 32)
    row.retry_at = None
    status = str(found.get("status") or "")
    if row.twilio_status not in TERMINAL:
        row.twilio_status = word(status, 16) or row.twilio_status
    began = moment(str(found.get("start_time") or ""))
    if row.answered_at is None and (status == "in-progress" or (status == "completed" and began)):
        row.answered_at = moment_of(row, began, now)
    if status in TERMINAL and row.billed_s is None:
        row.billed_s = number(str(found.get("duration") or ""))
    call_move(row, status)
    row.save()
    if status in TERMINAL:
        ended = moment_of(row, moment(str(found.get("end_time") or "")), now)
        call_close(row, status=status, reason=row.end_reason or END_REASONS[status], at=ended)


# --- calls whose create may have been carried out -------------------------------------------------


def unknown_look_up(*, clock: Clock = timezone.now) -> int:
    """Look for calls that may have been placed; returns how many were settled.

    One is settled only if it is beyond doubt which call it is: one that nobody else can be.
    """
    now = clock()
    waiting = Call.objects.open().filter(UNTOLD, status=Call.Status.UNKNOWN)
    due = list(waiting.filter(retry_at__lte=now).order_by("retry_at")[:BATCH])
    return sum(_look(row, clock) for row in due)


def _look(call: Call, clock: Clock) -> bool:
    now = clock()
    mine = Call.objects.filter(UNTOLD, pk=call.pk, status=Call.Status.UNKNOWN)
    # A lease as well: another worker that looks now has not this row.
    if not mine.filter(retry_at=call.retry_at).update(retry_at=now + LOOK_AGAIN):
        return False
    assert call.posted_at is not None
    if call.connection is None:
        return _unplaced(mine, "no_connection", now) if now - call.posted_at > NEVER else False
    try:
        listed = _listed(call.connection, call)
    except TwilioError:
        return False  # the lease is when to try again
    candidates = _candidates(call, listed)
    if not candidates and now - call.posted_at > NEVER:
        return _unplaced(mine, "never_placed", now)
    if len(candidates) == 1 and not _rivals(call):
        return _settled(mine, candidates[0])
    if now - call.posted_at > GIVE_UP:
        return _unplaced(mine, NEVER_SETTLED, now)
    return False


def _listed(connection: TwilioConnection, call: Call) -> Sequence[Found]:
    """List the calls from and to these numbers, newest first.

    Not by StartTime: a call that waits in Twilio's queue has none.
    """
    query = {"To": call.to_number, "From": call.from_number, "PageSize": PAGE}
    answer = ask(connection, rest.calls_list(connection.account_sid, query))
    listed: Sequence[Found] = answer.get("calls") or []
    return listed


def _candidates(call: Call, listed: Iterable[Found]) -> list[Found]:
    """Return what our create may have made: of its time, and no call that we know."""
    assert call.posted_at is not None
    first, last = call.posted_at - EARLY, call.posted_at + LATE
    fitting = {
        str(found["sid"]): found
        for found in listed
        if found.get("direction") == "outbound-api"
        and first <= (moment(str(found.get("date_created") or "")) or first) <= last
    }
    known = Call.objects.filter(account_id=call.account_id, call_sid__in=fitting)
    for sid in known.values_list("call_sid", flat=True):
        del fitting[sid]
    return list(fitting.values())


def _rivals(call: Call) -> bool:
    """Whether another call without a CallSid could be the same one at Twilio's."""
    assert call.posted_at is not None
    reach = EARLY + LATE
    others = Call.objects.filter(
        account_id=call.account_id,
        to_number=call.to_number,
        from_number=call.from_number,
        call_sid="",
        posted_at__range=(call.posted_at - reach, call.posted_at + reach),
    )
    # One that was given up may be it as much as before.
    undecided = ~Q(status__in=Call.TERMINAL) | Q(end_reason=NEVER_SETTLED)
    return others.filter(undecided).exclude(pk=call.pk).exists()


def _settled(mine: Any, found: Found) -> bool:
    try:
        with transaction.atomic():
            row = mine.select_for_update().first()
            if row is None:
                return False
            call_take(row, found)
    except IntegrityError:
        return False  # somebody else's since we looked
    return True


def _unplaced(mine: Any, reason: str, now: datetime) -> bool:
    with transaction.atomic():
        row = mine.select_for_update().first()
        if row is None:
            return False
        call_fail(row, reason, _WHY[reason], now=now)
    return True


_WHY: Final[Mapping[str, str]] = {
    "never_placed": "Twilio has no such call; it did not take the request.",
    NEVER_SETTLED: "Several equal calls were begun at once; which one this is cannot be told.",
    "no_connection": "The Twilio connection that dialled it is gone, so nobody can be asked.",
}


# --- calls that came without their facts ----------------------------------------------------------


def strangers_look_up(*, clock: Clock = timezone.now) -> int:
    """Ask about calls that a Bin's token let in: which way they went, from whom, to whom.

    Somebody dialled them with Twilio's own API, or called a number that has a Bin. Each is asked
    about until Twilio has answered once. Returns how many were.
    """
    now = clock()
    ours = TwilioConnection.objects.filter(
        account_id=OuterRef("account_id"), account_sid=OuterRef("twilio_account_sid")
    )
    bare = (
        Call.objects.filter(from_number="", to_number="", started_at__gt=now - STRANGERS)
        .exclude(call_sid="")
        .exclude(asked__has_key=LOOKED_UP)
        .filter(Q(retry_at=None) | Q(retry_at__lte=now), Exists(ours))
        .order_by("-started_at")
    )
    return sum(_stranger_look(call, clock) for call in bare[:BATCH])


def _stranger_look(call: Call, clock: Clock) -> bool:
    lease = {"retry_at": clock() + STRANGER_AGAIN}
    if not Call.objects.filter(pk=call.pk, retry_at=call.retry_at).update(**lease):
        return False
    connection = connection_of(call)
    if connection is None:
        return False
    try:
        found = ask(connection, rest.call_get(connection.account_sid, call.call_sid))
    except TwilioError as refused:
        if not refused.is_gone:
            return False
        found = {}
    with transaction.atomic():
        _facts_take(Call.objects.select_for_update().get(pk=call.pk), connection, found)
    return True


def _facts_take(row: Call, connection: TwilioConnection, found: Found) -> None:
    if str(found.get("direction", "")).startswith("outbound"):
        row.direction = Call.Direction.OUTBOUND
    row.from_number = row.from_number or str(found.get("from") or "")[:200]
    row.to_number = row.to_number or str(found.get("to") or "")[:200]
    # An account's own auth token makes a connection that is no row.
    if row.connection is None and not connection._state.adding:
        row.connection = connection
    row.asked, row.retry_at = {**row.asked, LOOKED_UP: True}, None
    row.save(
        update_fields=["direction", "from_number", "to_number", "connection", "asked", "retry_at"]
    )


def connection_of(call: Call) -> TwilioConnection | None:
    """Return the connection by which Twilio can be asked about a call; None if there is none.

    An account that has Bins alone may have stored its auth token to verify with: it opens the API
    too. Such a connection is no row. A browser's call is none of Twilio's.
    """
    if call.is_browsers:
        return None
    if call.connection_id is not None:
        found = TwilioConnection.objects.filter(pk=call.connection_id)
    else:
        found = _by_account_sid(call.account_id, call.twilio_account_sid)
    connection: TwilioConnection | None = found.select_related("parent").first()
    sid, token = call.twilio_account_sid, call.account.twilio_auth_token
    if connection is None and sid and token:
        return TwilioConnection(account_id=call.account_id, account_sid=sid, auth_token=token)
    return connection


def connection_stored(account: Account, *, account_sid: str) -> bool:
    """Whether a Twilio account can be asked about its calls; as ``connection_of``, without one."""
    if account.twilio_auth_token:
        return True
    found: bool = _by_account_sid(account.pk, account_sid).exists()
    return found


def _by_account_sid(account_id: uuid.UUID, sid: str) -> Any:
    return TwilioConnection.objects.filter(account_id=account_id, account_sid=sid)
