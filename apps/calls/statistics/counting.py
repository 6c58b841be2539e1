"""Counts the hours that are over, and keeps what was found.

A call counts in the hour in which it ended. News of an hour may come late: the journal writes some
seconds after the fact, Twilio is asked about lost calls for a day. So an hour is counted once it is
over for a while, the newest of them again and again, and the others again every so often.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.calls.models import AccountHour, Call, CountedHour
from apps.calls.statistics.figures import Figures, figures_by, figures_store

HOUR = timedelta(hours=1)
# The journal, cut off from the database, holds its entries for up to ten minutes.
SETTLED = timedelta(minutes=10)
# How far back hours are looked at: more than the longest day.
KEPT = 27
AGAIN = timedelta(hours=1)


def hour_of(at: datetime) -> datetime:
    """Return the beginning of the hour that a moment lies in, by UTC."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_count(*, now: datetime | None = None) -> int:
    """Count the hours that are due, and forget old ones. Returns how many hours were counted."""
    now = now or timezone.now()
    newest = hour_of(now - SETTLED) - HOUR
    wanted = [newest - n * HOUR for n in range(KEPT)]
    fresh = CountedHour.objects.filter(hour__in=wanted[1:], counted_at__gt=now - AGAIN)
    known = set(fresh.values_list("hour", flat=True))
    due = [hour for hour in wanted if hour not in known]
    for hour in due:
        _count(hour, now)
    CountedHour.objects.filter(hour__lt=wanted[-1]).delete()
    return len(due)


def _count(hour: datetime, now: datetime) -> None:
    with transaction.atomic():
        # First, so that of two workers one waits for the other.
        CountedHour.objects.update_or_create(hour=hour, defaults={"counted_at": now})
        ended = Call.objects.filter(ended_at__gte=hour, ended_at__lt=hour + HOUR)
        found = figures_by(ended, F("account_id"))
        AccountHour.objects.filter(counted=hour).delete()
        AccountHour.objects.bulk_create(
            [
                AccountHour(counted_id=hour, account_id=account, figures=figures_store(figures))
                for account, figures in found.items()
            ]
        )
        total = figures_store(sum(found.values(), Figures()))
        CountedHour.objects.filter(pk=hour).update(figures=total)
