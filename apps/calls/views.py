"""What Twilio asks: for TwiML when a call comes in, and what to do when a stream is over."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.bots.selectors import twilio_config_by_id
from apps.bots.twiml import config_twiml
from apps.calls.ringing import Ringing, announce
from apps.calls.webhook_requests import (
    RequestRefused,
    fields_of,
    refusal,
    request_check,
)
from apps.telephony.twiml import hang_up_document, spoken_document

# A SIP address may stand for a number; what is longer than this is cut, not refused.
LONGEST_NUMBER = 200
NOT_IN_SERVICE = "This number is not in service. Goodbye."


@csrf_exempt
@require_http_methods(["GET", "POST"])
def voice(request: HttpRequest, config_id: uuid.UUID) -> HttpResponse:
    """Twilio's request for TwiML when a call comes in: the bot's, if the request is Twilio's.

    Unsigned requests get nothing, because the answer holds the bot's stream token; so an account
    whose auth token is not stored uses a TwiML Bin instead. One query.
    """
    config = twilio_config_by_id(config_id)
    if config is None or config.current is None:
        return HttpResponse(spoken_document(NOT_IN_SERVICE), content_type="text/xml")
    try:
        request_check(request, config.account)
    except RequestRefused as refused:
        return refusal(refused)
    numbers = _numbers(request)
    call_sid = fields_of(request).get("CallSid", "")[:64]
    announce(Ringing(str(config.id), call_sid, numbers))
    return HttpResponse(config_twiml(config, numbers), content_type="text/xml")


def _numbers(request: HttpRequest) -> dict[str, str]:
    """Who calls whom, for the bot's variables; a caller may hide, or be no number at all."""
    asked = fields_of(request)
    found = {"from": asked.get("From", ""), "to": asked.get("To", "")}
    return {name: text[:LONGEST_NUMBER] for name, text in found.items() if text.isprintable()}


@csrf_exempt
@require_http_methods(["GET", "POST"])
def after_stream(request: HttpRequest) -> HttpResponse:
    """Twilio's question when ``<Connect>`` has ended: the conversation is over, hang up."""
    return HttpResponse(hang_up_document(), content_type="text/xml")
