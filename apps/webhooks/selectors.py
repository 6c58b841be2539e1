"""What can be read of endpoints and deliveries; every list starts at the account."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from apps.accounts.models import Account
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import event_id


def endpoints_of(account: Account) -> QuerySet[Endpoint]:
    """The account's endpoints; the secrets stay in the table."""
    return Endpoint.objects.owned_by(account).defer("secret", "previous_secret")


def deliveries_of(
    endpoint: Endpoint, *, status: str | None = None, kind: str | None = None
) -> QuerySet[Delivery]:
    """An endpoint's deliveries, without the events' data."""
    found = Delivery.objects.filter(endpoint=endpoint)
    if status is not None:
        found = found.filter(status=status)
    return found if kind is None else found.filter(kind=kind)


def delivery_with_log(account: Account, endpoint_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    """Return a delivery with its event, endpoint and attempts. Raises Delivery.DoesNotExist."""
    return (
        Delivery.objects.select_related("event", "endpoint", "endpoint__account")
        .defer("endpoint__secret", "endpoint__previous_secret")
        .get(pk=delivery_id, endpoint=endpoint_id, endpoint__account=account)
    )


def deliveries_about(account_id: uuid.UUID, facts: Iterable[tuple[str, str]]) -> QuerySet[Delivery]:
    """The deliveries of what was told of an account, oldest first, with their endpoints.

    facts: kinds and keys, as they were published with; an event's id is made of them, so that no
    index over its data is needed.
    """
    events = [event_id(account_id=account_id, kind=kind, key=key) for kind, key in facts]
    return (
        Delivery.objects.filter(event__in=events, endpoint__account=account_id)
        .select_related("endpoint")
        .defer("endpoint__secret", "endpoint__previous_secret")
        .order_by("created_at", "id")
    )
