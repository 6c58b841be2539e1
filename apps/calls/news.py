"""News of a call for the process that holds its conversation."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal

from apps.calls.models import Call

# Sent with call, once what it says is committed: answered_by holds the verdict.
machine_verdict = Signal()


def verdict_given(call: Call) -> None:
    """Tell who answered, when the transaction is through. A listener's failure undoes nothing."""
    transaction.on_commit(lambda: machine_verdict.send_robust(Call, call=call))
