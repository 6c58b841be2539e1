"""The list of calls: found by filters in its address, a page at a time, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from apps.calls.export import calls_export
from apps.calls.models import Call
from apps.calls.viewsets import NewestCallFirst
from apps.core.streams import streamed
from apps.dashboard.calls.filters import LIVE, CallFilters
from apps.dashboard.calls.words import bot_words, other_side, reason_words, status_words
from apps.dashboard.pages import page
from apps.dashboard.scoping import actor_in, narrowed, shows_several
from apps.dashboard.wording import money

READS: Final = "calls:read"
# What is asked for most, a click away: title, and what it puts into the address.
VIEWS: Final = (
    ("All", ""),
    ("Live", f"status={LIVE}"),
    ("Today", "when=today"),
    ("Failed", "status=failed"),
    ("Recorded", "recorded=on"),
)
_SHOWN: Final = (
    *("call_sid", "status", "direction", "from_number", "to_number", "end_reason"),
    *("started_at", "answered_at", "ended_at", "stream_sid", "cost_usd", "cost_is_complete"),
    *(
        "error_code",
        "first_word_ms",
        "medium",
        "config__name",
        "account__name",
        "recording__status",
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A call as the list shows it."""

    call: Call

    @property
    def url(self) -> str:
        return reverse("admin:calls_call_change", args=[self.call.pk])

    @property
    def who(self) -> str:
        return other_side(self.call)

    @property
    def bot(self) -> str:
        return bot_words(self.call.config)

    @property
    def status(self) -> str:
        return status_words(self.call.status)[0]

    @property
    def badge(self) -> str:
        return status_words(self.call.status)[1]

    @property
    def reason(self) -> str:
        return reason_words(self.call.end_reason)

    @property
    def cost(self) -> str:
        return call_cost(self.call)

    @property
    def recorded(self) -> bool:
        recording = getattr(self.call, "recording", None)
        return recording is not None and recording.status == "ready"


def call_cost(call: Call) -> str:
    """Say what a call cost; nothing yet while it is on."""
    if call.ended_at is None and call.cost_usd is None:
        return "–"
    return money(call.cost_usd, is_complete=call.cost_is_complete)


def calls_page(request: HttpRequest) -> HttpResponse:
    """Answer the list of calls."""
    filters = CallFilters(request)
    paginator = NewestCallFirst()
    calls = _asked_for(request, filters)
    try:
        found = paginator.paginate_queryset(calls, Request(request))
    except ValidationError:  # an address that somebody has changed
        return HttpResponseRedirect(request.path)
    links = paginator.get_paginated_response([]).data
    rows = _rows(found)
    return page(
        request,
        "dashboard/calls/list.html",
        title="Calls",
        filters=filters,
        narrowed=bool(filters.said),
        views=_views(filters),
        rows=rows,
        refresh_s=_refresh_s(rows) if not links["previous"] else None,
        several=shows_several(request),
        older=_query(links["next"]),
        newer=_query(links["previous"]),
        export=f"{reverse('admin:calls_call_export')}?{request.GET.urlencode()}",
    )


def calls_file(request: HttpRequest) -> HttpResponseBase:
    """Answer the calls that the list would show, all of them, as CSV."""
    filters = CallFilters(request)
    if not filters.is_valid():
        back = f"{reverse('admin:calls_call_changelist')}?{request.GET.urlencode()}"
        return HttpResponseRedirect(back)
    pieces: Iterator[str] = calls_export(
        calls=_asked_for(request, filters), filters=filters.said, actor=actor_in(request)
    )
    name = f"calls-{timezone.localtime():%Y%m%d-%H%M}.csv"
    return StreamingHttpResponse(
        streamed(request, pieces),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _asked_for(request: HttpRequest, filters: CallFilters) -> QuerySet[Call]:
    return filters.narrow(narrowed(request, Call.objects.all(), READS)).only("id", "started_at")


def _refresh_s(rows: list[Row]) -> int:
    """Return how soon the newest calls are asked for again: sooner while one of them is on."""
    return 5 if any(not row.call.is_over for row in rows) else 15


def _rows(found: list[Call]) -> list[Row]:
    """Read the rows of a page: what was sorted to find them had to be slim."""
    calls = Call.objects.filter(pk__in=[call.pk for call in found])
    whole = calls.select_related("config", "account", "recording").only("id", *_SHOWN)
    return [Row(call) for call in whole]


def _views(filters: CallFilters) -> list[dict[str, Any]]:
    said = filters.said
    return [
        {"title": title, "query": query, "active": said == dict(_pair(query))}
        for title, query in VIEWS
    ]


def _pair(query: str) -> Iterator[tuple[str, str]]:
    if query:
        name, _, value = query.partition("=")
        yield name, value


def _query(link: str | None) -> str:
    return f"?{urlsplit(link).query}" if link else ""
