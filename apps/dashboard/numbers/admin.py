"""Numbers in the admin site: assigned to bots, compared with Twilio, repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from apps.accounts.models import Account, TwilioConnection
from apps.accounts.scopes import ADMIN
from apps.bots.selectors import twilio_configs_of
from apps.calls.models import PhoneNumber
from apps.calls.number_serializers import PhoneNumberSerializer
from apps.calls.number_settings import overrides_in
from apps.calls.number_watch import numbers_refresh
from apps.calls.numbers import Change, number_assign, number_repair, number_unassign
from apps.dashboard.columns import badge, moment
from apps.dashboard.numbers.forms import AssignForm, RepairForm, UnassignForm, undo_of
from apps.dashboard.numbers.shown import settings_of, state_of
from apps.dashboard.refusals import refusal_of
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in, may, narrowed

if TYPE_CHECKING:
    NumberAdminBase = admin.ModelAdmin[PhoneNumber]
else:
    NumberAdminBase = ModelAdmin

READ, WRITE = "phones:read", "phones:write"
_SECRETS = ("auth_token", "api_key_secret", "signing_keys")


class StateFilter(admin.SimpleListFilter):
    """By what a person would do about them."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("drifted", "Differs at Twilio"), ("assigned", "With a bot"), ("free", "Free")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[PhoneNumber]
    ) -> QuerySet[PhoneNumber]:
        if self.value() == "drifted":
            return queryset.exclude(drifted_at=None)
        if self.value() in ("assigned", "free"):
            return queryset.filter(config__isnull=self.value() == "free")
        return queryset


@admin.register(PhoneNumber)
class PhoneNumberAdmin(RowPages, AccountScoped, NumberAdminBase):
    """The numbers of the connected Twilio accounts."""

    reading = READ
    list_title = "Numbers"
    empty_template = "dashboard/numbers/empty.html"
    list_display = (
        *("number", "friendly_name", "bot", "state"),
        *("account", moment("checked_at", "compared")),
    )
    list_filter = (StateFilter,)
    search_fields = ("number", "friendly_name", "sid", "config__name")

    list_before_template = "dashboard/numbers/list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PhoneNumber]:
        secrets = (f"connection__{name}" for name in _SECRETS)
        rows = super().get_queryset(request).select_related("account", "connection", "config")
        return rows.defer(*secrets)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.refresh))
        return [path("refresh/", view, name="calls_phonenumber_refresh"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        connections = narrowed(request, TwilioConnection.objects.all(), READ)
        # One account at a time is asked about: each may take as long as Twilio does.
        accounts = set(connections.order_by().values_list("account_id", flat=True)[:100])
        told = {
            "connected": bool(accounts),
            "refreshable": accounts.pop() if len(accounts) == 1 else None,
            "may_connect": may(request, ADMIN),
        }
        answer: HttpResponse = super().changelist_view(request, {**told, **(extra_context or {})})
        return answer

    def refresh(self, request: HttpRequest) -> HttpResponse:
        """Compare all numbers of an account with Twilio."""
        try:
            accounts = narrowed(request, Account.objects.all(), READ, "pk")
            account = accounts.get(pk=request.POST.get("account", ""))
        except (Account.DoesNotExist, ValidationError):
            raise Http404 from None
        self._refresh(request, account)
        return redirect(self.list_page())

    @admin.display(description="bot", ordering="config__name")
    def bot(self, number: PhoneNumber) -> str:
        return str(number.config) if number.config else "–"

    @admin.display(description="at Twilio", ordering="drifted_at")
    def state(self, number: PhoneNumber) -> SafeString:
        return badge(*state_of(number))

    @act(WRITE)
    def assign(self, request: HttpRequest, number: PhoneNumber) -> HttpResponse:
        bots = twilio_configs_of(number.account)
        form = AssignForm(request.POST, bots=bots)
        if form.is_valid():
            with form.refusals():
                replace = form.given["replace_application"]
                number_assign(self._change(request, number, replace=replace), form.bot)
                messages.success(request, f"{form.bot} answers {number} now.")
                return redirect(self.page_of(number))
        return self.shown(request, self.row(request, number.pk), assign=form)

    @act(WRITE)
    def unassign(self, request: HttpRequest, number: PhoneNumber) -> HttpResponse:
        form = UnassignForm(request.POST)
        if form.is_valid():
            with form.refusals():
                was = number.config_id
                number_unassign(self._change(request, number, restore=form.given["restore"]))
                messages.success(request, f"No bot answers {number} any more.")
                return redirect(f"{self.page_of(number)}?{urlencode({'undo': was or ''})}")
        return self.shown(request, self.row(request, number.pk), unassign=form)

    @act(WRITE)
    def repair(self, request: HttpRequest, number: PhoneNumber) -> HttpResponse:
        form = RepairForm(request.POST)
        if form.is_valid():
            with form.refusals():
                replace = form.given["replace_application"]
                number_repair(self._change(request, number, replace=replace))
                messages.success(request, "Twilio has what we want again.")
                return redirect(self.page_of(number))
        return self.shown(request, self.row(request, number.pk), repair=form)

    @act(READ)
    def check_now(self, request: HttpRequest, number: PhoneNumber) -> HttpResponse:
        self._refresh(request, number.account)
        # Twilio may list it no more, and then a number without a bot is gone.
        there = PhoneNumber.objects.filter(pk=number.pk).exists()
        return redirect(self.page_of(number) if there else self.list_page())

    def _change(self, request: HttpRequest, number: PhoneNumber, **how: bool) -> Change:
        return Change(number.account, number.sid, actor_in(request), **how)

    def _refresh(self, request: HttpRequest, account: Account) -> None:
        failed = numbers_refresh(account)
        for outcome in failed:
            if outcome.error is not None:
                text = refusal_of(outcome.error)[1]
                messages.error(request, f"{outcome.connection}: {text}")
        if not failed:
            messages.success(request, "Compared with Twilio just now.")

    def shown(
        self, request: HttpRequest, number: PhoneNumber, /, **bound: forms.Form
    ) -> HttpResponse:
        bots = twilio_configs_of(number.account)
        undo = undo_of(number, request.GET.get("undo", ""), bots)
        return self.page(
            request,
            "dashboard/numbers/number.html",
            title=number.number,
            number=number,
            state=state_of(number),
            has_overrides=bool(overrides_in(number.actual)),
            settings=settings_of(number),
            warnings=PhoneNumberSerializer().get_warnings(number),
            may_write=may(request, WRITE, number.account_id),
            has_bots=bots.exists(),
            undo=undo,
            forms={
                "assign": AssignForm(bots=bots, initial={"config_id": ""}),
                "unassign": UnassignForm(),
                "repair": RepairForm(),
                **bound,
            },
        )
