"""How long events and the log of their deliveries are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from apps.webhooks.models import Delivery, Event

_BATCH = 500


def events_purge(*, now: datetime) -> int:
    """Remove events older than WEBHOOK_LOG_DAYS, with deliveries and attempts, in batches.

    One that is being sent stays until it is delivered or dead. Returns how many were removed.
    """
    before = now - timedelta(days=settings.WEBHOOK_LOG_DAYS)
    open_ones = Delivery.objects.filter(status__in=Delivery.OPEN).values("event")
    old = Event.objects.filter(created_at__lt=before).exclude(pk__in=open_ones)
    removed = 0
    while ids := list(old.order_by("created_at").values_list("pk", flat=True)[:_BATCH]):
        Event.objects.filter(pk__in=ids).delete()
        removed += len(ids)
    return removed
