"""Twilio's callbacks: an inbox, and the rules by which it is emptied.

A callback is one INSERT while Twilio waits, and takes effect in the worker's next sweep, at the
latest a second later: in order of ``SequenceNumber``, with the call's row locked, once.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone
from prometheus_client import Counter

from apps.calls.callback_effects import EFFECTS, TOLD
from apps.calls.models import Call, StreamPass, TwilioCallback
from apps.telephony.progress import number, progress_read

logger = logging.getLogger(__name__)

PASSED_OVER = Counter(
    "botsconfig_callbacks_passed_over", "Callbacks that were taken and had no effect", ["reason"]
)
Kind = TwilioCallback.Kind

# Calls a sweep looks at; the next one comes a second later.
AT_ONCE = 500
# Twilio sends some thirty fields, the longest of them URLs.
MOST_FIELDS = 100
LONGEST_FIELD = 1_000
# How long a call that Twilio calls completed is kept open for the end of its conversation: the
# journal writes five times a second, so a process that lives has written it by then.
GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A callback as it came. call_id: the row that it is about."""

    account_id: uuid.UUID
    call_id: uuid.UUID
    kind: TwilioCallback.Kind
    fields: Mapping[str, object] = field(repr=False)


def callback_store(delivery: Delivery, *, now: datetime | None = None) -> None:
    """Keep a callback, by one INSERT. What was kept before, word for word, is not kept twice.

    Twilio repeats a delivery with the same fields. Its ``I-Twilio-Idempotency-Token`` is not gone
    by: the signature does not cover it, so whoever can replay a request can change it.
    """
    fields = _storable(delivery.fields)
    row = TwilioCallback(
        account_id=delivery.account_id,
        call_id=delivery.call_id,
        kind=delivery.kind,
        sequence=number(fields.get("SequenceNumber", "")),
        fields=fields,
        digest=_digest(delivery, fields),
        received_at=now or timezone.now(),
    )
    TwilioCallback.objects.bulk_create([row], ignore_conflicts=True)


def _storable(fields: Mapping[str, object]) -> dict[str, str]:
    """Return what every database takes: PostgreSQL refuses NUL, and no field is that long."""
    kept = [(_clean(name), _clean(value)) for name, value in list(fields.items())[:MOST_FIELDS]]
    return {name[:100]: value[:LONGEST_FIELD] for name, value in kept}


def _clean(value: object) -> str:
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def _digest(delivery: Delivery, fields: Mapping[str, str]) -> str:
    said = [str(delivery.account_id), str(delivery.call_id), delivery.kind.value, fields]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def callbacks_sweep(*, now: datetime | None = None) -> int:
    """Apply what has come for calls that are known. Returns how many callbacks took effect."""
    now = now or timezone.now()
    known = Exists(Call.objects.filter(id=OuterRef("call_id")))
    waiting = TwilioCallback.objects.filter(known, applied_at=None, kind__in=EFFECTS)
    # Oldest first, and each call once.
    found = dict.fromkeys(waiting.order_by("id").values_list("call_id", flat=True)[: 4 * AT_ONCE])
    done = 0
    for call_id in list(found)[:AT_ONCE]:
        try:
            done += callbacks_apply(call_id, now=now)
        except Exception:  # one call's fault must not hold up the others
            logger.exception("A callback could not be applied", extra={"call": str(call_id)})
    return done


def callbacks_apply(call_id: uuid.UUID, *, now: datetime | None = None) -> int:
    """Let what has come for a call take effect, in order. Returns how many did.

    Of two that do so at once the second waits for the row, and finds nothing left to do.
    """
    now = now or timezone.now()
    with transaction.atomic():
        call = Call.objects.select_for_update().filter(id=call_id).first()
        if call is None:
            return 0
        rows = TwilioCallback.objects.filter(call_id=call_id, applied_at=None, kind__in=EFFECTS)
        in_order = rows.order_by(F("sequence").asc(nulls_last=True), "id")
        due = [row for row in in_order if not _waits(call, row, now)]
        # Legs count their own; what they say makes the end of a call what it is.
        due.sort(key=lambda row: row.kind != Kind.LEG)
        for row in due:
            if _is_about(call, row):
                EFFECTS[row.kind](call, row)
        call.save(update_fields=TOLD)
        TwilioCallback.objects.filter(pk__in=[row.pk for row in due]).update(applied_at=now)
    return len(due)


def _is_about(call: Call, row: TwilioCallback) -> bool:
    """Whether a callback is of this very call; if so, the row learns what it did not know.

    An account signs what it likes with its own token, another account's id of a call included.
    """
    fields = row.fields
    # Of a transfer's leg, the call is the parent.
    is_leg = row.kind == Kind.LEG
    sid = fields.get("ParentCallSid" if is_leg else "CallSid", "")[:64]
    if row.account_id != call.account_id or (call.call_sid and sid and sid != call.call_sid):
        PASSED_OVER.labels("another_call").inc()
        logger.warning("A callback is of another call", extra={"call": str(call.id)})
        return False
    if is_leg:
        return True
    if sid and not call.call_sid and not _taken(call, sid):
        call.call_sid = sid
    call.twilio_account_sid = call.twilio_account_sid or fields.get("AccountSid", "")[:64]
    call.from_number = call.from_number or fields.get("From", "")[:200]
    call.to_number = call.to_number or fields.get("To", "")[:200]
    if fields.get("Direction", "").startswith("outbound"):
        call.direction = Call.Direction.OUTBOUND
    return True


def _taken(call: Call, sid: str) -> bool:
    return Call.objects.filter(account_id=call.account_id, call_sid=sid).exists()


def _waits(call: Call, row: TwilioCallback, now: datetime) -> bool:
    """Whether a call's end is held back until the end of its conversation has been written.

    Both come by different ways at the same moment, and the one that comes first would make a call
    final that lacks its last words and its costs.
    """
    if row.kind != Kind.STATUS or call.is_over or now - row.received_at >= GRACE:
        return False
    return progress_read(row.fields).status == "completed" and conversation_is_open(call)


def conversation_is_open(call: Call) -> bool:
    """Whether a stream of this call is known to have begun, and not to have ended."""
    if call.stream_sid:
        return call.stream_ended_at is None
    if call.attempts or StreamPass.objects.filter(call_id=call.id).exists():
        return True
    began = TwilioCallback.objects.filter(
        call_id=call.id, account_id=call.account_id, kind=Kind.STREAM
    )
    return began.filter(fields__StreamEvent="stream-started").exists()
