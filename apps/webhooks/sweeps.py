"""What a worker does about webhooks by the clock."""

from __future__ import annotations

import logging
import threading

from django.db import connection
from django.utils import timezone

from apps.core.periodic import periodic
from apps.webhooks.delivering import AT_ONCE, deliveries_carry
from apps.webhooks.models import Delivery
from apps.webhooks.outbox import deliveries_claim
from apps.webhooks.retention import events_purge

# So many sweeps may be waiting for slow endpoints at once; each ends within half a minute.
logger = logging.getLogger(__name__)

_THREAD = "webhooks.deliveries"
_ROOM = threading.BoundedSemaphore(32)


@periodic(every_s=1, name="webhooks.deliveries")
def deliveries_start() -> int:
    """Claim what is due, and leave the sending to a thread: who is slow holds up nobody else.

    A thread that dies with its process leaves leases, which end.
    """
    if not _ROOM.acquire(blocking=False):
        return 0
    try:
        rows = deliveries_claim(now=timezone.now(), limit=AT_ONCE)
    except BaseException:
        _ROOM.release()
        raise
    if not rows:
        _ROOM.release()
        return 0
    threading.Thread(target=_carried, args=(rows,), name=_THREAD, daemon=True).start()
    return len(rows)


def threads() -> list[threading.Thread]:
    """List the threads that are sending."""
    return [thread for thread in threading.enumerate() if thread.name == _THREAD]


def _carried(rows: list[Delivery]) -> None:
    try:
        deliveries_carry(rows)
    except Exception:  # the edge of a thread; what it held comes again when its leases end
        logger.exception("Sending events failed")
    finally:
        connection.close()
        _ROOM.release()


@periodic(every_s=3_600, name="webhooks.purge")
def events_forget() -> int:
    """Remove old events."""
    return events_purge(now=timezone.now())
