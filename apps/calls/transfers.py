"""Puts calls through to humans: who may be called and how, and the request to Twilio."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, TwilioConnection
from apps.accounts.twilio import ask
from apps.calls import control
from apps.calls.control import ControlError, OrderRefused
from apps.calls.dialling import WishRefused, country_check
from apps.calls.e164 import NumberRefused, caller_read
from apps.calls.live import call_get
from apps.calls.lookups import connection_of
from apps.calls.models import Call, PhoneNumber, Transfer
from apps.calls.reach import reach_of
from apps.calls.transfer_ends import transfer_fail
from apps.calls.webhook_requests import callback_url
from apps.telephony import rest
from apps.telephony.rest import TwilioError
from apps.telephony.twiml import Dialled, transfer_document

RING_DEFAULT_S: Final = 30
# Twilio's own limit on a <Dial>.
TALK_LONGEST_S: Final = 14_400
MARGIN_S: Final = 60


@dataclass(frozen=True, slots=True)
class TransferWish:
    """A transfer that somebody wants: to a number, or to one of the bot's targets, by its name.

    say: what the bot says to the caller first. mode: empty: the target's own, or cold.
    """

    to: str = ""
    target: str = ""
    mode: str = ""
    summary: str = ""
    say: str = ""
    timeout: int = RING_DEFAULT_S
    caller_id: str = ""


def call_transfer(
    *,
    account: Account,
    call_id: uuid.UUID,
    wish: TransferWish,
    actor: Actor,
    now: datetime | None = None,
) -> Transfer:
    """Have a call put through. What becomes of it is told by the transfer, and by events.

    Raises Call.DoesNotExist, WishRefused, ControlError, NoConnection, or TwilioError.
    """
    call = call_get(account, call_id)
    if call.is_over or not call.call_sid:
        raise OrderRefused("The call is over." if call.is_over else "The call is not answered yet.")
    if call.is_browsers:
        raise OrderRefused("The caller is in a browser, and cannot be put through to a phone.")
    connection = reach_of(call)
    to, mode = _whom(call, wish)
    if wish.to:
        country_check(account, to)
    _caller_check(call, connection, wish.caller_id)
    transfer = transfer_make(call, to=to, mode=mode, summary=wish.summary, now=now)
    terms = {"id": str(transfer.pk), "timeout": wish.timeout, "caller_id": wish.caller_id}
    try:
        control.transfer(call, target=wish.target or to, say=wish.say, terms=terms)
    except ControlError:
        # Nobody was promised anything.
        transfer.delete()
        raise
    target = Target("call", str(call.pk))
    audit_record(account=account, actor=actor, action="call.transfer", target=target)
    return transfer


def _whom(call: Call, wish: TransferWish) -> tuple[str, str]:
    if wish.to:
        return wish.to, wish.mode or Transfer.Mode.COLD
    targets: dict[str, Any] = call.version.document.get("transfers") or {}
    if wish.target not in targets:
        known = ", ".join(sorted(targets)) or "none"
        raise WishRefused(target=[f"The bot has no such target. Valid: {known}."])
    found = targets[wish.target]
    return found["to"], wish.mode or found.get("mode") or Transfer.Mode.COLD


def _caller_check(call: Call, connection: TwilioConnection, number: str) -> None:
    """Raise WishRefused for a number that Twilio would not show: the caller would hear an error."""
    known = PhoneNumber.objects.filter(account_id=call.account_id, number=number)
    if not number or number in (call.from_number, call.to_number) or known.exists():
        return
    sid = call.twilio_account_sid or connection.account_sid
    found = ask(connection, rest.numbers_list(sid, {"PhoneNumber": number}))
    if not any(
        one.get("phone_number") == number for one in found.get("incoming_phone_numbers", ())
    ):
        why = "Neither the caller's number nor one of the Twilio account's."
        raise WishRefused(caller_id=[why])


def transfer_make(
    call: Call, *, to: str, mode: str, summary: str, now: datetime | None = None
) -> Transfer:
    """Write a transfer down. Raises OrderRefused while another one is under way."""
    with transaction.atomic():
        Call.objects.select_for_update().get(pk=call.pk)
        if Transfer.objects.filter(call=call, ended_at=None).exists():
            raise OrderRefused("The call is being put through already.")
        at = now or timezone.now()
        return Transfer.objects.create(call=call, to=to, mode=mode, summary=summary, started_at=at)


def transfer_begin(
    transfer_id: uuid.UUID, *, timeout: int = RING_DEFAULT_S, caller_id: str = ""
) -> bool | None:
    """Ask Twilio to put a call through. None: what Twilio did is not known. Takes up to 15 s.

    From here on the call lives as long as two humans may talk.
    """
    transfer = Transfer.objects.select_related("call__account").get(pk=transfer_id)
    call, now = transfer.call, timezone.now()
    connection = connection_of(call)
    if connection is None or not call.call_sid:
        return _refused(transfer, "no_connection", now)
    fields = {"Twiml": transfer_twiml(transfer, timeout=timeout, caller_id=caller_id)}
    if call.direction == Call.Direction.OUTBOUND:
        # The bot's own limit would cut two humans.
        began = call.answered_at or call.started_at
        fields["TimeLimit"] = str(round((now - began).total_seconds()) + timeout + TALK_LONGEST_S)
    before = call.cap_at
    cap = now + timedelta(seconds=timeout + TALK_LONGEST_S + MARGIN_S)
    mine = Call.objects.filter(pk=call.pk)
    mine.update(cap_at=cap)
    sid = call.twilio_account_sid or connection.account_sid
    try:
        ask(connection, rest.call_update(sid, call.call_sid, fields))
    except TwilioError as refused:
        if not refused.settled:
            return None
        mine.filter(cap_at=cap).update(cap_at=before)
        return _refused(transfer, refused.reason, now)
    return True


def _refused(transfer: Transfer, reason: str, now: datetime) -> bool:
    with transaction.atomic():
        transfer_fail(transfer, reason, now)
    return False


def transfer_twiml(
    transfer: Transfer, *, timeout: int = RING_DEFAULT_S, caller_id: str = ""
) -> str:
    """Return what puts a call through, and has the human's leg followed to its end."""
    call = transfer.call
    warm = transfer.mode == Transfer.Mode.WARM

    def url(path: str, name: str) -> str:
        about = {name: str(transfer.pk)}
        return callback_url(path, account_id=call.account_id, call_id=call.pk, **about)

    return transfer_document(
        Dialled(
            to=transfer.to,
            caller_id=caller_id or caller_shown(call),
            timeout_s=timeout,
            limit_s=TALK_LONGEST_S,
            action_url=url("after-dial", "transfer"),
            status_url=url("status", "leg"),
            whisper_url=url("whisper", "transfer") if warm else "",
        )
    )


def caller_shown(call: Call) -> str:
    """Return the number that the human sees: the caller's own, or ours where they have none.

    Of a call that we dialled, it is the number that it was dialled from.
    """
    for number in (call.from_number, call.to_number):
        try:
            return caller_read(number)
        except NumberRefused:
            continue
    return ""
