"""Compares what Twilio holds for our numbers with what it is to hold, and flags what differs.

A connection's numbers are asked for in one list, however many there are. Twilio out of reach says
nothing about a number: what was known stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.connections import error_text
from apps.accounts.models import Account, TwilioConnection
from apps.accounts.twilio import ask_pages
from apps.calls.models import NumberWatch, PhoneNumber
from apps.calls.number_settings import GONE, actual_of, drift_of, wanted_of
from apps.calls.numbers import drift_note
from apps.telephony import rest
from apps.telephony.rest import TwilioError

logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=20)
# So that one that answers again is compared within a minute.
LONGEST_PAUSE = timedelta(seconds=60)
# Of a claimed connection: longer than a list of a few pages takes.
LEASE = timedelta(seconds=60)
# A list that was asked for right after a change may be from before it.
SETTLING = timedelta(seconds=10)
AT_ONCE = 16
CLAIMED_AT_MOST = 64
# A sweep waits no longer for slow connections, for others are due: a later one writes theirs down.
PATIENCE_S = 5.0
# A person who asked waits for them.
LONG_PATIENCE_S = 20.0
# What is wrong with a connection, rather than with the moment.
_LASTING = frozenset(("authentication_failed", "account_inactive"))

Answer = list[dict[str, Any]]
# Connections that were slow to answer this process's last sweep.
_late: set[Future[Outcome]] = set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of asking for a connection's numbers at asked_at."""

    connection: TwilioConnection
    asked_at: datetime
    listed: Answer | None = None
    error: TwilioError | None = None


def numbers_sweep(*, now: datetime | None = None) -> int:
    """Compare the numbers of the connections that are due. Returns how many connections were."""
    now = now or timezone.now()
    _watches_make(now)
    asked = _late | _asked(_claim(now), now)
    done, late = wait(asked, timeout=PATIENCE_S)
    _late.clear()
    _late.update(late)
    return len(_written(done))


def numbers_refresh(account: Account, *, only_new: bool = False) -> list[Outcome]:
    """Ask Twilio now for the numbers of an account's connections; and return what went wrong.

    only_new: of those alone that were never listed.
    """
    rows = TwilioConnection.objects.filter(account=account).select_related("parent")
    if only_new:
        rows = rows.filter(Q(number_watch=None) | Q(number_watch__listed_at=None))
    now = timezone.now()
    found = list(rows)
    if not found:
        return []
    _watches_make(now, found)
    done, _ = wait(_asked(found, now), timeout=LONG_PATIENCE_S)
    return [outcome for outcome in _written(done) if outcome.error is not None]


# --- inside -------------------------------------------------------------------------------------


def _watches_make(now: datetime, connections: Iterable[TwilioConnection] | None = None) -> None:
    if connections is None:
        connections = TwilioConnection.objects.filter(number_watch=None).only("id")
    rows = [NumberWatch(connection=connection, due_at=now) for connection in connections]
    if rows:
        NumberWatch.objects.bulk_create(rows, ignore_conflicts=True)


def _claim(now: datetime) -> list[TwilioConnection]:
    """Take connections that are due, for as long as the lease; of several workers each by one."""
    due = NumberWatch.objects.filter(due_at__lte=now).order_by("due_at")
    ids = list(due.values_list("connection_id", flat=True)[:CLAIMED_AT_MOST])
    claimed = [
        connection_id
        for connection_id in ids
        if NumberWatch.objects.filter(connection_id=connection_id, due_at__lte=now).update(
            due_at=now + LEASE
        )
    ]
    return list(TwilioConnection.objects.filter(pk__in=claimed).select_related("parent"))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="numbers")


def _asked(connections: list[TwilioConnection], now: datetime) -> set[Future[Outcome]]:
    """Ask Twilio for all at once, in threads that touch no database."""
    return {_pool().submit(_ask, connection, now) for connection in connections}


def _ask(connection: TwilioConnection, now: datetime) -> Outcome:
    try:
        request = rest.numbers_list(connection.account_sid)
        listed = list(ask_pages(connection, request, "incoming_phone_numbers"))
    except TwilioError as exc:
        return Outcome(connection, now, error=exc)
    return Outcome(connection, now, listed=listed)


def _written(done: Iterable[Future[Outcome]]) -> list[Outcome]:
    return [outcome for future in done if (outcome := _write(future)) is not None]


def _write(future: Future[Outcome]) -> Outcome | None:
    try:
        outcome = future.result()
        watch = NumberWatch.objects.filter(connection=outcome.connection).first()
        if watch is None:
            return None  # the connection was deleted meanwhile
        if outcome.listed is None:
            _failed(watch, outcome)
        else:
            _listed(outcome.connection, outcome.listed, outcome.asked_at)
            _well(watch, outcome.asked_at)
    except Exception:  # one connection's trouble is not the others'
        logger.exception("A connection's numbers could not be compared")
        return None
    return outcome


