"""The audit log in the admin site: who did what to what, and how it was before and after."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from apps.accounts.models import AuditEntry
from apps.accounts.scopes import ADMIN
from apps.dashboard.columns import moment
from apps.dashboard.filters import SpanFilter
from apps.dashboard.paging import NewestPaginator
from apps.dashboard.rows import RowPages
from apps.dashboard.scoping import AccountScoped
from apps.dashboard.wording import sendable

if TYPE_CHECKING:
    AuditAdminBase = admin.ModelAdmin[AuditEntry]
    TextFilterBase = admin.SimpleListFilter
    DropdownFilterBase = admin.SimpleListFilter
else:
    AuditAdminBase = ModelAdmin
    TextFilterBase, DropdownFilterBase = TextFilter, DropdownFilter

# Where what was changed is shown: the page of a row, by its id.
_PAGES: Final[Mapping[str, str]] = {
    "account": "accounts_account_change",
    "api_key": "accounts_apikey_change",
    "call": "calls_call_change",
    "config": "bots_twilioconfig_change",
    "twilio_connection": "accounts_twilioconnection_change",
    "webhook": "webhooks_endpoint_change",
}
# Or the list that it stands in, by what is looked for in it.
_LISTS: Final[Mapping[str, str]] = {
    "credential": "accounts_credential_changelist",
    "phone_number": "calls_phonenumber_changelist",
}
# Or the account's own page.
_MEMBERS: Final = ("membership", "invitation")
_KINDS: Final = (*_PAGES, *_LISTS, *_MEMBERS)


class ActionFilter(TextFilterBase):
    """By the verb, whole or how it begins: ``api_key`` or ``api_key.create``."""

    title = "action"
    parameter_name = "action"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action__startswith=value) if (value := self.value()) else queryset


class ActorFilter(TextFilterBase):
    """By a person's or a key's name, or by its id."""

    title = "who (name or id)"
    parameter_name = "actor"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        try:
            return queryset.filter(actor_id=str(uuid.UUID(value)))
        except ValueError:
            return queryset.filter(actor_name=value)


class TargetFilter(TextFilterBase):
    """By the id of what was changed."""

    title = "id of the target"
    parameter_name = "target"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(target_id=value) if (value := self.value()) else queryset


class TargetKindFilter(DropdownFilterBase):
    """By what was changed."""

    title = "target"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind, kind.replace("_", " ")) for kind in _KINDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(target_kind=value) if (value := self.value()) else queryset


@dataclass(frozen=True, slots=True)
class Line:
    """One member that differs. before, after: as text; None where it was not there."""

    path: str
    before: str | None
    after: str | None


@admin.register(AuditEntry)
class AuditEntryAdmin(RowPages, AccountScoped, AuditAdminBase):
    """Who did what. Nobody changes it."""

    reading = ADMIN
    list_title = "Audit log"
    list_display = (
        *(moment("created_at", "when"), "action", "who"),
        *("target", "changed", "account"),
    )
    list_filter = (
        *(ActionFilter, ActorFilter, TargetKindFilter, TargetFilter),
        *(SpanFilter, "actor_kind"),
    )
    list_filter_submit = True
    list_select_related = ("account",)
    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER  # they would count the whole of it
    list_per_page = 30
    paginator = NewestPaginator
    list_before_template = "dashboard/parts/newest.html"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).select_related("account")

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor_name or entry.actor_kind

    @admin.display(description="target")
    def target(self, entry: AuditEntry) -> str:
        return f"{entry.target_kind.replace('_', ' ')} {entry.target_id[:8]}"

    @admin.display(description="changed")
    def changed(self, entry: AuditEntry) -> str:
        names = sorted({*entry.before, *entry.after})
        return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")

    def shown(
        self, request: HttpRequest, entry: AuditEntry, /, **bound: forms.Form
    ) -> HttpResponse:
        return self.page(
            request,
            "dashboard/account/audit_entry.html",
            title=entry.action,
            entry=entry,
            lines=lines_of(entry),
            target_page=target_page(entry),
        )


def lines_of(entry: AuditEntry) -> list[Line]:
    """List what an entry says was and is, by path."""
    return [
        Line(path, _text(entry.before, path), _text(entry.after, path))
        for path in sorted({*entry.before, *entry.after})
    ]


def target_page(entry: AuditEntry) -> str:
    """Return the address of the page about what was changed; empty where there is none, or more
    than one."""
    kind = entry.target_kind
    if not entry.target_id:  # many at once, as in an export
        return ""
    if kind in _MEMBERS:
        return reverse("admin:accounts_account_change", args=[entry.account_id])
    if kind in _PAGES:
        return reverse(f"admin:{_PAGES[kind]}", args=[entry.target_id])
    if kind in _LISTS:
        return f"{reverse(f'admin:{_LISTS[kind]}')}?{urlencode({'q': entry.target_id})}"
    return ""


def _text(members: Mapping[str, Any], path: str) -> str | None:
    if path not in members:
        return None
    value = members[path]
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        return sendable(", ".join(str(one) for one in value))
    return sendable(json.dumps(value, ensure_ascii=False, indent=2))
