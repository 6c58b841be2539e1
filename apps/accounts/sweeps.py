"""What a worker does about logins by the clock."""

from __future__ import annotations

from axes.models import AccessAttempt
from django.conf import settings
from django.utils import timezone

from apps.accounts.sessions import sessions_purge
from apps.core.periodic import periodic


@periodic(every_s=3_600, name="accounts.sessions")
def sessions_clear() -> int:
    """Erase sessions that are over."""
    return sessions_purge(now=timezone.now())


@periodic(every_s=3_600, name="accounts.failures")
def failures_clear() -> int:
    """Erase failed logins that count no more: axes does so at the next failure only."""
    gone = timezone.now() - settings.AXES_COOLOFF_TIME
    erased: int
    erased, _ = AccessAttempt.objects.filter(attempt_time__lt=gone).delete()
    return erased
