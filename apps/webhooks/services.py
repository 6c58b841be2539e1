"""Publishing: an event and its deliveries are written in the transaction that makes the fact."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.webhooks.kinds import KINDS
from apps.webhooks.models import Delivery, Endpoint, Event

_NAMESPACE = uuid.UUID("0b0a9d6e-6c0e-4d5f-9a55-2f1f2f0c9e27")


def event_publish(
    *,
    account_id: uuid.UUID | str,
    kind: str,
    data: Mapping[str, Any],
    key: str | None = None,
    now: datetime | None = None,
) -> None:
    """Tell an account's endpoints that something happened. Asks no network: a worker sends it.

    Call it inside the transaction that makes the fact. data: as in the example of ``KINDS``; may
    hold times, UUIDs and decimals. key: what is the same whenever the same fact is told again: told
    twice, in any two processes, it is one event, sent once. None: every call is an event.

    One query for an account without endpoints, and nothing is kept; else three. Raises ValueError
    for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind: {kind}. Valid: {', '.join(KINDS)}.")
    endpoints = list(
        Endpoint.objects.filter(account_id=account_id).only("id", "kinds", "enabled").order_by()
    )
    if not endpoints:
        return
    at = now or timezone.now()
    event = Event(
        id=event_id(account_id=account_id, kind=kind, key=key),
        account_id=account_id,
        kind=kind,
        data=dict(data),
        created_at=at,
    )
    # Told before: it has its rows, and these inserts do nothing. Told by two at once: the second
    # waits for the first one's transaction, whatever becomes of it.
    Event.objects.bulk_create([event], ignore_conflicts=True)
    takers = [found for found in endpoints if endpoint_takes(found, kind)]
    deliveries_create(event, takers, at=at)


def fact_publish(
    sender: Any,
    *,
    account_id: uuid.UUID,
    kind: str,
    data: Mapping[str, Any],
    key: str | None = None,
    **_: Any,
) -> None:
    """Publish what an app that must not know us tells, see ``core.facts``."""
    event_publish(account_id=account_id, kind=kind, data=data, key=key)


def event_id(*, account_id: uuid.UUID | str, kind: str, key: str | None) -> uuid.UUID:
    """Return the id of a fact's event: the same for the same key."""
    if key is None:
        return uuid.uuid4()
    return uuid.uuid5(_NAMESPACE, f"{account_id}/{kind}/{key}")


def endpoint_takes(endpoint: Endpoint, kind: str) -> bool:
    """Whether events of this kind go to the endpoint now."""
    return endpoint.enabled and (not endpoint.kinds or kind in endpoint.kinds)


def deliveries_create(event: Event, endpoints: Iterable[Endpoint], *, at: datetime) -> None:
    """Have an event sent to endpoints, but for those that it was meant for already."""
    rows = [
        Delivery(event=event, endpoint=endpoint, kind=event.kind, due_at=at, created_at=at)
        for endpoint in endpoints
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
