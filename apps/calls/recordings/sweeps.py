"""What workers look after: spooled streams whose gateway died, recordings that wait, old ones."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.calls.models import Call
from apps.calls.recordings.models import Recording
from apps.calls.recordings.services import (
    recording_files_remove,
    recording_settle,
    spooled_store,
)
from apps.calls.recordings.spool import folders_left
from apps.core.periodic import periodic

logger = logging.getLogger(__name__)

# A sweep takes no more at once.
BATCH = 100

What = TypeVar("What")


@periodic(every_s=60, name="recordings.spooled")
def spooled_adopt() -> int:
    """Store what processes of this machine left behind when they died. Returns how many streams."""
    handled = 0
    for folder in folders_left(Path(settings.RECORDINGS_SPOOL)):
        try:
            for path in folder.files():
                handled += _try(spooled_store, path)
        finally:
            folder.close()
    return handled


@periodic(every_s=10, name="recordings.settle")
def recordings_settle() -> int:
    """Make recordings ready whose calls are over."""
    # In no order, so that those that go on waiting are in nobody's way.
    waiting = Recording.objects.filter(
        status__in=Recording.PENDING, call__status__in=Call.TERMINAL
    ).order_by("?")
    return _each(recording_settle, waiting.values_list("call_id", flat=True)[:BATCH])


@periodic(every_s=300, name="recordings.erased")
def recordings_remove() -> int:
    """Remove files that were still there when their recording was erased."""
    left = Recording.objects.filter(
        ~Q(path="") | Q(segments__path__gt=""), status=Recording.Status.DELETED
    )
    return _each(recording_files_remove, left.values_list("call_id", flat=True).distinct()[:BATCH])


@periodic(every_s=3_600, name="recordings.expired")
def recordings_expire(now: datetime | None = None) -> int:
    """Erase what is older than RECORDINGS_KEEP_DAYS; 0 keeps everything."""
    if not settings.RECORDINGS_KEEP_DAYS:
        return 0
    until = (now or timezone.now()) - timedelta(days=settings.RECORDINGS_KEEP_DAYS)
    old = Recording.objects.filter(status=Recording.Status.READY, ready_at__lt=until)
    found = list(old.values_list("call_id", flat=True)[:BATCH])
    Recording.objects.filter(call__in=found, status=Recording.Status.READY).update(
        status=Recording.Status.DELETED, peaks=None
    )
    return _each(recording_files_remove, found)


def _each(work: Callable[[uuid.UUID], object], calls: Iterable[uuid.UUID]) -> int:
    return sum(_try(work, call) for call in list(calls))


def _try(work: Callable[[What], object], what: What) -> bool:
    """One that cannot be dealt with must not keep the others waiting."""
    try:
        return work(what) is not False
    except Exception:
        logger.exception("A recording could not be dealt with")
        return False
