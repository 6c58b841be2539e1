"""Sends the create of a call to Twilio, once, and writes down what came of it.

Twilio has no key that would make a second create harmless: it is a second paid call. So the row is
committed with ``posted_at`` before anything is sent, by whoever won that, and only a create that
Twilio is known not to have carried out is sent again. What is written afterwards depends on the
row: a callback may have come first, and knows better.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.twilio import ask
from apps.bots.models import TwilioConfigVersion
from apps.calls.endings import call_close
from apps.calls.lines import Clock
from apps.calls.models import Call
from apps.calls.wishes import create_request
from apps.telephony.rest import TwilioError

logger = logging.getLogger(__name__)

# Waits before a create that was not carried out is sent again; after the last it has failed.
RETRY_S: Final = (1, 2, 4, 8, 16)
# A create whose answer is not known is looked up from then on: its callbacks come first, mostly.
LOOK_FIRST = timedelta(seconds=10)
# Longer than a create can take: who has not said by then what came of it is gone.
POSTING = timedelta(seconds=30)

# Neither Twilio's answer nor a callback has said that the call is there.
UNTOLD = Q(call_sid="", twilio_status="")


def call_post(call: Call, version: TwilioConfigVersion, *, clock: Clock = timezone.now) -> None:
    """Dial a call that the caller has claimed: its row is committed as dialing, with posted_at.

    Takes up to 20 s, and must not run inside a transaction. Raises nothing that Twilio says: the
    row has it.
    """
    request = create_request(call, version)
    assert call.connection is not None
    try:
        answer = ask(call.connection, request)
    except TwilioError as refused:
        _refused(call, refused, clock())
    else:
        _placed(call, answer)


def postings_abandon(*, clock: Clock = timezone.now) -> int:
    """Turn calls unknown whose create somebody began to send and never told the end of."""
    now = clock()
    return (
        Call.objects.open()
        .filter(UNTOLD, status=Call.Status.DIALING, posted_at__lt=now - POSTING)
        .update(status=Call.Status.UNKNOWN, retry_at=now)
    )


def call_fail(call: Call, reason: str, error: str, *, code: str = "", now: datetime) -> None:
    """End a call that was never placed. call: its row, locked, and not over.

    reason: one word, for programs. error: what to do, for people. code: Twilio's number.
    """
    call.error_code, call.error, call.retry_at = code, error[:300], None
    call.save(update_fields=["error_code", "error", "retry_at"])
    call_close(call, status=Call.Status.FAILED, reason=reason[:32], at=now)


def _placed(call: Call, answer: dict[str, Any]) -> None:
    """Twilio has the call. A callback may have said so already, and more."""
    sid = str(answer.get("sid") or "")
    named = {"call_sid": sid, "twilio_account_sid": str(answer.get("account_sid") or "")}
    try:
        with transaction.atomic():
            Call.objects.filter(pk=call.pk, call_sid="").update(**named)
    except IntegrityError:
        logger.exception("A call's CallSid is another's", extra={"call_id": str(call.pk)})
    # Given up meanwhile, because the answer took longer than answers do.
    Call.objects.filter(pk=call.pk, status=Call.Status.UNKNOWN).update(
        status=Call.Status.DIALING, retry_at=None
    )


def _refused(call: Call, refused: TwilioError, now: datetime) -> None:
    with transaction.atomic():
        waiting = (Call.Status.DIALING, Call.Status.UNKNOWN)
        mine = Call.objects.filter(UNTOLD, status__in=waiting, posted_at=call.posted_at)
        row = mine.select_for_update().filter(pk=call.pk).first()
        if row is None:
            return  # a callback has come: whatever this answer was, the call is there
        if not refused.settled:
            _doubt(row, now)
        elif _is_unsent(refused) and int(row.asked.get("tries", 0)) < len(RETRY_S):
            _postpone(row, now)
        else:
            code = str(refused.code or "")
            call_fail(row, refused.reason, refused.hint, code=code, now=now)


def _is_unsent(refused: TwilioError) -> bool:
    return refused.is_unprocessed or refused.reason == "unreachable"


def _doubt(row: Call, now: datetime) -> None:
    row.status, row.retry_at = Call.Status.UNKNOWN, now + LOOK_FIRST
    row.save(update_fields=["status", "retry_at"])


def _postpone(row: Call, now: datetime) -> None:
    if "hang_up" in row.asked:
        call_close(row, status=Call.Status.CANCELED, reason="canceled", at=now)
        return
    tries = int(row.asked.get("tries", 0))
    row.status, row.posted_at = Call.Status.QUEUED, None
    row.retry_at = now + timedelta(seconds=RETRY_S[tries])
    row.asked = {**row.asked, "tries": tries + 1}
    row.save(update_fields=["status", "posted_at", "retry_at", "asked"])