def _failed(watch: NumberWatch, outcome: Outcome) -> None:
    """Come back later; and say on the connection what is wrong with it, if it is that."""
    error = outcome.error
    text = error_text(error) if error is not None and error.reason in _LASTING else watch.error
    if text != watch.error:
        TwilioConnection.objects.filter(pk=watch.connection_id).update(check_error=text)
        PhoneNumber.objects.filter(connection_id=watch.connection_id).update(check_error=text)
    failures = min(watch.failures + 1, 100)
    pause = min(EVERY * 2 ** min(failures, 8), LONGEST_PAUSE)
    NumberWatch.objects.filter(pk=watch.pk).update(
        due_at=outcome.asked_at + pause, error=text, failures=failures
    )


def _listed(connection: TwilioConnection, listed: Answer, now: datetime) -> None:
    """Write down a list: new numbers, what differs, and what is not in it any more."""
    found = {str(one["sid"]): one for one in listed if one.get("sid")}
    rows = _rows(connection, found)
    _add(connection, [one for sid, one in found.items() if sid not in rows], now)
    for row in rows.values():
        if _may_be_judged(row, now):
            _compare(row, connection, found.get(row.sid), now)
    PhoneNumber.objects.filter(connection=connection).update(checked_at=now)


def _rows(connection: TwilioConnection, found: Mapping[str, Any]) -> dict[str, PhoneNumber]:
    # By the account: a number may have moved here from another connection of it.
    rows = PhoneNumber.objects.filter(account_id=connection.account_id)
    mine = rows.filter(Q(connection=connection) | Q(sid__in=list(found)))
    return {row.sid: row for row in mine}


def _add(connection: TwilioConnection, listed: Answer, now: datetime) -> None:
    PhoneNumber.objects.bulk_create(
        [
            PhoneNumber(
                account_id=connection.account_id,
                connection=connection,
                sid=str(one["sid"])[:34],
                number=_number(one),
                friendly_name=_name(one),
                actual=actual_of(one),
                checked_at=now,
            )
            for one in listed
        ],
        ignore_conflicts=True,
    )


def _may_be_judged(row: PhoneNumber, now: datetime) -> bool:
    """The list is not older than the last change of the number."""
    changing = row.changing_until is not None and row.changing_until > now
    return not changing and (row.config_id is None or row.updated_at <= now - SETTLING)


def _compare(
    row: PhoneNumber, connection: TwilioConnection, one: Mapping[str, Any] | None, now: datetime
) -> None:
    """Bring a row to what Twilio holds, unless somebody has changed the row meanwhile."""
    read_at, before = row.updated_at, _state(row)
    if one is None and row.config_id is None:
        PhoneNumber.objects.filter(pk=row.pk, updated_at=read_at, config=None).delete()
        return
    drift = _seen(row, connection, one, now)
    if _state(row) == before and drift == row.drift:
        return
    with transaction.atomic():
        drift_note(row, drift)
        free = Q(changing_until=None) | Q(changing_until__lte=now)
        rows = PhoneNumber.objects.filter(free, pk=row.pk, updated_at=read_at)
        if not rows.update(**_state(row)):
            transaction.set_rollback(True)


def _seen(
    row: PhoneNumber, connection: TwilioConnection, one: Mapping[str, Any] | None, now: datetime
) -> list[str]:
    """Fill in what Twilio says of a number, and return what differs from what is wanted."""
    if one is None:
        row.gone_at = row.gone_at or now
        return [GONE]
    row.connection, row.gone_at = connection, None
    row.number, row.friendly_name = _number(one), _name(one)
    row.actual = actual_of(one)
    if row.config_id is not None:
        row.wanted = wanted_of(row.account_id, row.config_id)
    return drift_of(row.wanted, row.actual)


def _state(row: PhoneNumber) -> dict[str, Any]:
    names = ("number", "friendly_name", "wanted", "actual", "drift", "drifted_at", "gone_at")
    return {"connection_id": row.connection_id, **{name: getattr(row, name) for name in names}}


def _well(watch: NumberWatch, now: datetime) -> None:
    """Come back soon. What was noted as wrong is not any more; what others noted stays."""
    if watch.error:
        noted = {"check_error": watch.error}
        TwilioConnection.objects.filter(pk=watch.connection_id, **noted).update(check_error="")
        PhoneNumber.objects.filter(connection_id=watch.connection_id).update(check_error="")
    NumberWatch.objects.filter(pk=watch.pk).update(
        due_at=now + EVERY, listed_at=now, failures=0, error=""
    )


def _number(one: Mapping[str, Any]) -> str:
    return str(one.get("phone_number") or "")[:32]


def _name(one: Mapping[str, Any]) -> str:
    return str(one.get("friendly_name") or "")[:200]
