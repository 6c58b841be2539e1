"""Deliveries: whose turn it is, who is at work on it, and what follows from how it went.

A delivery is claimed by a lease. A worker that dies loses it when the lease ends, and the next one
tries again: at least once, never lost. No network is asked here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.webhooks.kinds import PING
from apps.webhooks.models import Delivery, DeliveryAttempt, Endpoint
from apps.webhooks.sending import GONE, Outcome

# After each failure: 23 hours and 42 minutes in all, each longer or shorter by up to a tenth.
SCHEDULE_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
TRIES = len(SCHEDULE_S) + 1
JITTER = 0.1
# An answer may ask for more patience, up to this much.
RETRY_AFTER_MOST_S = 3_600.0
# Much longer than a request may take.
LEASE = timedelta(seconds=60)
# Requests to one endpoint at once, by all workers. Two that claim in the same moment may exceed it.
PER_ENDPOINT = 4

_Status = Delivery.Status


def deliveries_claim(*, now: datetime, limit: int) -> list[Delivery]:
    """Take up to ``limit`` deliveries that are due, each endpoint's first ones first.

    They come with event and endpoint, but without its secrets. One query if nothing is due.
    """
    if limit <= 0 or not _due(now).exists():
        return []
    with transaction.atomic():
        chosen = _chosen(now, limit)
        rows = list(
            _due(now)
            .filter(pk__in=chosen)
            .select_related("event", "endpoint")
            .defer("endpoint__secret", "endpoint__previous_secret")
            .order_by("due_at", "pk")
            .select_for_update(skip_locked=True, of=("self",))
        )
        _note_lost(row for row in rows if row.status == _Status.SENDING)
        disabled = [row for row in rows if not row.endpoint.enabled]
        _end(disabled, error="disabled", now=now)
        ready = [row for row in rows if row.endpoint.enabled]
        _end([row for row in ready if _is_last(row)], error="lost", now=now)
        return _leased([row for row in ready if not _is_last(row)], now)


def attempt_finish(delivery: Delivery, outcome: Outcome, *, now: datetime) -> None:
    """Write down how a claimed delivery's attempt went, and what follows from it.

    If the lease has been lost meanwhile, it is written down, and nothing follows.
    """
    with transaction.atomic():
        found = Delivery.objects.select_for_update().filter(pk=delivery.pk).first()
        if found is None:  # with its endpoint
            return
        _attempt_note(delivery, outcome)
        if found.status != _Status.SENDING or found.attempts != delivery.attempts:
            return
        Delivery.objects.filter(pk=found.pk).update(
            last_status=outcome.status,
            last_error=outcome.error,
            **_consequence(found, outcome, now),
        )
        if outcome.status == GONE:
            _endpoint_gone(delivery.endpoint, now)


def attempt_began(delivery: Delivery) -> datetime:
    """Return when a delivery that is being sent was claimed."""
    return delivery.due_at - LEASE


def deliveries_end(endpoint: Endpoint, *, now: datetime) -> None:
    """Give up what waits for an endpoint that was disabled; it can be replayed."""
    Delivery.objects.filter(endpoint=endpoint, status=_Status.PENDING).update(
        status=_Status.DEAD, last_error="disabled", last_status=None, finished_at=now
    )


def delay_s(tries: int, retry_after_s: float = 0.0) -> float:
    """Return how long to wait after the ``tries``-th failure in a row."""
    spread = random.uniform(1 - JITTER, 1 + JITTER)
    return max(SCHEDULE_S[tries - 1] * spread, min(retry_after_s, RETRY_AFTER_MOST_S))


# --- inside -------------------------------------------------------------------------------------


def _due(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(status__in=Delivery.OPEN, due_at__lte=now)


def _chosen(now: datetime, limit: int) -> list[Any]:
    """Choose among all endpoints, so that one with a long queue does not crowd out the rest."""
    under_way = Delivery.objects.filter(status=_Status.SENDING, due_at__gt=now)
    busy = dict(under_way.order_by().values_list("endpoint").annotate(Count("pk")))
    full = [endpoint for endpoint, count in busy.items() if count >= PER_ENDPOINT]
    place = Window(RowNumber(), partition_by=F("endpoint"), order_by=(F("due_at"), F("pk")))
    first = (
        _due(now)
        .exclude(endpoint__in=full)
        .annotate(place=place)
        .filter(place__lte=PER_ENDPOINT)
        .order_by("due_at", "pk")
        .values_list("pk", "endpoint", "place")
    )
    return [
        pk for pk, endpoint, found in first[:limit] if found <= PER_ENDPOINT - busy.get(endpoint, 0)
    ]


def _leased(rows: list[Delivery], now: datetime) -> list[Delivery]:
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
        status=_Status.SENDING,
        due_at=now + LEASE,
        attempts=F("attempts") + 1,
        tries=F("tries") + 1,
    )
    for row in rows:
        row.status, row.due_at = _Status.SENDING, now + LEASE
        row.attempts += 1
        row.tries += 1
    return rows


def _note_lost(rows: Iterable[Delivery]) -> None:
    lost = [
        DeliveryAttempt(
            delivery=row,
            number=row.attempts,
            at=attempt_began(row),
            error="lost",
            info="The worker ended in the middle of it; it may have arrived.",
        )
        for row in rows
    ]
    DeliveryAttempt.objects.bulk_create(lost, ignore_conflicts=True)


def _attempt_note(delivery: Delivery, outcome: Outcome) -> None:
    attempt = DeliveryAttempt(
        delivery=delivery,
        number=delivery.attempts,
        at=attempt_began(delivery),
        status=outcome.status,
        duration_ms=outcome.duration_ms,
        error=outcome.error,
        info=outcome.info[:200],
        answer=outcome.answer,
    )
    # It may have been taken for lost.
    DeliveryAttempt.objects.bulk_create(
        [attempt],
        update_conflicts=True,
        unique_fields=["delivery", "number"],
        update_fields=["at", "status", "duration_ms", "error", "info", "answer"],
    )


def _is_last(delivery: Delivery) -> bool:
    """Whether all its tries are used up. A ping has one: somebody waits for its outcome."""
    return delivery.tries >= (1 if delivery.kind == PING else TRIES)


def _consequence(delivery: Delivery, outcome: Outcome, now: datetime) -> dict[str, Any]:
    if not outcome.error:
        return {"status": _Status.DELIVERED, "finished_at": now}
    if outcome.status == GONE or _is_last(delivery):
        return {"status": _Status.DEAD, "finished_at": now}
    wait = timedelta(seconds=delay_s(delivery.tries, outcome.retry_after_s))
    return {"status": _Status.PENDING, "due_at": now + wait}


def _end(rows: list[Delivery], *, error: str, now: datetime) -> None:
    if rows:
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=_Status.DEAD, last_error=error, last_status=None, finished_at=now
        )


def _endpoint_gone(endpoint: Endpoint, now: datetime) -> None:
    """Disable what says that it is gone, unless its owner has moved it meanwhile."""
    disabled = Endpoint.objects.filter(Q(pk=endpoint.pk, url=endpoint.url), enabled=True).update(
        enabled=False, disabled_reason=Endpoint.Disabled.GONE, updated_at=now
    )
    if disabled:
        deliveries_end(endpoint, now=now)
        audit_record(
            # Without its secrets, which nobody needs here and some keys may not open.
            account=Account.objects.only("id").get(pk=endpoint.account_id),
            actor=Actor(),
            action="webhook.disable",
            target=Target("webhook", str(endpoint.pk)),
            before={"enabled": True},
            after={"enabled": False, "disabled_reason": "gone"},
        )
