"""How many calls an account may have at once, and begin in a second.

Both are counted in the rows, under a lock on the account's: processes and machines share them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from apps.accounts.models import Account
from apps.calls.models import Call

Clock = Callable[[], datetime]
WINDOW = timedelta(seconds=1)
# What an account allows, and nothing of its secrets.
RULES = ("id", "max_live_calls", "calls_per_second", "calling_hours", "allowed_countries")


class Full(Exception):
    """The account begins no call now; the message says why."""


class Busy(Full):
    """All its lines are in use."""

    def __init__(self, lines: int) -> None:
        super().__init__(f"All {lines} lines of the account are in use: a call must end first.")


class TooFast(Full):
    """It has begun all that it may in this second. wait_s: until it may again."""

    wait_s = 1

    def __init__(self, quota: int) -> None:
        super().__init__(f"The account begins {quota} calls a second at the most.")


def account_lock(account_id: uuid.UUID) -> Account:
    """Hold the account's row, so that nobody else counts, until the transaction ends.

    The lock leaves those alone that only refer to the row: calls that come in meanwhile.
    """
    rows = Account.objects.select_for_update(no_key=True)
    return rows.only(*RULES).get(pk=account_id)


def line_take(account: Account, now: datetime) -> None:
    """Let a locked account begin one more call. now: from under the lock. Raises Full."""
    calls = Call.objects.owned_by(account)
    # Open calls are few, and have an index without the others.
    if calls.open().live().count() >= account.max_live_calls:
        raise Busy(account.max_live_calls)
    if calls.filter(posted_at__gt=now - WINDOW).count() >= account.calls_per_second:
        raise TooFast(account.calls_per_second)
