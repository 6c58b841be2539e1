"""What can be done to a call while it is on: the bot says something, keys are pressed."""

from __future__ import annotations

import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.accounts.twilio import ask
from apps.calls import control
from apps.calls.control import ControlError, OrderRefused
from apps.calls.models import Call
from apps.calls.reach import reach_of
from apps.calls.tokens import StreamToken
from apps.calls.twiml import stream_twiml
from apps.telephony import rest
from apps.telephony.rest import TwilioError
from apps.telephony.twiml import Digits

# A key of Twilio's lasts a quarter of a second with its pause; w and W are pauses of their own.
KEY_S: Final = 0.25
PAUSES_S: Final = {"w": 0.5, "W": 1.0}
# How long after the last key the call may take to be back in a stream.
BACK: Final = timedelta(seconds=30)


def call_get(account: Account, call_id: uuid.UUID) -> Call:
    """Return a call of the account's. Raises Call.DoesNotExist."""
    calls = Call.objects.owned_by(account).select_related("version", "account")
    return calls.get(pk=call_id)


def call_say(
    *, account: Account, call_id: uuid.UUID, text: str, interrupt: bool, actor: Actor
) -> Call:
    """Have the bot say something. Raises Call.DoesNotExist or ControlError."""
    call = call_get(account, call_id)
    control.say(call, text, interrupt=interrupt)
    _audit(call, "call.say", actor)
    return call


def call_press(
    *,
    account: Account,
    call_id: uuid.UUID,
    digits: str,
    actor: Actor,
    now: datetime | None = None,
) -> Call:
    """Press keys for the other side. Takes up to 17 s.

    Twilio cannot send them into a stream, so the call leaves it, and comes back when they are
    played. Raises Call.DoesNotExist, ControlError, NoConnection or TwilioError.
    """
    call = call_get(account, call_id)
    if call.is_over or not call.call_sid:
        raise OrderRefused("The call is over." if call.is_over else "The call is not answered yet.")
    if call.is_browsers:
        raise OrderRefused("The caller is in a browser; keys are pressed for phones only.")
    connection = reach_of(call)
    attempt = max(control.pause(call), 1) + 1
    token = StreamToken(call.pk, call.config_id, attempt, call_sid=call.call_sid, silent=True)
    twiml = stream_twiml(token, account_id=call.account_id, before=(Digits(digits),))
    # Nobody is missed meanwhile.
    back_at = (now or timezone.now()) + timedelta(seconds=seconds_of(digits)) + BACK
    Call.objects.filter(pk=call.pk).update(reap_at=back_at)
    sid = call.twilio_account_sid or connection.account_sid
    try:
        ask(connection, rest.call_update(sid, call.call_sid, {"Twiml": twiml}))
    except TwilioError as refused:
        if refused.settled:
            with suppress(ControlError):
                control.unpause(call)
        raise
    _audit(call, "call.dtmf", actor)
    return call


def call_listened(call: Call, *, actor: Actor) -> None:
    """Write down that somebody listens to a call. call: with its account."""
    _audit(call, "call.listened", actor)


def seconds_of(digits: str) -> float:
    """Return how long keys take to be played."""
    return sum(PAUSES_S.get(key, KEY_S) for key in digits)


def _audit(call: Call, action: str, actor: Actor) -> None:
    target = Target("call", str(call.pk))
    audit_record(account=call.account, actor=actor, action=action, target=target)
