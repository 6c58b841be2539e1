"""What Twilio asks when a call's TwiML could not be had: the last word to a caller."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from prometheus_client import Counter

from apps.bots.selectors import twilio_config_by_id
from apps.calls.spoken import apology_of
from apps.calls.webhook_requests import RequestRefused, asked_of, fields_of, refusal
from apps.telephony.twiml import spoken_document

logger = logging.getLogger(__name__)

APOLOGIES = Counter("botsconfig_twilio_fallbacks", "Calls that ended with a spoken apology.")
# The request is not Twilio's; whoever it is, hears nothing. For the other reasons it may be.
_REFUSED = frozenset(("signature_missing", "signature_wrong"))


@csrf_exempt
@require_http_methods(["GET", "POST"])
def fallback(request: HttpRequest) -> HttpResponse:
    """Apologise and hang up: in the bot's own words, where they are to be had, else in English.

    Works without the database: whatever fails here, the caller hears a sentence.
    """
    text, language = apology_of({})
    try:
        _check(request)
        text, language = apology_of(_document(request.GET.get("bot", "")))
    except RequestRefused as refused:
        return refusal(refused)
    except Exception:  # the caller waits, and nobody else will answer
        logger.exception("A fallback knows no more than to apologise")
    code = fields_of(request).get("ErrorCode", "")[:8]
    logger.warning("A call fell back", extra={"code": code})
    APOLOGIES.inc()
    return HttpResponse(spoken_document(text, language=language), content_type="text/xml")


def _check(request: HttpRequest) -> None:
    try:
        asked_of(request)
    except RequestRefused as refused:
        if refused.reason in _REFUSED:
            raise


def _document(bot: str) -> Mapping[str, Any]:
    config = twilio_config_by_id(bot)
    return {} if config is None or config.current is None else config.current.document
