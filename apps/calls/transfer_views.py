"""What Twilio asks while a caller is put through: what the human hears, and what comes after."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.calls.spoken import ENGLISH, language_of
from apps.calls.transfer_ends import DialOver, dial_over, human_answered
from apps.calls.webhook_requests import (
    Asked,
    RequestRefused,
    asked_of,
    callback_url,
    refusal,
)
from apps.telephony.progress import TERMINAL, number
from apps.telephony.twiml import empty_document, whisper_document

NO_SUMMARY = "A caller is being put through to you."


@csrf_exempt
@require_http_methods(["GET", "POST"])
def whisper(request: HttpRequest) -> HttpResponse:
    """What the human hears before the caller does; asked again when that was said."""
    try:
        asked, call_id = _asked(request)
    except RequestRefused as refused:
        return refusal(refused)
    heard = "said" in request.GET
    found = human_answered(
        account_id=asked.account.id,
        call_id=call_id,
        transfer_id=request.GET.get("transfer", ""),
        heard=heard,
        now=timezone.now(),
    )
    if found is None or heard:
        return _twiml(empty_document())
    said_url = callback_url(
        "whisper",
        account_id=asked.account.id,
        call_id=call_id,
        transfer=str(found.pk),
        said="1",
    )
    language = language_of(found.call.version.document) or ENGLISH
    text = found.summary or NO_SUMMARY
    return _twiml(whisper_document(text, language=language, then_url=said_url))


@csrf_exempt
@require_http_methods(["GET", "POST"])
def after_dial(request: HttpRequest) -> HttpResponse:
    """Twilio's question when ``<Dial>`` has ended: hang up, or back to the bot."""
    try:
        asked, call_id = _asked(request)
    except RequestRefused as refused:
        return refusal(refused)
    fields = asked.fields
    over = DialOver(
        account_id=asked.account.id,
        call_id=call_id,
        transfer_id=request.GET.get("transfer", ""),
        status=fields.get("DialCallStatus", ""),
        bridged={"true": True, "false": False}.get(fields.get("DialBridged", "").lower()),
        talked_s=number(fields.get("DialCallDuration", "")),
        leg_sid=fields.get("DialCallSid", "")[:64],
        caller_gone=fields.get("CallStatus", "") in TERMINAL,
    )
    return _twiml(dial_over(over, now=timezone.now()))


def _asked(request: HttpRequest) -> tuple[Asked, uuid.UUID]:
    asked = asked_of(request)
    try:
        return asked, uuid.UUID(request.GET.get("call", ""))
    except ValueError:
        raise RequestRefused("malformed") from None


def _twiml(document: str) -> HttpResponse:
    return HttpResponse(document, content_type="text/xml")
