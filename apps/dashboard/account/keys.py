"""API keys in the admin site: made and shown once, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.accounts.models import ApiKey
from apps.accounts.scopes import ADMIN
from apps.accounts.services import api_key_create, api_key_revoke, api_key_rotate
from apps.dashboard.account.forms import SCOPES_SAID, ApiKeyForm, KeyRotationForm
from apps.dashboard.columns import badge, moment
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in
from apps.dashboard.secrets import shown_once

if TYPE_CHECKING:
    ApiKeyAdminBase = admin.ModelAdmin[ApiKey]
else:
    ApiKeyAdminBase = ModelAdmin


class LivesFilter(admin.SimpleListFilter):
    """Those that open the door, or those that do not."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "Works"), ("over", "Revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        live = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        live &= Q(revoked_at=None)
        if self.value() == "live":
            return queryset.filter(live)
        return queryset.exclude(live) if self.value() == "over" else queryset


@admin.register(ApiKey)
class ApiKeyAdmin(RowPages, AccountScoped, ApiKeyAdminBase):
    """What scripts sign in with."""

    reading = adding = ADMIN
    list_title = "API keys"
    empty_template = "dashboard/account/keys_empty.html"
    list_display = (
        *("name", "__str__", "state", "holds", "account"),
        *(moment("last_used_at", "last used"), moment("expires_at", "works until")),
    )
    list_select_related = ("account",)
    list_filter = (LivesFilter,)
    search_fields = ("prefix", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).select_related("account", "successor")

    @admin.display(description="may")
    def holds(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        return badge(*state_of(key))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = ApiKeyForm(request.POST or None, accounts=self.accounts_for(request))
        if form.is_valid():
            account = form.cleaned_data["account"]
            key, secret = api_key_create(account=account, actor=actor_in(request), **form.given)
            return self._told(request, key, secret)
        return self.page(
            request, "dashboard/account/key_add.html", title="Make an API key", form=form
        )

    @act(ADMIN)
    def rotate(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        form = KeyRotationForm(request.POST)
        if form.is_valid():
            with form.refusals():
                made, secret = api_key_rotate(
                    account=key.account,
                    key_id=key.pk,
                    actor=actor_in(request),
                    grace=timedelta(seconds=form.given["grace_seconds"]),
                )
                return self._told(request, made, secret)
        return self.shown(request, key, form=form)

    @act(ADMIN)
    def revoke(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        api_key_revoke(key=key, actor=actor_in(request))
        messages.success(request, f"{key} opens nothing any more. This is not taken back.")
        return redirect(self.page_of(key))

    def _told(self, request: HttpRequest, key: ApiKey, secret: str) -> HttpResponse:
        return shown_once(
            request,
            title=f"The key {key.name}",
            what="key",
            use="A script sends it as Authorization: Bearer.",
            secret=secret,
            onward=self.page_of(key),
        )

    def shown(self, request: HttpRequest, key: ApiKey, /, **bound: forms.Form) -> HttpResponse:
        return self.page(
            request,
            "dashboard/account/key.html",
            title=f"{key.name or 'API key'}",
            key=key,
            state=state_of(key),
            scopes=[(scope, SCOPES_SAID.get(scope, "")) for scope in key.scopes],
            form=bound.get("form") or KeyRotationForm(),
        )


def state_of(key: ApiKey) -> tuple[str, str]:
    """Return how a key is, as a word, and ``good`` or ``quiet``."""
    if key.revoked_at is not None:
        return "revoked", "quiet"
    return ("works", "good") if key.is_live else ("expired", "quiet")
