"""Keys at vendors in the admin site: written, tried, forgotten, never read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin

from apps.accounts.credentials import credential_delete, credential_put, credential_test
from apps.accounts.models import Credential
from apps.accounts.scopes import ADMIN
from apps.dashboard.account.forms import CredentialChangeForm, CredentialForm
from apps.dashboard.columns import moment
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in

if TYPE_CHECKING:
    CredentialAdminBase = admin.ModelAdmin[Credential]
else:
    CredentialAdminBase = ModelAdmin

# None: it cannot be told.
_LEVELS = {True: messages.SUCCESS, False: messages.ERROR, None: messages.WARNING}


@admin.register(Credential)
class CredentialAdmin(RowPages, AccountScoped, CredentialAdminBase):
    """Keys at vendors, for bots that bring none of their own."""

    reading = adding = ADMIN
    list_title = "Vendor keys"
    empty_template = "dashboard/account/credentials_empty.html"
    list_display = ("provider", "hint", "account", moment("updated_at", "changed"))
    search_fields = ("provider",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        return super().get_queryset(request).select_related("account").defer("secret")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        asked = {"provider": request.GET.get("provider", "")}
        accounts = self.accounts_for(request)
        form = CredentialForm(request.POST or None, accounts=accounts, initial=asked)
        if form.is_valid():
            with form.refusals():
                found = credential_put(
                    account=form.cleaned_data["account"],
                    provider=form.cleaned_data["provider"],
                    **form.given,
                    actor=actor_in(request),
                )
                messages.success(request, f"The key for {found.provider} is stored. Try it now.")
                return redirect(self.page_of(found))
        title = "Store a key at a vendor"
        return self.page(request, "dashboard/account/credential_add.html", title=title, form=form)

    @act(ADMIN)
    def edit(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        form = CredentialChangeForm(request.POST, credential=credential)
        if form.is_valid():
            with form.refusals():
                credential_put(**self._named(request, credential), **form.given)
                messages.success(request, f"The key for {credential.provider} is another one now.")
                return redirect(self.page_of(credential))
        return self.shown(request, credential, form=form)

    @act(ADMIN)
    def test(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        verdict = credential_test(**self._named(request, credential))
        level = _LEVELS[verdict.ok]
        took = f" ({verdict.latency_ms:.0f} ms)" if verdict.latency_ms is not None else ""
        messages.add_message(request, level, f"{credential.provider}: {verdict.info}{took}")
        return redirect(self.page_of(credential))

    @act(ADMIN)
    def delete(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        credential_delete(**self._named(request, credential))
        messages.success(request, f"The key for {credential.provider} is forgotten.")
        return redirect(self.list_page())

    def _named(self, request: HttpRequest, credential: Credential) -> dict[str, Any]:
        return {
            "account": credential.account,
            "provider": credential.provider,
            "actor": actor_in(request),
        }

    def shown(
        self, request: HttpRequest, credential: Credential, /, **bound: forms.Form
    ) -> HttpResponse:
        return self.page(
            request,
            "dashboard/account/credential.html",
            title=f"Key at {credential.provider}",
            credential=credential,
            form=bound.get("form") or CredentialChangeForm(credential=credential),
        )
