"""Dials what waits: scheduled calls when their time has come, and those that Twilio put off."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from apps.accounts.models import Account
from apps.bots.models import TwilioConfigVersion
from apps.calls.dialling import opening_for
from apps.calls.lines import Clock, Full, account_lock, line_take
from apps.calls.models import Call
from apps.calls.posting import call_fail, call_post

# A call that could not be made at its time is made up to so much later, and then no more.
LATE = timedelta(minutes=60)
# Looked at in one sweep; the next one comes in a second.
BATCH = 500
DIALLERS = 8

_WAITING: Final = (Call.Status.SCHEDULED, Call.Status.QUEUED)
_OLDEST: Final = ("scheduled_at", "started_at", "id")
Each = Callable[[Callable[[Call], bool], Iterable[Call]], Iterable[bool]]


def calls_due_dial(*, clock: Clock = timezone.now, each: Each = map) -> int:
    """Dial the calls whose time has come, as far as limits and hours let them; returns how many.

    each: how the calls are gone through; a pool's ``map`` dials several at once.
    """
    now = clock()
    due = (
        Call.objects.open()
        .filter(status__in=_WAITING, posted_at=None)
        .filter(Q(scheduled_at=None) | Q(scheduled_at__lte=now))
        .filter(Q(retry_at=None) | Q(retry_at__lte=now))
        # The first of every account before the second of any: nobody's thousand hold up others.
        .annotate(turn=Window(RowNumber(), partition_by=F("account_id"), order_by=_OLDEST))
        .order_by("turn", *_OLDEST)
    )
    busy: set[uuid.UUID] = set()
    return sum(each(lambda call: _due_dial(call, clock, busy), list(due[:BATCH])))


def calls_at_once(dial: Callable[[Call], bool], calls: Iterable[Call]) -> Iterable[bool]:
    """A ``map`` that dials several at a time: a Twilio that hangs holds each up for 15 s."""

    def and_close(call: Call) -> bool:
        try:
            return dial(call)
        finally:
            connection.close()

    found = list(calls)
    if not found:
        return []
    with ThreadPoolExecutor(DIALLERS, thread_name_prefix="dial") as pool:
        return list(pool.map(and_close, found))


def _due_dial(call: Call, clock: Clock, busy: set[uuid.UUID]) -> bool:
    if call.account_id in busy:
        return False
    with transaction.atomic():
        try:
            claimed = _claim(call, clock)
        except Full:
            busy.add(call.account_id)
            return False
    if claimed is None:
        return False
    call_post(claimed, claimed.version, clock=clock)
    return True


def _claim(call: Call, clock: Clock) -> Call | None:
    """Make the call dialing, which one of any number of workers does; None: not to be dialled.

    Raises Full.
    """
    account = account_lock(call.account_id)
    row = Call.objects.select_for_update().filter(pk=call.pk, status__in=_WAITING).first()
    if row is None:
        return None
    now = clock()
    version = _version(row)
    if (failure := _failure(row, version)) is not None:
        call_fail(row, *failure, now=now)
        return None
    assert version is not None
    if not _is_time(row, account, now):
        return None
    line_take(account, now)
    row.status, row.posted_at, row.retry_at = Call.Status.DIALING, now, None
    row.version = version
    row.save(update_fields=["status", "posted_at", "retry_at", "version"])
    return row


def _failure(row: Call, version: TwilioConfigVersion | None) -> tuple[str, str] | None:
    """Say why a call cannot be made any more: a reason, and what to do."""
    if row.connection is None:
        return "no_connection", "The Twilio connection that was to dial it is gone."
    if version is None:
        return "bot_gone", "The bot that was to speak is gone."
    return None


def _is_time(row: Call, account: Account, now: datetime) -> bool:
    """Whether the call may be made now; one whose time is over fails, one that is early waits."""
    deadline = (row.scheduled_at or row.started_at) + LATE
    if now > deadline:
        late = f"It could not be dialled within {LATE // timedelta(minutes=1)} minutes."
        call_fail(row, "too_late", late, now=now)
        return False
    opens = opening_for(account, row.to_number, now)
    if opens == now:
        return True
    if opens is None or opens > deadline:
        call_fail(row, "outside_hours", "The account's calling hours do not hold then.", now=now)
    else:
        row.retry_at = opens
        row.save(update_fields=["retry_at"])
    return False


def _version(row: Call) -> TwilioConfigVersion | None:
    """Return what the bot is by now: a newer version may have been published since."""
    config = row.config
    return config.current if config.deleted_at is None else None
