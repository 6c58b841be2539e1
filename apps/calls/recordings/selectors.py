"""Reads recordings. Every query starts at the account."""

from __future__ import annotations

import uuid

from apps.accounts.models import Account
from apps.calls.recordings.models import Recording


def recording_get(account: Account, call_id: uuid.UUID) -> Recording:
    """Return the recording of one of the account's calls. Raises Recording.DoesNotExist."""
    recordings = Recording.objects.select_related("call").only(
        "status", "started_at", "bytes", "parts", "path", "call__call_sid"
    )
    return recordings.get(call=call_id, call__account=account)
