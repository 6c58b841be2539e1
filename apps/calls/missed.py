"""Calls to our numbers of which nobody told us, found in Twilio's own list.

A caller who hangs up before the stream begins leaves a status callback behind; if that came while
no process was there to take it, Twilio does not send it again. So its list is looked through once
a minute: one request for each connection that has a number with a bot.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import TwilioConnection
from apps.accounts.twilio import ask_pages
from apps.calls.callback_orphans import call_unseen
from apps.calls.lines import Clock
from apps.calls.lookups import call_take
from apps.calls.models import Call, NumberWatch, PhoneNumber, call_id
from apps.telephony import rest
from apps.telephony.progress import TERMINAL, moment
from apps.telephony.rest import TwilioError

EVERY = timedelta(seconds=60)
# Whatever was being written down when the last look was taken is there by the next.
OVERLAP = timedelta(minutes=15)
# What has just ended may still be on its way to us.
SETTLED = timedelta(seconds=60)
AT_ONCE = 20
PAGE = "1000"

Found = Mapping[str, Any]


def missed_look_up(*, clock: Clock = timezone.now) -> int:
    """Look for them at the connections whose turn it is. Returns how many calls were found."""
    now = clock()
    due = NumberWatch.objects.filter(Q(calls_due_at=None) | Q(calls_due_at__lte=now))
    watches = due.filter(connection__phone_numbers__config__isnull=False).distinct()
    return sum(_look(watch, now) for watch in list(watches[:AT_ONCE]))


def _look(watch: NumberWatch, now: datetime) -> int:
    mine = NumberWatch.objects.filter(pk=watch.pk, calls_due_at=watch.calls_due_at)
    if not mine.update(calls_due_at=now + EVERY):
        return 0
    connection = TwilioConnection.objects.select_related("parent").get(pk=watch.pk)
    try:
        listed = list(_listed(connection, now))
    except TwilioError:
        return 0  # what is wrong with the connection, the numbers' own list says
    return _write(connection, _untold(connection, listed, now), now)


def _listed(connection: TwilioConnection, now: datetime) -> Iterable[Found]:
    since = (now - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"StartTime>": since, "PageSize": PAGE}
    return ask_pages(connection, rest.calls_list(connection.account_sid, query), "calls")


def _untold(
    connection: TwilioConnection, listed: Iterable[Found], now: datetime
) -> dict[uuid.UUID, Found]:
    """Return those that are over for a while, and have no row."""
    ours = {
        call_id(account_id=connection.account_id, call_sid=str(found["sid"])): found
        for found in listed
        if found.get("direction") == "inbound" and _is_settled(found, now)
    }
    for known in Call.objects.filter(pk__in=ours).values_list("pk", flat=True):
        del ours[known]
    return ours


def _is_settled(found: Found, now: datetime) -> bool:
    ended = moment(str(found.get("end_time") or ""))
    return found.get("status") in TERMINAL and ended is not None and ended < now - SETTLED


def _write(connection: TwilioConnection, calls: Mapping[uuid.UUID, Found], now: datetime) -> int:
    written = 0
    for identifier, found in calls.items():
        number = (
            PhoneNumber.objects.filter(connection=connection, number=str(found.get("to") or ""))
            .filter(config__current__isnull=False)
            .select_related("config")
            .first()
        )
        if number is None:
            continue
        began = moment(str(found.get("start_time") or "")) or now
        row = call_unseen(number, str(found["sid"]), began)
        row.from_number, row.to_number = str(found.get("from") or "")[:200], number.number
        with transaction.atomic():
            # The journal may write the same row meanwhile; then it is known after all.
            Call.objects.bulk_create([row], ignore_conflicts=True)
            kept = Call.objects.select_for_update().get(pk=identifier)
            if not kept.is_over:
                call_take(kept, found, now=now)
                written += 1
    return written
