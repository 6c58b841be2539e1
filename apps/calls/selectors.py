"""Reads calls. Every list starts at the account."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from apps.accounts.models import Account
from apps.calls.models import Call, CallEvent, Turn


def calls_of(account: Account) -> QuerySet[Call]:
    """An account's calls, newest first."""
    return Call.objects.owned_by(account).select_related("version")


def calls_with_transcript(account: Account) -> QuerySet[Call]:
    """The same, with turns and events at hand: three queries, however many there are."""
    return (
        calls_of(account)
        .select_related("recording")
        .prefetch_related(
            Prefetch("turns", Turn.objects.order_by("id")),
            Prefetch("events", CallEvent.objects.order_by("at", "id")),
        )
    )
