"""What becomes of a transfer: the human's leg is followed to its end, the caller is not lost."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from apps.calls.endings import call_close
from apps.calls.entries import TRANSFERRED
from apps.calls.models import Call, CallEvent, Transfer, Turn, TwilioCallback
from apps.calls.tokens import StreamToken
from apps.calls.twiml import stream_twiml
from apps.telephony.progress import TERMINAL, Progress, progress_read
from apps.telephony.twiml import hang_up_document
from apps.voice.toolwords import NOTE
from apps.webhooks.services import event_publish

# Two humans who part sooner than that have not spoken.
EARLY_S: Final = 5
# Why a transfer failed, beside Twilio's statuses of a call.
DECLINED, ENDED_EARLY = "declined", "ended_early"

_ORDER: Mapping[str, int] = {
    status: place for place, status in enumerate(("queued", "initiated", "ringing", "in-progress"))
}

# --- the human's leg ------------------------------------------------------------------------------


def leg_apply(call: Call, callback: TwilioCallback) -> None:
    """News of the human's leg. What is late or comes twice changes nothing but gaps."""
    transfer = _transfer(call, callback.fields.get("leg", ""))
    if transfer is None:
        return
    progress = progress_read(callback.fields)
    at = max(transfer.started_at, min(progress.at or callback.received_at, callback.received_at))
    transfer.leg_sid = transfer.leg_sid or callback.fields.get("CallSid", "")[:64]
    if progress.status == "in-progress":
        transfer.answered_at = transfer.answered_at or at
    if _is_later(progress.status, transfer.status):
        transfer.status = progress.status
        if callback.sequence is not None:
            transfer.sequence = callback.sequence
    if progress.is_final:
        transfer.ended_at = transfer.ended_at or at
        if progress.status != "completed":
            _failed(transfer, progress.status, at)
    if transfer.mode == Transfer.Mode.COLD:
        _answer_connects(transfer, progress, at)
    transfer.save()


def _answer_connects(transfer: Transfer, progress: Progress, at: datetime) -> None:
    """Nothing is whispered, so whoever answered is connected."""
    if progress.status not in ("in-progress", "completed"):
        return
    talked_s = progress.duration_s or 0
    _bridged(transfer, at - timedelta(seconds=talked_s))
    if progress.duration_s is not None and talked_s < EARLY_S:
        _failed(transfer, ENDED_EARLY, at)


def _transfer(call: Call, text: str) -> Transfer | None:
    try:
        found = Transfer.objects.select_for_update().filter(pk=uuid.UUID(text), call=call)
    except ValueError:
        return None
    return found.first()


def _is_later(new: str, old: str) -> bool:
    if not new or old in TERMINAL:
        return False
    return new in TERMINAL or _ORDER.get(new, -1) > _ORDER.get(old, -1)


def human_answered(
    *, account_id: uuid.UUID, call_id: uuid.UUID, transfer_id: str, heard: bool, now: datetime
) -> Transfer | None:
    """The human of a warm transfer is there. heard: the summary too, and now the two are connected.

    None for a transfer that is not the account's.
    """
    with transaction.atomic():
        calls = Call.objects.select_for_update(of=("self",)).filter(
            pk=call_id, account_id=account_id
        )
        call = calls.select_related("version").first()
        transfer = None if call is None else _transfer(call, transfer_id)
        if call is None or transfer is None:
            return None
        transfer.call = call
        transfer.answered_at = transfer.answered_at or now
        if heard:
            _bridged(transfer, now)
        transfer.save()
        return transfer


def _bridged(transfer: Transfer, at: datetime) -> None:
    """The two are connected; told once."""
    if transfer.bridged_at is not None:
        return
    transfer.bridged_at = max(at, transfer.started_at)
    transfer.answered_at = transfer.answered_at or transfer.bridged_at
    data = {
        "call_id": transfer.call_id,
        "to": transfer.to,
        "mode": transfer.mode,
        "leg_call_sid": transfer.leg_sid,
    }
    _tell(transfer, "call.transferred", data, transfer.bridged_at)


def transfer_fail(transfer: Transfer, reason: str, at: datetime) -> None:
    """A transfer did not come about. In a transaction."""
    transfer.status, transfer.ended_at = Call.Status.FAILED, transfer.ended_at or at
    _failed(transfer, reason, at)
    transfer.save()


