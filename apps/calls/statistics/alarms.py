"""What somebody should look at: numbers that lead elsewhere, failing vendors, silent processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import TwilioConnection
from apps.calls.models import CallEvent, CountedHour, PhoneNumber
from apps.calls.processes import pulse_take
from apps.calls.statistics.selectors import Accounts
from apps.webhooks.models import Delivery, Endpoint

# What providers did not do, as the journal names it.
MISSING, FAILED, MUTE = "provider.missing", "provider.failed", "provider.mute"
SWITCHED = "provider.switched"
PROVIDER_KINDS = (MISSING, FAILED, MUTE, SWITCHED)
# How long ago a failure may be to be news, and how lately it is still going on.
LATELY, JUST_NOW = timedelta(hours=1), timedelta(minutes=10)
DEAD_SINCE = timedelta(days=1)
# A worker says every minute that it works.
QUIET = timedelta(minutes=5)
NAMED = 3


class AlarmKind(StrEnum):
    """What is the matter."""

    NO_GATEWAY = "no-gateway"
    GATEWAY_SILENT = "gateway-silent"
    NO_WORKER = "no-worker"
    PROVIDER_MISSING = "provider-missing"
    PROVIDER_FAILED = "provider-failed"
    PROVIDER_MUTE = "provider-mute"
    PROVIDER_SWITCHED = "provider-switched"
    CONNECTION_FAILED = "connection-failed"
    NUMBER_GONE = "number-gone"
    NUMBER_DRIFTED = "number-drifted"
    NUMBER_UNCHECKED = "number-unchecked"
    ENDPOINT_DISABLED = "endpoint-disabled"
    DELIVERIES_DEAD = "deliveries-dead"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is the matter.

    count: of how many things, or how often. names: of the first of them. detail: what was said
    about it, for people. latest: when it was last seen, where that is known.
    """

    kind: AlarmKind
    count: int
    names: Sequence[str] = ()
    detail: str = ""
    latest: datetime | None = None
    is_going_on: bool = True


def alarms(accounts: Accounts, *, now: datetime | None = None) -> list[Alarm]:
    """Return what is the matter, the worst first. Five queries; seven for who sees all accounts.

    accounts: as in ``selectors``. Processes are the server's: they are told for all accounts only.
    """
    now = now or timezone.now()
    return [
        *(_processes(now) if accounts is None else ()),
        *_providers(accounts, now),
        *_connections(accounts),
        *_numbers(accounts),
        *_endpoints(accounts, now),
    ]


def _of(accounts: Accounts, rows: QuerySet[Any], path: str = "account") -> QuerySet[Any]:
    return rows if accounts is None else rows.filter(**{f"{path}__in": accounts})


def _processes(now: datetime) -> Iterable[Alarm]:
    pulse = pulse_take()
    if not pulse.alive:
        yield Alarm(AlarmKind.NO_GATEWAY, 1, latest=max(pulse.silent.values(), default=None))
    elif pulse.silent:
        latest = max(pulse.silent.values())
        yield Alarm(AlarmKind.GATEWAY_SILENT, len(pulse.silent), latest=latest)
    seen = CountedHour.objects.aggregate(seen=Max("counted_at"))["seen"]
    if seen is None or seen < now - QUIET:
        yield Alarm(AlarmKind.NO_WORKER, 1, latest=seen)


_OF_KIND = {
    MISSING: AlarmKind.PROVIDER_MISSING,
    FAILED: AlarmKind.PROVIDER_FAILED,
    MUTE: AlarmKind.PROVIDER_MUTE,
    SWITCHED: AlarmKind.PROVIDER_SWITCHED,
}


def _providers(accounts: Accounts, now: datetime) -> list[Alarm]:
    events = CallEvent.objects.filter(kind__in=PROVIDER_KINDS, at__gte=now - LATELY).order_by()
    counted = (
        _of(accounts, events, "call__account")
        .values(
            "kind",
            # Who was switched from stands under another name.
            provider=Coalesce(KT("data__provider"), KT("data__from")),
            reason=KT("data__reason"),
            phase=KT("data__phase"),
        )
        .annotate(count=Count("pk"), latest=Max("at"))
    )
    found = [
        Alarm(
            _OF_KIND[row["kind"]],
            row["count"],
            names=(row["provider"],) if row["provider"] else (),
            detail=row["reason"] or row["phase"] or "",
            latest=row["latest"],
            is_going_on=row["latest"] >= now - JUST_NOW,
        )
        for row in counted
        # Who stood in from the beginning, for somebody that is told of as MISSING.
        if (row["kind"], row["reason"]) != (SWITCHED, "missing")
    ]
    return sorted(found, key=_badness)


def _badness(alarm: Alarm) -> tuple[Any, ...]:
    # Callers whom a fallback served did not notice.
    served = alarm.kind == AlarmKind.PROVIDER_SWITCHED
    return (not alarm.is_going_on, served, -alarm.count, alarm.names)


def _connections(accounts: Accounts) -> Iterable[Alarm]:
    failed = _of(accounts, TwilioConnection.objects.exclude(check_error=""))
    for row in failed.only("name", "account_sid", "check_error", "checked_at")[:NAMED]:
        yield Alarm(
            AlarmKind.CONNECTION_FAILED,
            1,
            (str(row),),
            detail=row.check_error,
            latest=row.checked_at,
        )


def _numbers(accounts: Accounts) -> Iterable[Alarm]:
    wrong = ~Q(drifted_at=None) | ~Q(gone_at=None) | ~Q(check_error="")
    rows = _of(accounts, PhoneNumber.objects.filter(wrong).exclude(config=None))
    found = list(rows.values_list("number", "gone_at", "drifted_at", "check_error"))
    gone = [number for number, gone_at, _, _ in found if gone_at]
    drifted = [number for number, gone_at, drifted_at, _ in found if drifted_at and not gone_at]
    unchecked = [one[0] for one in found if one[3] and not one[1] and not one[2]]
    for kind, numbers in (
        (AlarmKind.NUMBER_GONE, gone),
        (AlarmKind.NUMBER_DRIFTED, drifted),
        (AlarmKind.NUMBER_UNCHECKED, unchecked),
    ):
        if numbers:
            yield Alarm(kind, len(numbers), numbers[:NAMED])


def _endpoints(accounts: Accounts, now: datetime) -> Iterable[Alarm]:
    mine = _of(accounts, Endpoint.objects.order_by())
    gone = list(mine.filter(disabled_reason=Endpoint.Disabled.GONE).values_list("url", flat=True))
    if gone:
        yield Alarm(AlarmKind.ENDPOINT_DISABLED, len(gone), gone[:NAMED])
    dead = Delivery.objects.filter(
        endpoint=OuterRef("pk"), status=Delivery.Status.DEAD, created_at__gte=now - DEAD_SINCE
    )
    behind = list(mine.filter(Exists(dead), enabled=True).values_list("url", flat=True))
    if behind:
        yield Alarm(AlarmKind.DELIVERIES_DEAD, len(behind), behind[:NAMED])
