"""Reads calls. Every list starts at the account."""

from __future__ import annotations

from django.db.models import Prefetch, Q, QuerySet

from apps.accounts.models import Account, TwilioConnection
from apps.calls.models import Call, CallEvent, PhoneNumber, Turn


def calls_of(account: Account) -> QuerySet[Call]:
    """An account's calls, newest first."""
    return Call.objects.owned_by(account).select_related("version")


def calls_with_transcript(account: Account) -> QuerySet[Call]:
    """The same, with turns and events at hand: three queries, however many there are."""
    return calls_of(account).prefetch_related(
        Prefetch("turns", Turn.objects.order_by("id")),
        Prefetch("events", CallEvent.objects.order_by("at", "id")),
    )


def connection_uses(connection: TwilioConnection) -> list[str]:
    """Say what needs a connection to Twilio: numbers with a bot, and calls that are not over."""
    numbers = PhoneNumber.objects.filter(connection=connection).exclude(config=None)
    found = [f"number {one}" for one in numbers.values_list("number", flat=True)[:20]]
    mine = Q(connection=connection) | Q(twilio_account_sid=connection.account_sid)
    calls = Call.objects.open().filter(mine, account=connection.account_id)
    return found + [f"call {one}" for one in calls.values_list("id", flat=True)[:20]]
