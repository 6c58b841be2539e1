"""Endpoints in the admin site."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.dashboard.columns import badge, moment
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in, may
from apps.dashboard.secrets import shown_once
from apps.dashboard.webhooks.forms import (
    EndpointChangeForm,
    EndpointForm,
    ReplayForm,
    SecretRotationForm,
)
from apps.webhooks.endpoints import (
    endpoint_create,
    endpoint_delete,
    endpoint_ping,
    endpoint_secret_rotate,
    endpoint_update,
)
from apps.webhooks.models import Endpoint
from apps.webhooks.replaying import deliveries_replay
from apps.webhooks.selectors import deliveries_of

if TYPE_CHECKING:
    EndpointAdminBase = admin.ModelAdmin[Endpoint]
else:
    EndpointAdminBase = ModelAdmin

READ, WRITE = "webhooks:read", "webhooks:write"
_LATEST = 10


@admin.register(Endpoint)
class EndpointAdmin(RowPages, AccountScoped, EndpointAdminBase):
    """Where events go."""

    reading, adding = READ, WRITE
    list_title = "Webhooks"
    empty_template = "dashboard/webhooks/empty.html"
    list_display = (
        *("url", "description", "events", "state"),
        *("account", moment("created_at", "since")),
    )
    list_filter = ("enabled",)
    search_fields = ("url", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        rows = super().get_queryset(request).select_related("account")
        return rows.defer("secret", "previous_secret")

    @admin.display(description="state", ordering="enabled")
    def state(self, endpoint: Endpoint) -> SafeString:
        return badge("enabled", "good") if endpoint.enabled else badge("disabled", "quiet")

    @admin.display(description="events")
    def events(self, endpoint: Endpoint) -> str:
        return ", ".join(endpoint.kinds) or "everything"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        accounts = self.accounts_for(request)
        form = EndpointForm(request.POST or None, accounts=accounts)
        if form.is_valid():
            with form.refusals():
                endpoint, secret = endpoint_create(
                    account=form.cleaned_data["account"], actor=actor_in(request), **form.given
                )
                return self._told(request, endpoint, secret, "The endpoint is made.")
        return self.page(request, "dashboard/webhooks/add.html", title="Add an endpoint", form=form)

    @act(WRITE)
    def edit(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        form = EndpointChangeForm(request.POST, endpoint=endpoint)
        if form.is_valid():
            endpoint_update(**self._named(request, endpoint), changes=form.given)
            messages.success(request, "The endpoint is changed.")
            return redirect(self.page_of(endpoint))
        return self.shown(request, endpoint, change=form)

    @act(WRITE)
    def enable(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        endpoint_update(**self._named(request, endpoint), changes={"enabled": True})
        messages.success(request, "Events go there again. What it has missed can be replayed.")
        return redirect(self.page_of(endpoint))

    @act(WRITE)
    def disable(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        endpoint_update(**self._named(request, endpoint), changes={"enabled": False})
        messages.success(request, "No events go there until it is enabled again.")
        return redirect(self.page_of(endpoint))

    @act(WRITE)
    def rotate(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        form = SecretRotationForm(request.POST)
        if form.is_valid():
            grace = timedelta(seconds=form.given["grace_seconds"])
            found, secret = endpoint_secret_rotate(**self._named(request, endpoint), grace=grace)
            return self._told(request, found, secret, "The endpoint has another secret.")
        return self.shown(request, endpoint, rotate=form)

    @act(WRITE)
    def ping(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        delivery = endpoint_ping(account=endpoint.account, endpoint_id=endpoint.pk)
        attempt = delivery.log.get()
        if attempt.error:
            messages.error(request, f"The ping was not accepted: {attempt.info}")
        else:
            took = f"{attempt.duration_ms} ms"
            messages.success(request, f"The ping was accepted: {attempt.status} after {took}.")
        return redirect(self.page_of(endpoint))

    @act(WRITE)
    def replay(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        form = ReplayForm(request.POST)
        if form.is_valid():
            with form.refusals():
                found = deliveries_replay(endpoint, actor=actor_in(request), **form.given)
                events = "1 event" if found.count == 1 else f"{found.count} events"
                messages.success(request, f"{events} will be sent again.")
                if found.next_since is None:
                    return redirect(self.page_of(endpoint))
                messages.warning(request, "There are more: replay again from where this one ends.")
                more = {**form.given, "since": found.next_since}
                return self.shown(request, endpoint, replay=ReplayForm(initial=more))
        return self.shown(request, endpoint, replay=form)

    @act(WRITE)
    def delete(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        endpoint_delete(**self._named(request, endpoint))
        messages.success(request, f"{endpoint} is forgotten, with the log of its deliveries.")
        return redirect(self.list_page())

    def _named(self, request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
        return {
            "account": endpoint.account,
            "endpoint_id": endpoint.pk,
            "actor": actor_in(request),
        }

    def _told(
        self, request: HttpRequest, endpoint: Endpoint, secret: str, title: str
    ) -> HttpResponse:
        return shown_once(
            request,
            title=title,
            what="secret",
            use="Your receiver verifies signatures with it.",
            secret=secret,
            onward=self.page_of(endpoint),
        )

    def shown(
        self, request: HttpRequest, endpoint: Endpoint, /, **bound: forms.Form
    ) -> HttpResponse:
        return self.page(
            request,
            "dashboard/webhooks/endpoint.html",
            title=endpoint.url,
            endpoint=endpoint,
            deliveries=deliveries_of(endpoint)[:_LATEST],
            may_write=may(request, WRITE, endpoint.account_id),
            forms={
                "change": EndpointChangeForm(endpoint=endpoint),
                "rotate": SecretRotationForm(),
                "replay": ReplayForm(),
                **bound,
            },
        )
