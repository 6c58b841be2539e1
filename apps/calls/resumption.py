"""What comes next when a stream is over: nothing, or the caller is brought back to the bot.

Twilio asks when the socket of ``<Connect><Stream>`` has closed, whoever closed it. An end on
purpose is written down before the gateway closes the socket, so what does not stand there broke.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.bots.models import TwilioConfig
from apps.calls.endings import call_close
from apps.calls.entries import TRANSFERRED
from apps.calls.models import Call, Transfer
from apps.calls.spoken import apology_of
from apps.calls.tokens import StreamToken
from apps.calls.transfers import (
    MARGIN_S,
    RING_DEFAULT_S,
    TALK_LONGEST_S,
    transfer_make,
    transfer_twiml,
)
from apps.calls.twiml import stream_twiml
from apps.telephony.twiml import Pause, hang_up_document, spoken_document

# How often a caller is brought back before the bot is given up.
TRIES = 3
# From the second time on somebody else may need a moment to start.
PAUSES_S = (0, 1, 2)
# A transfer target of this name gets the calls that could not be brought back.
FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class StreamOver:
    """Twilio's question. breaks: how often the call's line broke before."""

    account_id: uuid.UUID
    config_id: uuid.UUID
    call_id: uuid.UUID
    call_sid: str
    breaks: int = 0


def what_next(over: StreamOver, *, now: datetime) -> str:
    """Return the TwiML that goes on with the call. One or two queries.

    Raises TwilioConfig.DoesNotExist where no call is known, and no such bot.
    """
    calls = Call.objects.filter(pk=over.call_id, account_id=over.account_id)
    call = calls.select_related("version").first()
    if call is not None and (call.is_over or call.end_reason == TRANSFERRED):
        return hang_up_document()
    if over.breaks >= TRIES:
        return _give_up(over, call, now)
    if call is None:
        # Its stream was refused, or nothing of it was written before the gateway was gone.
        TwilioConfig.objects.only("id").get(
            pk=over.config_id, account_id=over.account_id, deleted_at=None
        )
    return _again(over, call)


def _again(over: StreamOver, call: Call | None) -> str:
    attempt = over.breaks + 2 if call is None else max(call.attempts, 1) + 1
    token = StreamToken(over.call_id, over.config_id, attempt, call_sid=over.call_sid)
    pause_s = PAUSES_S[over.breaks]
    return stream_twiml(
        token,
        account_id=over.account_id,
        breaks=over.breaks + 1,
        before=(Pause(pause_s),) if pause_s else (),
    )


def _give_up(over: StreamOver, call: Call | None, now: datetime) -> str:
    document: dict[str, Any] = {} if call is None else call.version.document
    target = (document.get("transfers") or {}).get(FALLBACK)
    with transaction.atomic():
        found = Call.objects.select_for_update().filter(pk=over.call_id).first()
        if found is not None and not found.is_over and target and not _was_tried(found):
            return _fall_back(found, target["to"], now)
        if found is not None:
            call_close(found, status=Call.Status.FAILED, reason="line_lost", at=now)
    text, language = apology_of(document)
    return spoken_document(text, language=language)


def _was_tried(call: Call) -> bool:
    """Whether nobody took the call when it was put through: then it is not tried for ever."""
    return Transfer.objects.filter(call=call).exclude(reason="").exists()


def _fall_back(call: Call, to: str, now: datetime) -> str:
    # A gateway that was killed has not said that its stream is over.
    call.stream_ended_at, call.end_reason = call.stream_ended_at or now, TRANSFERRED
    call.cap_at = now + timedelta(seconds=RING_DEFAULT_S + TALK_LONGEST_S + MARGIN_S)
    call.save(update_fields=["stream_ended_at", "end_reason", "cap_at"])
    # One that was under way when the line broke is over with it.
    Transfer.objects.filter(call=call, ended_at=None).update(ended_at=now, reason="line_lost")
    transfer = transfer_make(call, to=to, mode=Transfer.Mode.COLD, summary="", now=now)
    return transfer_twiml(transfer)
