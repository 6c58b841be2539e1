"""Reads what happened in calls: today, by the hour, and now.

``accounts`` are ids of accounts, None for all: the figures of nobody else count.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db.models import Case, IntegerField, OuterRef, QuerySet, Subquery, Value, When
from django.utils import timezone

from apps.bots.models import TwilioConfig
from apps.calls.models import AccountHour, Call, CountedHour, PhoneNumber, Turn
from apps.calls.statistics.counting import HOUR, hour_of
from apps.calls.statistics.figures import Figures, figures_by, figures_load

Accounts = Collection[uuid.UUID] | None
# Of the chart: the hour that runs, and those before it.
HOURS = 24


@dataclass(frozen=True, slots=True)
class Hour:
    """What ended within an hour. begins: in UTC; the last one still runs."""

    begins: datetime
    figures: Figures


@dataclass(frozen=True, slots=True)
class Statistics:
    """today: since midnight where the viewer is. hours: the last 24, oldest first."""

    today: Figures
    hours: Sequence[Hour]

    @property
    def day(self) -> Figures:
        """All of the hours."""
        return sum((hour.figures for hour in self.hours), Figures())


def statistics(accounts: Accounts, *, now: datetime | None = None) -> Statistics:
    """Return the figures of calls that are over. At most nine queries.

    Hours that a worker has counted are read as they were counted; the others are counted here.
    """
    now = now or timezone.now()
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    last = hour_of(now)
    chart = [last - n * HOUR for n in reversed(range(HOURS))]
    pieces = _pieces(min(chart[0], hour_of(midnight)), midnight, last)
    found = _figures(accounts, pieces)
    today = sum((figures for begins, figures in found.items() if begins >= midnight), Figures())
    hours = [
        Hour(hour, sum((f for begins, f in found.items() if hour_of(begins) == hour), Figures()))
        for hour in chart
    ]
    return Statistics(today, hours)


def _pieces(first: datetime, midnight: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """Cut the time into hours, and at midnight, which is amid an hour in some countries."""
    cuts = {midnight.astimezone(first.tzinfo)}
    while first <= last + HOUR:
        cuts.add(first)
        first += HOUR
    return list(pairwise(sorted(cuts)))


def _figures(
    accounts: Accounts, pieces: Sequence[tuple[datetime, datetime]]
) -> dict[datetime, Figures]:
    kept = _kept(accounts, [begins for begins, ends in pieces if ends - begins == HOUR])
    found = dict(kept)
    for run in _runs([piece for piece in pieces if piece[0] not in kept]):
        found |= _counted(accounts, run)
    return found


def _kept(accounts: Accounts, hours: Sequence[datetime]) -> dict[datetime, Figures]:
    counted = CountedHour.objects.filter(hour__in=hours)
    if accounts is None:
        return {row.hour: figures_load(row.figures) for row in counted}
    found = {hour: Figures() for hour in counted.values_list("hour", flat=True)}
    rows = AccountHour.objects.filter(account__in=accounts, counted__in=list(found))
    for row in rows:
        found[row.counted_id] += figures_load(row.figures)
    return found


def _runs(
    pieces: Sequence[tuple[datetime, datetime]],
) -> list[list[tuple[datetime, datetime]]]:
    """Put pieces together that follow one another: one look at the index for them all."""
    runs: list[list[tuple[datetime, datetime]]] = []
    for piece in pieces:
        if runs and runs[-1][-1][1] == piece[0]:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _counted(
    accounts: Accounts, run: Sequence[tuple[datetime, datetime]]
) -> dict[datetime, Figures]:
    ended = _of(accounts, Call.objects.filter(ended_at__gte=run[0][0], ended_at__lt=run[-1][1]))
    cases = [When(ended_at__lt=ends, then=Value(n)) for n, (_, ends) in enumerate(run)]
    found = figures_by(ended, Case(*cases, output_field=IntegerField()))
    return {begins: found.get(n, Figures()) for n, (begins, _) in enumerate(run)}


def _of(accounts: Accounts, calls: QuerySet[Call]) -> QuerySet[Call]:
    return calls if accounts is None else calls.filter(account__in=accounts)


# --- now ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that takes up a line. since: when somebody could speak, or when it began to ring.

    answer_ms: how long the caller waited for the bot's latest answer; None before there is one.
    """

    id: uuid.UUID
    account: str
    bot: str
    direction: str
    from_number: str
    to_number: str
    status: str
    since: datetime
    answer_ms: int | None


@dataclass(frozen=True, slots=True)
class Live:
    """How many calls take up a line, by status, and the newest of them."""

    by_status: Mapping[str, int]
    newest: Sequence[LiveCall]

    @property
    def count(self) -> int:
        return sum(self.by_status.values())


def live_calls(accounts: Accounts, *, at_most: int = 10) -> Live:
    """Return what is going on now. One query, or two if there are more than at_most."""
    rows = _of(accounts, Call.objects.live()).order_by("-started_at", "-id")
    answers = Turn.objects.filter(call=OuterRef("pk"), answer_ms__isnull=False)
    named = rows.annotate(answer_ms=Subquery(answers.order_by("-id").values("answer_ms")[:1]))
    newest = [_live_call(row) for row in named.values(*_SHOWN)[:at_most]]
    if len(newest) < at_most:
        return Live(Counter(call.status for call in newest), newest)
    return Live(Counter(rows.order_by().values_list("status", flat=True)), newest)


_SHOWN = (
    *("id", "account__name", "config__name", "config_id", "direction", "from_number", "to_number"),
    *("status", "started_at", "answered_at", "answer_ms"),
)


def _live_call(row: Mapping[str, Any]) -> LiveCall:
    return LiveCall(
        id=row["id"],
        account=row["account__name"],
        bot=row["config__name"] or str(row["config_id"]),
        direction=row["direction"],
        from_number=row["from_number"],
        to_number=row["to_number"],
        status=row["status"],
        since=row["answered_at"] or row["started_at"],
        answer_ms=row["answer_ms"],
    )


# --- before there is anything to count ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beginnings:
    """What there is of accounts that begin. bot: one of theirs, None if there is none."""

    bot: uuid.UUID | None
    has_number: bool
    has_call: bool


def beginnings(accounts: Accounts) -> Beginnings:
    """Return what there is already. One query where there are calls, else three."""
    if _of(accounts, Call.objects.order_by()).exists():
        return Beginnings(None, True, True)
    bots = TwilioConfig.objects.filter(deleted_at=None).order_by("-created_at")
    numbers = PhoneNumber.objects.exclude(config=None).order_by()
    if accounts is not None:
        bots, numbers = bots.filter(account__in=accounts), numbers.filter(account__in=accounts)
    return Beginnings(bots.values_list("pk", flat=True).first(), numbers.exists(), False)