def _failed(transfer: Transfer, reason: str, at: datetime) -> None:
    """The two were not connected, or parted at once; told once."""
    if transfer.reason:
        return
    transfer.reason = reason
    data = {"call_id": transfer.call_id, "to": transfer.to, "reason": reason}
    _tell(transfer, "call.transfer_failed", data, at)


def _tell(transfer: Transfer, kind: str, data: Mapping[str, object], at: datetime) -> None:
    kept = {name: str(value) for name, value in data.items() if name != "call_id"}
    CallEvent.objects.create(call_id=transfer.call_id, at=at, kind=kind, data=kept)
    event_publish(
        account_id=transfer.call.account_id, kind=kind, data=data, key=str(transfer.pk), now=at
    )


# --- the caller -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DialOver:
    """Twilio's question when ``<Dial>`` has ended.

    status: ``DialCallStatus``. bridged: whether the two were connected, where Twilio says so.
    talked_s: for how long. caller_gone: the call itself is over.
    """

    account_id: uuid.UUID
    call_id: uuid.UUID
    transfer_id: str
    status: str
    bridged: bool | None = None
    talked_s: int | None = None
    leg_sid: str = ""
    caller_gone: bool = False

    @property
    def worked(self) -> bool:
        return self.status in ("completed", "answered") and self.bridged is not False


def dial_over(over: DialOver, *, now: datetime) -> str:
    """Return the TwiML that goes on with the call: its end, or back to the bot, which is told why.

    Asked twice, it answers twice the same.
    """
    with transaction.atomic():
        calls = Call.objects.select_for_update().filter(account_id=over.account_id)
        call = calls.filter(pk=over.call_id).first()
        transfer = None if call is None else _transfer(call, over.transfer_id)
        if call is None or call.is_over or transfer is None:
            return hang_up_document()
        _settle(transfer, over, now)
        if over.caller_gone or (over.worked and transfer.reason != ENDED_EARLY):
            reason = TRANSFERRED if over.worked else "caller_hung_up"
            call_close(call, status=Call.Status.COMPLETED, reason=reason, at=now)
            return hang_up_document()
        return _back(call, now)


def _settle(transfer: Transfer, over: DialOver, now: datetime) -> None:
    """Write down what the end of the ``<Dial>`` says of the transfer; callbacks may be lost."""
    transfer.leg_sid = transfer.leg_sid or over.leg_sid
    transfer.ended_at = transfer.ended_at or now
    if over.worked:
        talked_s = over.talked_s or 0
        transfer.status = Call.Status.COMPLETED
        _bridged(transfer, now - timedelta(seconds=talked_s))
        if over.talked_s is not None and talked_s < EARLY_S and not over.caller_gone:
            _failed(transfer, ENDED_EARLY, now)
    else:
        refused = over.status if over.status in TERMINAL - {"completed"} else ""
        # Whoever answered was there, but did not wait to be connected.
        refused = "" if transfer.answered_at else refused
        if transfer.status not in TERMINAL:
            transfer.status = refused or Call.Status.COMPLETED
        _failed(transfer, refused or DECLINED, now)
    transfer.save()


def _back(call: Call, now: datetime) -> str:
    """Bring the caller back to the bot, which goes on by what it is told."""
    call.end_reason, call.stream_ended_at = "", now
    # The one of the transfer; the stream brings its own.
    call.cap_at = call.reap_at = None
    call.save(update_fields=["end_reason", "stream_ended_at", "cap_at", "reap_at"])
    attempt = max(call.attempts, 1) + 1
    token = StreamToken(call.pk, call.config_id, attempt, call_sid=call.call_sid, silent=True)
    return stream_twiml(token, account_id=call.account_id)


# --- the bot --------------------------------------------------------------------------------------

_TOLD: Mapping[str, str] = {
    "busy": "the line was busy",
    "no-answer": "nobody answered",
    DECLINED: "nobody took the call",
    ENDED_EARLY: "they were connected, but the connection ended at once",
}


def transfer_note(call: Call) -> str:
    """Return what the bot of a call that came back has to know: nothing, once it has spoken."""
    last = Transfer.objects.filter(call=call).order_by("-started_at").first()
    if last is None or last.ended_at is None or not last.reason:
        return ""
    if Turn.objects.filter(call=call, started_at__gte=last.ended_at).exists():
        return ""
    why = _TOLD.get(last.reason, "it did not work")
    return NOTE + (
        f"The caller was being put through, but {why}. They are back on the line with you. "
        "Tell them so briefly, and offer to help otherwise."
    )
