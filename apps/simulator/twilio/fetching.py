"""Asks for a document, and for the fallback when that fails.

Source: Twilio's errors 11200 to 11750, 12100, 12200 and 12300, and "Availability and reliability".
"""

from __future__ import annotations

from collections.abc import Mapping

from apps.simulator.twilio.callbacks import standard_fields
from apps.simulator.twilio.live import HangUpNow, LiveCall, Source, is_absolute
from apps.simulator.twilio.tempo import speaking_s
from apps.simulator.twilio.webhooks import Hook, WebhookFailed
from apps.simulator.twiml import Document, TwimlRefused, interpret

_TYPES = ("text/xml", "application/xml")


async def document_of(
    live: LiveCall, source: Source, extra: Mapping[str, str]
) -> tuple[Document, Source]:
    """Return a document and where it came from: the source, or its fallback.

    extra: fields beside the standard ones. Raises HangUpNow when there is nothing to run: the
    caller hears of an application error, as with Twilio.
    """
    try:
        return await _read(live, source, extra), source
    except WebhookFailed as failed:
        code, text = failed.code, failed.text
    except TwimlRefused as refused:
        code, text = int(refused.code), refused.message
    live.exchange.world.alert(code, text)
    if source.fallback_url:
        fallback = Source(source.fallback_url, source.fallback_method)
        blame = {"ErrorCode": str(code), "ErrorUrl": source.url}
        return await document_of(live, fallback, {**extra, **blame})
    await application_error(live)
    raise HangUpNow


async def application_error(live: LiveCall) -> None:
    """Answer, say Twilio's sentence and leave."""
    live.answer()
    text = live.exchange.habits.fetch_error_text
    live.hear("say", text)
    await live.sleep(speaking_s(text))


async def _read(live: LiveCall, source: Source, extra: Mapping[str, str]) -> Document:
    text = source.twiml
    if source.url:
        if not is_absolute(source.url):
            raise WebhookFailed(11100, f"{source.url} is not an absolute URL")
        hook = Hook(source.url, source.method)
        reply = await live.exchange.webhooks.ask(
            live.account, hook, {**standard_fields(live.call), **extra}
        )
        kind = reply.content_type.partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise WebhookFailed(12300, f"{source.url} answered {kind or 'no content type'}")
        text = reply.text
    document = interpret(text)
    for warning in document.warnings:
        code, _, message = warning.partition(": ")
        live.exchange.world.alert(int(code) if code.isdecimal() else 0, message or warning)
    return document
