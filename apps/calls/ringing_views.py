"""What Twilio asks while a call is on: what to do with it, and what comes after its stream."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.bots.models import TwilioConfig
from apps.bots.twiml import bin_key_fits
from apps.bots.variables import NAME, RESERVED
from apps.calls.models import call_id
from apps.calls.resumption import StreamOver, what_next
from apps.calls.ringing import Ringing, announce
from apps.calls.selectors import dialled_in
from apps.calls.tokens import StreamToken
from apps.calls.twiml import stream_twiml
from apps.calls.webhook_requests import (
    RequestRefused,
    asked_of,
    fields_of,
    refusal,
    request_check,
)
from apps.telephony.twiml import hang_up_document, spoken_document

NOT_IN_SERVICE = "This number is not in service. Goodbye."
# A SIP address may stand for a number; what is longer than this is cut, not refused.
LONGEST_NUMBER = 200
# What Twilio tells of a call that bots may use as variables, by our names.
_FACTS = {
    "from": "From",
    "to": "To",
    "caller_name": "CallerName",
    "from_city": "FromCity",
    "from_state": "FromState",
    "from_zip": "FromZip",
    "from_country": "FromCountry",
    "forwarded_from": "ForwardedFrom",
}
_VARIABLE = re.compile(NAME)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def voice(request: HttpRequest, config_id: uuid.UUID) -> HttpResponse:
    """Twilio's request for TwiML when a call comes in: the bot's, if the request is Twilio's.

    Unsigned requests get nothing, because the answer lets a stream in; so an account whose auth
    token is not stored uses a TwiML Bin instead. A request for a call that is over is a replay.
    The query's own parameters are variables of the bot. One query.
    """
    call_sid = fields_of(request).get("CallSid", "")[:64]
    asked = dialled_in(config_id, call_sid.replace("\x00", ""))
    if asked is None or not asked.is_published:
        return _twiml(spoken_document(NOT_IN_SERVICE))
    try:
        request_check(request, asked.account)
        if asked.over or not call_sid:
            raise RequestRefused("replayed" if asked.over else "call_missing")
    except RequestRefused as refused:
        return refusal(refused)
    given = _given(request)
    identifier = call_id(account_id=asked.account.id, call_sid=call_sid)
    token = StreamToken(identifier, config_id, asked.attempts + 1, call_sid=call_sid)
    answer = _twiml(stream_twiml(token, account_id=asked.account.id, parameters=given))
    announce(Ringing(str(config_id), call_sid, given))
    return answer


@csrf_exempt
@require_http_methods(["GET", "POST"])
def after_stream(request: HttpRequest) -> HttpResponse:
    """Twilio's question when ``<Connect>`` has ended: hang up, or bring the caller back."""
    if "account" not in request.GET:
        # TwiML from before calls could be brought back, still in somebody's Bin.
        return _twiml(hang_up_document())
    try:
        over = _over(request)
        return _twiml(what_next(over, now=timezone.now()))
    except RequestRefused as refused:
        return refusal(refused)
    except TwilioConfig.DoesNotExist:
        return _twiml(hang_up_document())


def _over(request: HttpRequest) -> StreamOver:
    """Read the question. Raises RequestRefused."""
    asked = request.GET
    try:
        account_id = asked_of(request).account.id
    except RequestRefused as refused:
        if refused.reason != "unverifiable" or not _is_of_a_bin(request):
            raise
        account_id = uuid.UUID(asked["account"])
    call_sid = fields_of(request).get("CallSid", "")[:64].replace("\x00", "")
    try:
        config_id = uuid.UUID(asked.get("bot", ""))
        known = uuid.UUID(asked["call"]) if "call" in asked else None
        breaks = max(0, int(asked.get("breaks", "0")))
    except ValueError:
        raise RequestRefused("malformed") from None
    identifier = known or call_id(account_id=account_id, call_sid=call_sid)
    return StreamOver(account_id, config_id, identifier, call_sid, breaks)


def _is_of_a_bin(request: HttpRequest) -> bool:
    """Whether the question comes out of a bot's own TwiML, pasted into a Bin."""
    try:
        config_id, account_id = (
            uuid.UUID(request.GET.get(name, "")) for name in ("bot", "account")
        )
    except ValueError:
        return False
    bot = TwilioConfig.objects.filter(pk=config_id, account_id=account_id, deleted_at=None).first()
    return bot is not None and bin_key_fits(bot, request.GET.get("key", ""))


def _given(request: HttpRequest) -> Mapping[str, str]:
    """Return what the call brings for the bot's variables; a caller may hide, or be no number."""
    fields = fields_of(request)
    asked = {
        name: str(text)
        for name, text in request.GET.items()
        if name[:1].islower() and _VARIABLE.fullmatch(name) and name not in RESERVED
    }
    told = {name: str(fields.get(field, "")) for name, field in _FACTS.items()}
    facts = {name: text[:LONGEST_NUMBER] for name, text in told.items() if text}
    return {name: text for name, text in {**asked, **facts}.items() if text.isprintable()}


def _twiml(document: str) -> HttpResponse:
    return HttpResponse(document, content_type="text/xml")
