"""What the list of calls is narrowed by, as a form in its address."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.bots.models import TwilioConfig
from apps.calls.finding import (
    calls_about,
    calls_between,
    calls_longer,
    calls_open,
    calls_recorded,
)
from apps.calls.models import Call
from apps.dashboard.calls.words import END_REASONS, STATUSES, bot_words
from apps.dashboard.scoping import narrowed

LIVE: Final = "live"
CUSTOM: Final = "custom"
# More bots are not offered to choose from; an address may name any.
BOTS: Final = 200

_WHEN: Final = (
    ("", "Any time"),
    ("today", "Today"),
    ("day", "Last 24 hours"),
    ("week", "Last 7 days"),
    ("month", "Last 30 days"),
    (CUSTOM, "From … to …"),
)
_SPANS: Final[Mapping[str, timedelta]] = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
_MOMENT: Final = "%Y-%m-%dT%H:%M"


def _input(**attrs: str) -> dict[str, str]:
    return {"class": "bc-input", **attrs}


def _select(label: str, first: str, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        required=False,
        choices=[("", first), *choices],
        widget=forms.Select(attrs=_input()),
    )


def _moment(label: str) -> forms.DateTimeField:
    # Read and shown in the viewer's zone, which is the current one.
    widget = forms.DateTimeInput(attrs=_input(type="datetime-local"), format=_MOMENT)
    return forms.DateTimeField(label=label, required=False, widget=widget, input_formats=[_MOMENT])


class CallFilters(forms.Form):
    """All fields may be empty: then nothing is narrowed."""

    q = forms.CharField(
        label="Number or SID",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs=_input(type="search", placeholder="+49 30 … or CA…")),
    )
    status = _select(
        "Status",
        "Any",
        [(LIVE, "Not over"), *((name, text) for name, (text, _) in STATUSES.items())],
    )
    direction = _select("Direction", "Both", [("inbound", "Incoming"), ("outbound", "Outgoing")])
    bot = _select("Bot", "Any", [])
    reason = _select("Ended because", "Any", sorted(END_REASONS.items(), key=lambda one: one[1]))
    when = forms.ChoiceField(
        label="When", required=False, choices=_WHEN, widget=forms.Select(attrs=_input())
    )
    since = _moment("From")
    until = _moment("To")
    longer = forms.IntegerField(
        label="At least … seconds long",
        required=False,
        min_value=0,
        max_value=86_400,
        widget=forms.NumberInput(attrs=_input(inputmode="numeric")),
    )
    recorded = forms.BooleanField(label="Recorded", required=False)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.GET, prefix=None)
        self._bots = narrowed(request, TwilioConfig.objects.all(), "calls:read")
        self.fields["bot"] = _select("Bot", "Any", self._bot_choices(request.GET.get("bot", "")))

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        since, until = found.get("since"), found.get("until")
        if since and until and until <= since:
            self.add_error("until", "Later than the beginning.")
        return found

    @property
    def said(self) -> dict[str, str]:
        """What was asked for, as it stands in the address."""
        asked = {name: str(self.data.get(name, "")).strip() for name in self.fields}
        return {name: text for name, text in asked.items() if text}

    def narrow(self, calls: QuerySet[Call]) -> QuerySet[Call]:
        """Return the calls that are asked for; none, if something that was asked is not valid."""
        if not self.is_valid():
            return calls.none()
        given = self.cleaned_data
        calls = _by_columns(calls, given)
        calls = calls_between(calls, *self._span(given))
        if given["q"]:
            calls = calls_about(calls, given["q"])
        if given["longer"]:
            calls = calls_longer(calls, given["longer"])
        if given["recorded"]:
            calls = calls_recorded(calls)
        return calls_open(calls) if given["status"] == LIVE else calls

    def _span(self, given: Mapping[str, Any]) -> tuple[Any, Any]:
        now = timezone.now()
        if given["when"] == "today":
            return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0), None
        if span := _SPANS.get(given["when"]):
            return now - span, None
        return given["since"], given["until"]

    def _bot_choices(self, chosen: str) -> list[tuple[str, str]]:
        bots = list(self._bots.only("id", "name").order_by("name", "id")[:BOTS])
        known = {str(bot.pk) for bot in bots}
        if chosen and chosen not in known and _is_id(chosen):
            bots += self._bots.only("id", "name").filter(pk=chosen)
        return [(str(bot.pk), bot_words(bot)) for bot in bots]


def _by_columns(calls: QuerySet[Call], given: Mapping[str, Any]) -> QuerySet[Call]:
    columns = {
        "status": "" if given["status"] == LIVE else given["status"],
        "direction": given["direction"],
        "config_id": given["bot"],
        "end_reason": given["reason"],
    }
    return calls.filter(**{name: value for name, value in columns.items() if value})


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
