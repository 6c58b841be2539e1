"""Deliveries in the admin site: one endpoint's at a time, with each attempt, and sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson
from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin

from apps.dashboard.columns import badge, moment
from apps.dashboard.paging import NewestPaginator
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in, may, narrowed
from apps.webhooks.delivering import payload
from apps.webhooks.kinds import NAMES
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.replaying import delivery_replay

if TYPE_CHECKING:
    DeliveryAdminBase = admin.ModelAdmin[Delivery]
else:
    DeliveryAdminBase = ModelAdmin

READ, WRITE = "webhooks:read", "webhooks:write"
_LOOKS = {"delivered": "good", "dead": "bad"}


class EndpointFilter(admin.SimpleListFilter):
    """One endpoint's, always: an index leads to the newest of one, to those of all none does."""

    title = "endpoint"
    parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = narrowed(request, Endpoint.objects.all(), READ)
        return [(str(pk), url) for pk, url in rows.values_list("pk", "url")]

    def value(self) -> str | None:
        """Return what was chosen, or the newest endpoint."""
        known = [str(pk) for pk, _ in self.lookup_choices]
        found = super().value()
        return found if found in known else next(iter(known), None)

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            if choice["display"] != _("All"):
                yield choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        chosen = self.value()
        return queryset.filter(endpoint_id=chosen) if chosen else queryset.none()


class KindFilter(admin.SimpleListFilter):
    """By what happened."""

    title = "event"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in NAMES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Delivery)
class DeliveryAdmin(RowPages, AccountScoped, DeliveryAdminBase):
    """What became of each event at each endpoint."""

    reading = READ
    list_title = "Deliveries"
    empty_template = "dashboard/webhooks/deliveries_empty.html"
    account_path = "endpoint__account_id"
    list_display = (
        *("kind", "state", "answer", "attempts"),
        moment("created_at", "when"),
    )
    list_filter = (EndpointFilter, "status", KindFilter)
    list_select_related = ("endpoint",)
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER  # they would count the whole of it
    list_per_page = 30
    paginator = NewestPaginator
    list_before_template = "dashboard/webhooks/of_endpoint.html"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows = super().get_queryset(request).select_related("endpoint__account")
        return rows.defer("endpoint__secret", "endpoint__previous_secret")

    def account_id_of(self, obj: Any) -> Any:
        return obj.endpoint.account_id

    @admin.display(description="state")
    def state(self, delivery: Delivery) -> SafeString:
        return badge(delivery.status, _LOOKS.get(delivery.status, "warn"))

    @admin.display(description="latest answer")
    def answer(self, delivery: Delivery) -> str:
        told = (str(delivery.last_status or ""), delivery.last_error)
        return " ".join(filter(None, told)) or "–"

    def shown(
        self, request: HttpRequest, delivery: Delivery, /, **bound: forms.Form
    ) -> HttpResponse:
        return self.page(
            request,
            "dashboard/webhooks/delivery.html",
            title=f"{delivery.kind} to {delivery.endpoint}",
            delivery=delivery,
            attempts=delivery.log.all(),
            sent=orjson.dumps(payload(delivery.event), option=orjson.OPT_INDENT_2).decode(),
            may_write=may(request, WRITE, delivery.endpoint.account_id),
        )

    @act(WRITE)
    def replay(self, request: HttpRequest, delivery: Delivery) -> HttpResponse:
        delivery_replay(delivery, actor=actor_in(request))
        messages.success(request, "It will be sent again in a moment, with the id that it had.")
        return redirect(self.page_of(delivery))
