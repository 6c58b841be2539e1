"""Sends again what was sent, or could not be: with the id that it had, so that repeats show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.webhooks.kinds import PING
from apps.webhooks.models import Delivery, Endpoint, Event

# In one request; it says where to go on.
AT_MOST = 10_000
DEAD, ALL = STATUSES = ("dead", "all")

_Status = Delivery.Status


class NotNow(Exception):
    """It cannot be replayed at the moment; the message says why."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many events will be sent, and from when on there are more; None: that was all."""

    count: int
    next_since: datetime | None


def delivery_replay(delivery: Delivery, *, actor: Actor) -> Delivery:
    """Have a delivery sent again, now and by the whole schedule.

    Raises NotNow if its endpoint is disabled, or while it is being sent.
    """
    endpoint = delivery.endpoint
    _enabled_check(endpoint)
    found = Delivery.objects.filter(pk=delivery.pk).exclude(status=_Status.SENDING)
    with transaction.atomic():
        if not _restart(found, timezone.now()):
            raise NotNow("It is being sent right now.")
        _record(endpoint, actor, {"delivery": str(delivery.pk)})
    delivery.refresh_from_db()
    return delivery


def deliveries_replay(
    endpoint: Endpoint, *, actor: Actor, since: datetime, until: datetime | None, status: str
) -> Replayed:
    """Have the events of a time sent again, the oldest first.

    status: DEAD, what could not be delivered; or ALL, every event of the endpoint's kinds that is
    still kept: also what was delivered, and what happened while the endpoint was disabled or before
    it was made. Pings are not repeated. What waits already is not sent twice. Raises NotNow if the
    endpoint is disabled.
    """
    _enabled_check(endpoint)
    now = timezone.now()
    events = _events(endpoint, since, until or now, status)
    found = list(events.order_by("created_at", "id")[: AT_MOST + 1])
    chosen, rest = found[:AT_MOST], found[AT_MOST:]
    with transaction.atomic():
        count = _create_missing(endpoint, chosen, now)
        mine = Delivery.objects.filter(endpoint=endpoint, event__in=[event.pk for event in chosen])
        count += _restart(mine.filter(status__in=(_Status.DELIVERED, _Status.DEAD)), now)
        _record(endpoint, actor, {"since": since, "status": status, "count": count})
    return Replayed(count, rest[0].created_at if rest else None)


# --- inside -------------------------------------------------------------------------------------


def _enabled_check(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise NotNow("The endpoint is disabled. Enable it first.")


def _events(endpoint: Endpoint, since: datetime, until: datetime, status: str) -> QuerySet[Event]:
    events = Event.objects.filter(
        account=endpoint.account_id, created_at__gte=since, created_at__lt=until
    ).exclude(kind=PING)
    if status == DEAD:
        events = events.filter(deliveries__endpoint=endpoint, deliveries__status=_Status.DEAD)
    elif endpoint.kinds:
        events = events.filter(kind__in=endpoint.kinds)
    return events.only("id", "kind", "created_at")


def _create_missing(endpoint: Endpoint, events: list[Event], now: datetime) -> int:
    known = set(
        Delivery.objects.filter(
            endpoint=endpoint, event__in=[event.pk for event in events]
        ).values_list("event", flat=True)
    )
    rows = [
        Delivery(event=event, endpoint=endpoint, kind=event.kind, due_at=now, created_at=now)
        for event in events
        if event.pk not in known
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
    return len(rows)


def _restart(rows: QuerySet[Delivery], now: datetime) -> int:
    return rows.update(status=_Status.PENDING, due_at=now, tries=0, finished_at=None)


def _record(endpoint: Endpoint, actor: Actor, what: dict[str, Any]) -> None:
    audit_record(
        account=endpoint.account,
        actor=actor,
        action="webhook.replay",
        target=Target("webhook", str(endpoint.pk)),
        after=what,
    )
