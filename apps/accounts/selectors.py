"""How keys and the audit log are read. Every query starts at the account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import Account, ApiKey, AuditEntry


def api_keys_of(account: Account) -> QuerySet[ApiKey]:
    """The account's keys, live or not, newest first."""
    return ApiKey.objects.filter(account=account)


def audit_entries_of(
    account: Account,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    **equal: Any,
) -> QuerySet[AuditEntry]:
    """The account's log, newest first: from since on, before until, with the members of equal."""
    found: QuerySet[AuditEntry] = AuditEntry.objects.filter(account=account, **equal)
    if since is not None:
        found = found.filter(created_at__gte=since)
    return found if until is None else found.filter(created_at__lt=until)
