"""Removes what nobody needs any more. Calls themselves are kept."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from apps.calls.models import GatewayProcess, StreamPass, TwilioCallback

# A token of ours is good for a day and an hour.
PASSES = timedelta(days=2)
PROCESSES = timedelta(days=1)
BATCH = 5_000


def traces_purge(*, now: datetime) -> int:
    """Remove used passes, processes that died, and old callbacks; returns how many rows."""
    passes, _ = StreamPass.objects.filter(used_at__lt=now - PASSES).delete()
    processes, _ = GatewayProcess.objects.filter(beat_at__lt=now - PROCESSES).delete()
    return passes + processes + _callbacks_purge(now - timedelta(days=settings.CALLBACK_DAYS))


def _callbacks_purge(before: datetime) -> int:
    """Remove callbacks that came before then, in batches: ids rise with the time."""
    removed = 0
    while True:
        oldest = TwilioCallback.objects.order_by("id").values_list("id", "received_at")[:BATCH]
        old = [found for found, received_at in oldest if received_at < before]
        removed += TwilioCallback.objects.filter(pk__in=old).delete()[0]
        if len(old) < BATCH:
            return removed
