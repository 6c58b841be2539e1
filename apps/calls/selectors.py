"""Reads calls. Every list starts at the account."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from django.db.models import FilteredRelation, Prefetch, Q, QuerySet

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, CallEvent, PhoneNumber, Turn


def calls_of(account: Account) -> QuerySet[Call]:
    """An account's calls, newest first."""
    return Call.objects.owned_by(account).select_related("version")


def calls_with_transcript(account: Account) -> QuerySet[Call]:
    """The same, with turns, transfers and events at hand: four queries, however many there are."""
    return (
        calls_of(account)
        .select_related("recording")
        .defer("recording__peaks")
        .prefetch_related(
            "transfers",
            Prefetch("turns", Turn.objects.order_by("id")),
            Prefetch("events", CallEvent.objects.order_by("at", "id")),
        )
    )


def connection_uses(connection: TwilioConnection) -> list[str]:
    """Say what needs a connection to Twilio: numbers with a bot, and calls that are not over."""
    numbers = PhoneNumber.objects.filter(connection=connection).exclude(config=None)
    found = [f"number {one}" for one in numbers.values_list("number", flat=True)[:20]]
    mine = Q(connection=connection) | Q(twilio_account_sid=connection.account_sid)
    calls = Call.objects.open().filter(mine, account=connection.account_id)
    return found + [f"call {one}" for one in calls.values_list("id", flat=True)[:20]]


@dataclass(frozen=True, slots=True)
class DialledIn:
    """What Twilio's question for a call's TwiML is answered by.

    account: holds its id and what requests are signed with, no more. attempts: streams of the call
    so far; over: there was such a call, and it has ended.
    """

    account: Account = field(repr=False)
    is_published: bool
    attempts: int
    over: bool


def dialled_in(config_id: uuid.UUID, call_sid: str) -> DialledIn | None:
    """Look up a bot that is called, and the call if there is one already. One query.

    None for a bot that is unknown or deleted.
    """
    this_call = Q(account__calls__call_sid=call_sid) & ~Q(account__calls__call_sid="")
    asked = TwilioConfig.objects.filter(pk=config_id, deleted_at=None)
    asked = asked.annotate(call=FilteredRelation("account__calls", condition=this_call))
    found = asked.values_list(
        "account_id",
        "account__signing_secrets",
        "account__twilio_auth_token",
        "current_id",
        "call__attempts",
        "call__status",
    ).first()
    if found is None:
        return None
    account_id, secrets, token, current, attempts, status = found
    account = Account(id=account_id, signing_secrets=secrets, twilio_auth_token=token)
    return DialledIn(account, current is not None, attempts or 0, status in Call.TERMINAL)


def call_facts(call: Call) -> list[tuple[str, str]]:
    """Return what webhooks may have been told of a call: kinds and keys. Two queries at the most.

    The same keys as where it is published: ``endings``, ``transfer_ends``, ``recordings.services``.
    """
    recording = getattr(call, "recording", None)
    parts = recording.parts if recording is not None else 0
    return [
        ("call.started", str(call.pk)),
        ("call.ended", str(call.pk)),
        *(("call.recording_ready", f"{call.pk}/{part}") for part in range(1, parts + 1)),
        *(
            (kind, str(transfer.pk))
            for transfer in call.transfers.all()
            for kind in ("call.transferred", "call.transfer_failed")
        ),
    ]
