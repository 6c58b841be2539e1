"""Callbacks of calls that have no row: of those that never had a stream, and of strangers."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.db.models.fields.json import KT
from django.utils import timezone

from apps.calls.callbacks import PASSED_OVER
from apps.calls.models import Call, PhoneNumber, TwilioCallback, call_id
from apps.telephony.progress import TERMINAL, progress_read

logger = logging.getLogger(__name__)

# A journal that is behind writes the row within seconds; a database that was gone, within a day.
FORGET_AFTER = timedelta(days=1)
AT_ONCE = 500
_UNKNOWN = ~Exists(Call.objects.filter(id=OuterRef("call_id")))


def orphans_adopt(*, now: datetime | None = None) -> int:
    """Write down calls that only Twilio told us of; drop what nobody will ever ask about.

    A caller who hangs up while it rings leaves no stream behind, only the status callback of the
    number that was called: the number says whose call it was. Returns how many were dealt with.
    """
    now = now or timezone.now()
    waiting = TwilioCallback.objects.filter(_UNKNOWN, applied_at=None)
    ours = PhoneNumber.objects.filter(
        account_id=OuterRef("account_id"),
        number=OuterRef("to"),
        config__isnull=False,
        config__current__isnull=False,
    )
    found = waiting.filter(kind=TwilioCallback.Kind.STATUS).annotate(to=KT("fields__To"))
    rows = list(found.filter(Exists(ours)).order_by("id")[:AT_ONCE])
    made = [call for row in rows if (call := _call_of(row)) is not None]
    # Somebody may write the same row meanwhile: the journal, or another worker.
    Call.objects.bulk_create(made, ignore_conflicts=True)
    return len(made) + _forget(now)


def _call_of(row: TwilioCallback) -> Call | None:
    fields = row.fields
    sid = fields.get("CallSid", "")[:64]
    if row.call_id != call_id(account_id=row.account_id, call_sid=sid):
        return None  # it names a row that is gone, or never was
    number = (
        PhoneNumber.objects.filter(account_id=row.account_id, number=fields["To"])
        .filter(config__current__isnull=False)
        .select_related("config")
        .first()
    )
    if number is None:
        return None
    progress = progress_read(fields)
    began = min(progress.at or row.received_at, row.received_at)
    if progress.status in TERMINAL and progress.duration_s:
        began -= timedelta(seconds=progress.duration_s)
    return call_unseen(number, sid, began)


def call_unseen(number: PhoneNumber, call_sid: str, began: datetime) -> Call:
    """Make the row of a call to a number of ours that no stream has told us of; unsaved.

    number: with its bot, which is published.
    """
    assert number.config is not None and number.config.current_id is not None
    return Call(
        id=call_id(account_id=number.account_id, call_sid=call_sid),
        account_id=number.account_id,
        connection_id=number.connection_id,
        config=number.config,
        version_id=number.config.current_id,
        call_sid=call_sid,
        status=Call.Status.RINGING,
        started_at=began,
    )


def _forget(now: datetime) -> int:
    old = TwilioCallback.objects.filter(
        _UNKNOWN, applied_at=None, received_at__lt=now - FORGET_AFTER
    )
    gone, _ = old.delete()
    if gone:
        PASSED_OVER.labels("call_unknown").inc(gone)
        logger.warning("Callbacks of unknown calls were dropped", extra={"callbacks": gone})
    return gone
