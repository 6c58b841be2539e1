"""Hangs calls up: what is not dialled yet is not dialled, what is, Twilio ends."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, TwilioConnection
from apps.accounts.twilio import ask
from apps.calls import control
from apps.calls.control import ControlError
from apps.calls.endings import HUNG_UP, call_close
from apps.calls.lines import Clock
from apps.calls.lookups import call_take, connection_of
from apps.calls.models import Call
from apps.telephony import rest
from apps.telephony.rest import TwilioError

AGAIN = timedelta(seconds=10)
BATCH = 50

# In Call.asked, under "hang_up": wanted, and not yet said to Twilio; or said.
WANTED, SAID = "wanted", "said"


class NothingToHangUpWith(Exception):
    """The call runs at a Twilio account that we have no connection to, and no gateway has it."""


def call_hang_up(
    *, account: Account, call_id: uuid.UUID, actor: Actor, clock: Clock = timezone.now
) -> Call:
    """End a call and return it. Ending one that is over, or twice, changes nothing.

    A call whose CallSid is not known yet is ended as soon as it is. Takes up to 20 s. Raises
    Call.DoesNotExist, NothingToHangUpWith, TwilioError, or control.ControlError.
    """
    try:
        row = _ask(account, call_id, actor, clock)
    except NothingToHangUpWith:
        row = Call.objects.owned_by(account).get(pk=call_id)
        _by_the_gateway(row)
        _audit(account, row, actor)
    if not row.is_over and row.asked.get("hang_up") == WANTED:
        _carry_out(row)
    return Call.objects.select_related("version").get(pk=call_id)


def _ask(account: Account, call_id: uuid.UUID, actor: Actor, clock: Clock) -> Call:
    """Note the wish. Raises NothingToHangUpWith."""
    with transaction.atomic():
        row = Call.objects.owned_by(account).select_for_update().get(pk=call_id)
        if not row.is_over and "hang_up" not in row.asked:
            _want(row, clock)
            _audit(account, row, actor)
    return row


def _by_the_gateway(row: Call) -> None:
    """Have the gateway leave the call: its TwiML then hangs up. Raises NothingToHangUpWith."""
    try:
        control.end(row, "hung_up")
    except control.ControlError as refused:
        raise NothingToHangUpWith from refused


def _carry_out(row: Call) -> None:
    if connection_of(row) is None:
        _order(row)
    elif row.call_sid:
        _say(row)


def _order(row: Call) -> None:
    """Have the gateway end its stream, where nobody can ask Twilio: the Bin's TwiML hangs up then.

    Raises ControlError.
    """
    try:
        control.end(row, HUNG_UP)
    except ControlError:
        _mark(row, None)
        raise
    _mark(row, SAID)


def hang_ups_say(*, clock: Clock = timezone.now) -> int:
    """Tell Twilio what could not be told when it was asked for; returns how many were ended."""
    now = clock()
    wanted = Call.objects.open().filter(asked__hang_up=WANTED).exclude(call_sid="")
    due = wanted.filter(Q(retry_at=None) | Q(retry_at__lte=now)).order_by("started_at")
    return sum(_due_say(row, clock) for row in due[:BATCH])


def _due_say(row: Call, clock: Clock) -> bool:
    mine = Call.objects.filter(pk=row.pk, retry_at=row.retry_at)
    if not mine.update(retry_at=clock() + AGAIN):
        return False
    try:
        return _say(row)
    except TwilioError:
        return False


def _want(row: Call, clock: Clock) -> None:
    """Note the wish in a locked row; a call that is not dialled yet is over by that."""
    if row.posted_at is None and row.status in (Call.Status.SCHEDULED, Call.Status.QUEUED):
        call_close(row, status=Call.Status.CANCELED, reason="canceled", at=clock())
        return
    if connection_of(row) is None and row.gateway is None:
        raise NothingToHangUpWith
    row.asked = {**row.asked, "hang_up": WANTED}
    row.save(update_fields=["asked"])


def _audit(account: Account, row: Call, actor: Actor) -> None:
    audit_record(
        account=account,
        actor=actor,
        action="call.hang_up",
        target=Target("call", str(row.id)),
    )


def _say(row: Call) -> bool:
    """Tell Twilio to end the call. Raises TwilioError for a refusal that trying again cannot help.

    What is not settled is left wanted, and said again later: ending twice harms nobody.
    """
    connection = connection_of(row)
    if connection is None:
        return False
    try:
        ask(connection, rest.call_hang_up(connection.account_sid, row.call_sid))
    except TwilioError as refused:
        if refused.is_gone:
            _gone(row, connection)
            return True
        if not refused.settled or refused.is_unprocessed or refused.reason == "unreachable":
            return False
        _mark(row, None)
        raise
    _mark(row, SAID)
    return True


def _gone(row: Call, connection: TwilioConnection) -> None:
    """It was over before; how, Twilio may still tell."""
    _mark(row, SAID)
    try:
        found = ask(connection, rest.call_get(connection.account_sid, row.call_sid))
    except TwilioError:
        return
    with transaction.atomic():
        call_take(Call.objects.select_for_update().get(pk=row.pk), found)


def _mark(row: Call, mark: str | None) -> None:
    with transaction.atomic():
        fresh = Call.objects.select_for_update().get(pk=row.pk)
        kept: dict[str, Any] = {k: v for k, v in fresh.asked.items() if k != "hang_up"}
        fresh.asked = {**kept, "hang_up": mark} if mark else kept
        fresh.save(update_fields=["asked"])
