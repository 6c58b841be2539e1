"""Filters of lists that the admin has none of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.dashboard.forms import MomentField, PlainForm


class SpanForm(PlainForm):
    """From when to when."""

    since = MomentField(required=False, label="From this time on")
    until = MomentField(required=False, label="Before this time")


class SpanFilter(admin.SimpleListFilter):
    """Rows of a time, by the reader's own clock: from ``since`` on, before ``until``.

    moment: the field that says when a row was.
    """

    title = "time"
    parameter_name = "since"
    template = "dashboard/parts/span_filter.html"
    moment: ClassVar[str] = "created_at"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        if "until" in params:
            self.used_parameters["until"] = params.pop("until")[-1]
        self.form = SpanForm(self.used_parameters)

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return ["since", "until"]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return []

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {"form": self.form, "selected": False, "query_string": "", "display": ""}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.form.is_valid():  # the form says so
            return queryset
        since, until = self.form.cleaned_data["since"], self.form.cleaned_data["until"]
        if since is not None:
            queryset = queryset.filter(**{f"{self.moment}__gte": since})
        return queryset if until is None else queryset.filter(**{f"{self.moment}__lt": until})
