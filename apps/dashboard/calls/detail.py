"""A call's page: what was said and when, what it cost, and what can be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from apps.calls.models import Call, CallEvent, Recording, RecordingSegment, Turn
from apps.calls.selectors import call_facts
from apps.dashboard.calls.forms import SayForm, TransferForm
from apps.dashboard.calls.listing import call_cost
from apps.dashboard.calls.story import Story, story_of
from apps.dashboard.calls.words import (
    STAGE_WORDS,
    bot_words,
    data_words,
    event_words,
    other_side,
    reason_words,
    status_words,
)
from apps.dashboard.pages import page
from apps.dashboard.scoping import may
from apps.dashboard.wording import money
from apps.webhooks.models import Delivery
from apps.webhooks.selectors import deliveries_about

WRITES: Final = "calls:write"
TOOL_RAN: Final = "tool.ran"
# How far the stages may be from the gap in the recording: the detector of speech looks at windows
# of 32 ms, see tests/gateway/test_gap.py.
TOLERANCE_MS: Final = 50
ERROR_PAGES: Final = "https://www.twilio.com/docs/api/errors/"

_WHY_SILENT: Final[Mapping[str, str]] = {
    Recording.Status.RECORDING: "It is being recorded, and can be heard when the call is over.",
    Recording.Status.PROCESSING: "The recording is being made. Look again in a minute.",
    Recording.Status.FAILED: "The recording was lost before it could be stored.",
    Recording.Status.DELETED: "The recording has been erased.",
}
_NOT_RECORDED: Final = (
    "This call was not recorded: its bot does not record, or the caller hung up before being told."
)


def calls_read(calls: QuerySet[Call]) -> QuerySet[Call]:
    """Read calls as their pages need them, without what nobody may see of a version."""
    return (
        calls.select_related("account", "config", "version", "recording")
        .defer(
            *("version__body", "version__secrets", "version__document", "recording__peaks"),
            *("account__signing_secrets", "account__twilio_auth_token", "account__defaults"),
        )
        .prefetch_related(
            "transfers",
            Prefetch("turns", Turn.objects.order_by("id")),
            Prefetch("events", CallEvent.objects.order_by("at", "id")),
            Prefetch("recording__segments", RecordingSegment.objects.order_by("started_at", "id")),
        )
    )


def call_page(request: HttpRequest, call: Call, **bound: forms.Form) -> HttpResponse:
    """Answer a call's page. bound: its forms ``transfer`` and ``say``, if they were not valid."""
    context = _context(request, call)
    if context["may_act"]:
        context["transfer"] = bound.get("transfer") or TransferForm(call=call)
        context["say"] = bound.get("say") or SayForm()
    crumbs = (("Calls", reverse("admin:calls_call_changelist")),)
    title = _title(call)
    return page(request, "dashboard/calls/call.html", title=title, crumbs=crumbs, **context)


def call_news(request: HttpRequest, call: Call) -> HttpResponse:
    """Answer what changes while a call is on; once it is over, have the page loaded anew."""
    answer = render(request, "dashboard/calls/news.html", _context(request, call))
    if call.is_over:
        answer["HX-Refresh"] = "true"
    return answer


def _title(call: Call) -> str:
    way = "to" if call.direction == Call.Direction.OUTBOUND else "from"
    return f"Call {way} {other_side(call)}"


def _context(request: HttpRequest, call: Call) -> dict[str, Any]:
    events = list(call.events.all())
    story = story_of(call, timezone.now())
    writes = may(request, WRITES, call.account_id)
    words, badge = status_words(call.status)
    return {
        "call": call,
        "story": story,
        "may_write": writes,
        "may_act": writes and not call.is_over,
        "status": {"words": words, "badge": badge, "reason": reason_words(call.end_reason)},
        "bot": {"name": bot_words(call.config), "url": _bot_url(call), "version": _version(call)},
        "stats": _stats(call, story),
        "recording": _recording(call),
        "legend": [(key, STAGE_WORDS[key]) for key in story.stages],
        "tolerance_ms": TOLERANCE_MS,
        "events": [_event(event) for event in events if event.kind != TOOL_RAN],
        "tools": [event for event in events if event.kind == TOOL_RAN],
        "deliveries": _deliveries(request, call),
        "costs": [_cost(line) for line in call.costs],
        "error_page": f"{ERROR_PAGES}{call.error_code}" if call.error_code.isdigit() else "",
    }


def _stats(call: Call, story: Story) -> list[dict[str, Any]]:
    spoken = [said.at_s for said in story.turns if said.is_bot]
    first_ms = call.first_word_ms
    if first_ms is None and spoken:
        first = next(said.turn for said in story.turns if said.is_bot)
        since = call.answered_at or call.started_at
        first_ms = round(max(0.0, (first.started_at - since).total_seconds()) * 1_000)
    return [
        {"name": "Length", "seconds": call.duration_s},
        {"name": "First word", "ms": first_ms},
        {"name": "Answers after", "ms": story.middle_ms, "note": f"{len(story.answers)}"},
        {"name": "Cost", "text": call_cost(call)},
    ]


def _recording(call: Call) -> dict[str, Any]:
    found = getattr(call, "recording", None)
    if found is None:
        waits = "" if call.is_over else "This call is not being recorded."
        return {"ready": False, "why": waits or _NOT_RECORDED, "erasable": False}
    return {
        "ready": found.status == Recording.Status.READY,
        "why": _WHY_SILENT.get(found.status, ""),
        "is_partial": found.is_partial,
        "erasable": found.status != Recording.Status.DELETED,
        "duration_s": found.duration_s,
    }


def _event(event: CallEvent) -> dict[str, Any]:
    bad = event.kind in ("provider.failed", "provider.missing", "provider.mute", "stream.error")
    words = event_words(event.kind)
    return {"at": event.at, "words": words, "says": data_words(event.data), "bad": bad}


def _deliveries(request: HttpRequest, call: Call) -> list[dict[str, Any]]:
    if not may(request, "webhooks:read", call.account_id):
        return []
    found = deliveries_about(call.account_id, call_facts(call))
    return [{"row": one, "url": _delivery_url(one)} for one in found]


def _delivery_url(delivery: Delivery) -> str:
    return _link("admin:webhooks_delivery_change", delivery.pk)


def _bot_url(call: Call) -> str:
    return _link("admin:bots_twilioconfig_change", call.config_id)


def _version(call: Call) -> dict[str, Any]:
    url = _link("admin:bots_twilioconfig_version", call.config_id, call.version.number)
    return {"number": call.version.number, "url": url or _bot_url(call)}


def _link(name: str, *about: Any) -> str:
    try:
        return reverse(name, args=about)
    except NoReverseMatch:  # a page that this installation does not have
        return ""


def _cost(line: Mapping[str, Any]) -> dict[str, Any]:
    usd = None if line["cost_usd"] is None else Decimal(line["cost_usd"])
    used = [f"{name.replace('_', ' ')} {count:g}" for name, count in line["units"].items() if count]
    return {
        "slot": line["slot"],
        "provider": line["provider"],
        "model": line["model"],
        "cost": money(usd, is_complete=line["is_complete"]),
        "used": ", ".join(used) or "not used",
    }
