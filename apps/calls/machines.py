"""What becomes of a call that a machine has answered: as its dialler wanted it."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from apps.calls import control
from apps.calls.control import ControlError, GatewayNotReached
from apps.calls.hangup import WANTED
from apps.calls.models import Call
from apps.calls.wishes import HANG_UP, LEAVE_MESSAGE, OFF
from apps.telephony.progress import MACHINES

REASON: Final = "machine"


def machine_detected(sender: Any, *, call: Call, **_: Any) -> None:
    """Do what is wanted, by the process that holds the conversation.

    Where it cannot be reached, or there is none yet, Twilio is told to hang up: nothing is worse
    than a bot that talks to a machine for minutes.
    """
    wanted = call.asked.get("machine_detection") or {}
    if call.answered_by not in MACHINES or wanted.get("mode", OFF) == OFF:
        return
    policy = wanted.get("on_machine", HANG_UP)
    if policy not in (HANG_UP, LEAVE_MESSAGE):
        return
    call = Call.objects.get(pk=call.pk)
    try:
        if policy == HANG_UP:
            control.end(call, REASON)
        else:
            control.leave_message(call, str(wanted.get("message", "")))
    except ControlError as refused:
        # The message is left when the stream begins, if it does.
        if policy == HANG_UP or isinstance(refused, GatewayNotReached):
            _hang_up(call)


def _hang_up(call: Call) -> None:
    """Note that Twilio is to end the call; a sweep says it, and again if it has to."""
    with transaction.atomic():
        row = Call.objects.select_for_update().get(pk=call.pk)
        if not row.is_over and "hang_up" not in row.asked:
            row.asked = {**row.asked, "hang_up": WANTED}
            row.save(update_fields=["asked"])
