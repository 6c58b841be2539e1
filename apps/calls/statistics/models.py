"""Hours that were counted, so that nobody counts them again to look at them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.accounts.models import Account


class CountedHour(models.Model):
    """The calls of all accounts that ended within an hour.

    hour: its beginning. figures: see ``apps.calls.statistics.figures``. counted_at: when they were
    last counted; the newest of all is also when a worker was last seen to work.
    """

    hour = models.DateTimeField(primary_key=True)
    counted_at = models.DateTimeField()
    figures = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00}"


class AccountHour(models.Model):
    """The same of one account; there is none where it had no calls."""

    counted = models.ForeignKey(CountedHour, on_delete=models.CASCADE, related_name="accounts")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    figures = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "counted"], name="account_hour_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.counted_id}"
