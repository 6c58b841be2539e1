"""Connections to Twilio in the admin site."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.accounts.connections import (
    Saved,
    connection_check,
    connection_create,
    connection_delete,
    connection_patch,
    subaccounts_of,
    warnings_of,
)
from apps.accounts.models import TwilioConnection
from apps.accounts.scopes import ADMIN
from apps.calls.number_watch import numbers_refresh
from apps.dashboard.columns import badge, moment
from apps.dashboard.connections.forms import ConnectionChangeForm, ConnectionForm
from apps.dashboard.refusals import REFUSALS, refusal_of
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in, may

if TYPE_CHECKING:
    ConnectionAdminBase = admin.ModelAdmin[TwilioConnection]
else:
    ConnectionAdminBase = ModelAdmin

READ = "phones:read"


@admin.register(TwilioConnection)
class TwilioConnectionAdmin(RowPages, AccountScoped, ConnectionAdminBase):
    """The Twilio accounts that an account works with."""

    reading, adding = READ, ADMIN
    list_title = "Twilio connections"
    empty_template = "dashboard/connections/empty.html"
    list_display = (
        *("__str__", "account_sid", "works", "numbers"),
        *("account", moment("checked_at", "tried")),
    )
    search_fields = ("name", "account_sid", "friendly_name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).select_related("account", "parent")
        secrets = ("auth_token", "api_key_secret", "signing_keys")
        rows = rows.defer(*secrets, *(f"parent__{name}" for name in secrets))
        assigned = Count("phone_numbers", filter=~Q(phone_numbers__config=None))
        counted = rows.annotate(number_count=Count("phone_numbers"), assigned_count=assigned)
        return cast("QuerySet[Any]", counted)

    @admin.display(description="works")
    def works(self, connection: TwilioConnection) -> SafeString:
        if connection.check_error:
            return badge("no", "bad")
        return badge("yes", "good") if connection.checked_at else badge("not tried", "warn")

    @admin.display(description="numbers")
    def numbers(self, connection: Any) -> str:
        return f"{connection.number_count} ({connection.assigned_count} with a bot)"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.subaccounts)
        name = "accounts_twilioconnection_subaccounts"
        return [path("<uuid:object_id>/subaccounts/", view, name=name), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        accounts = self.accounts_for(request)
        asked = {name: request.GET.get(name) for name in ("account", "account_sid", "parent_id")}
        form = ConnectionForm(request.POST or None, accounts=accounts, initial=asked)
        if form.is_valid():
            with form.refusals():
                saved = connection_create(
                    account=form.cleaned_data["account"],
                    given=form.given,
                    actor=actor_in(request),
                    check=form.cleaned_data["check_first"],
                )
                self._told(request, saved)
                return redirect(self.page_of(saved.connection))
        return self.page(
            request, "dashboard/connections/add.html", title="Connect a Twilio account", form=form
        )

    @act(ADMIN)
    def edit(self, request: HttpRequest, connection: TwilioConnection) -> HttpResponse:
        form = ConnectionChangeForm(request.POST, connection=connection)
        if form.is_valid():
            with form.refusals():
                saved = connection_patch(
                    **self._named(request, connection),
                    given=form.given,
                    check=form.cleaned_data["check_first"],
                )
                self._notes(request, saved)
                messages.success(request, "The connection is changed.")
                return redirect(self.page_of(connection))
        return self.shown(request, connection, form=form)

    @act(ADMIN)
    def check_now(self, request: HttpRequest, connection: TwilioConnection) -> HttpResponse:
        saved = connection_check(**self._named(request, connection))
        self._notes(request, saved)
        if saved.connection.check_error:
            messages.error(request, f"Twilio says: {saved.connection.check_error}")
        else:
            messages.success(request, "Twilio takes what this connection signs in with.")
        return redirect(self.page_of(connection))

    @act(ADMIN)
    def delete(self, request: HttpRequest, connection: TwilioConnection) -> HttpResponse:
        connection_delete(**self._named(request, connection))
        messages.success(request, f"{connection} is forgotten. At Twilio nothing has changed.")
        return redirect(self.list_page())

    def subaccounts(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        connection = self.row(request, object_id)
        found, error = [], ""
        try:
            found = subaccounts_of(account=connection.account, connection_id=connection.pk)
        except REFUSALS as exc:
            error = refusal_of(exc)[1]
        return self.page(
            request,
            "dashboard/connections/subaccounts.html",
            title=f"Sub-accounts of {connection}",
            connection=connection,
            subaccounts=found,
            error=error,
            may_change=may(request, ADMIN, connection.account_id),
        )

    def _named(self, request: HttpRequest, connection: TwilioConnection) -> dict[str, Any]:
        return {
            "account": connection.account,
            "connection_id": connection.pk,
            "actor": actor_in(request),
        }

    def _notes(self, request: HttpRequest, saved: Saved) -> None:
        for note in saved.notes:
            messages.warning(request, note)

    def _told(self, request: HttpRequest, saved: Saved) -> None:
        """Say that it is stored, and list its numbers, for they are what it is for."""
        self._notes(request, saved)
        connection = saved.connection
        failed = numbers_refresh(connection.account, only_new=True)
        for outcome in failed:
            if outcome.error is not None:
                messages.error(request, f"{outcome.connection}: {refusal_of(outcome.error)[1]}")
        count = connection.phone_numbers.count()
        numbers = "1 number" if count == 1 else f"{count} numbers"
        messages.success(request, f"{connection} is connected; it has {numbers}.")

    def shown(
        self, request: HttpRequest, connection: TwilioConnection, /, **bound: forms.Form
    ) -> HttpResponse:
        return self.page(
            request,
            "dashboard/connections/connection.html",
            title=str(connection),
            connection=connection,
            warnings=warnings_of(connection),
            form=bound.get("form") or ConnectionChangeForm(connection=connection),
            may_change=may(request, ADMIN, connection.account_id),
        )
