"""What Twilio asks when a call's TwiML could not be had: the last word to a caller."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from prometheus_client import Counter

from apps.bots.selectors import twilio_config_by_id
from apps.calls.webhook_requests import RequestRefused, asked_of, fields_of, refusal
from apps.telephony.twiml import spoken_document
from apps.voice.settings import Lines

logger = logging.getLogger(__name__)

APOLOGIES = Counter("botsconfig_twilio_fallbacks", "Calls that ended with a spoken apology.")
# The request is not Twilio's; whoever it is, hears nothing. For the other reasons it may be.
_REFUSED = frozenset(("signature_missing", "signature_wrong"))
_ENGLISH = "en-US"
# Twilio's name of a language that a bot names in short. Source: the languages of <Say>.
_SPOKEN: Mapping[str, str] = {
    "da": "da-DK",
    "de": "de-DE",
    "en": "en-US",
    "es": "es-ES",
    "fi": "fi-FI",
    "fr": "fr-FR",
    "it": "it-IT",
    "ja": "ja-JP",
    "ko": "ko-KR",
    "nb": "nb-NO",
    "nl": "nl-NL",
    "pl": "pl-PL",
    "pt": "pt-PT",
    "ru": "ru-RU",
    "sv": "sv-SE",
    "zh": "zh-CN",
}


@csrf_exempt
@require_http_methods(["GET", "POST"])
def fallback(request: HttpRequest) -> HttpResponse:
    """Apologise and hang up: in the bot's own words, where they are to be had, else in English.

    Works without the database: whatever fails here, the caller hears a sentence.
    """
    text, language = Lines().failure, _ENGLISH
    try:
        _check(request)
        text, language = _words(request.GET.get("bot", "")) or (text, language)
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


def _words(bot: str) -> tuple[str, str] | None:
    """Return the bot's own words and their language; None where it has none of its own."""
    config = twilio_config_by_id(bot)
    if config is None or config.current is None:
        return None
    document = config.current.document
    text = " ".join(document.get("lines", {}).get("failure", "").split())
    named = str(document["tts"].get("language") or "en")
    language = named if len(named) == 5 else _SPOKEN.get(named[:2].lower(), "")
    return (text, language) if text and text.isprintable() and language else None
