"""Accounts in the admin site: settings, and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from apps.accounts.invitations import invitation_withdraw, invitations_of, member_invite
from apps.accounts.models import Account, Invitation, Membership
from apps.accounts.roles import MEMBERS
from apps.accounts.scopes import ADMIN
from apps.accounts.services import (
    account_create,
    account_patch,
    account_update,
    membership_delete,
    membership_role,
)
from apps.dashboard.account.forms import (
    AccountForm,
    InvitationForm,
    InviteForm,
    LimitForm,
    RoleForm,
    TokenForm,
)
from apps.dashboard.account.settings import SettingsForm, suggestions
from apps.dashboard.columns import moment
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in, may

if TYPE_CHECKING:
    AccountAdminBase = admin.ModelAdmin[Account]
else:
    AccountAdminBase = ModelAdmin


@admin.register(Account)
class AccountAdmin(RowPages, AccountScoped, AccountAdminBase):
    """Accounts: one page each, with its settings and its members."""

    account_path = "id"
    reading = ADMIN
    list_title = "Accounts"
    list_display = (
        *("name", "id", "max_live_calls", "calls_per_second"),
        moment("created_at", "since"),
    )
    search_fields = ("name", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).defer("signing_secrets", "twilio_auth_token")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the accounts; to whom there is one alone, that one."""
        found = list(self.get_queryset(request).values_list("pk", flat=True)[:2])
        if len(found) == 1 and not request.user.is_superuser:
            return redirect(reverse("admin:accounts_account_change", args=found))
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not request.user.is_superuser:
            raise PermissionDenied
        form = AccountForm(request.POST or None)
        if form.is_valid():
            made = account_create(name=form.cleaned_data["name"], actor=actor_in(request))
            messages.success(request, f"{made} is made. Give it an owner below.")
            return redirect(self.page_of(made))
        return self.page(request, "dashboard/account/add.html", title="Make an account", form=form)

    @act(ADMIN)
    def edit(self, request: HttpRequest, account: Account) -> HttpResponse:
        form = SettingsForm(request.POST, account=account)
        if form.is_valid():
            account_patch(account_id=account.pk, changes=form.given, actor=actor_in(request))
            messages.success(request, "The settings are stored.")
            return redirect(self.page_of(account))
        return self.shown(request, account, settings=form)

    @act(ADMIN)
    def token(self, request: HttpRequest, account: Account) -> HttpResponse:
        form = TokenForm(request.POST)
        if form.is_valid():
            token = form.cleaned_data["twilio_auth_token"]
            account_update(account=account, actor=actor_in(request), twilio_auth_token=token)
            messages.success(request, "The auth token is stored. Nobody can read it again.")
            return redirect(self.page_of(account))
        return self.shown(request, account, token=form)

    @act(ADMIN)
    def limit(self, request: HttpRequest, account: Account) -> HttpResponse:
        if not request.user.is_superuser:
            raise PermissionDenied
        form = LimitForm(request.POST)
        if form.is_valid():
            changes = form.cleaned_data
            account_patch(account_id=account.pk, changes=changes, actor=actor_in(request))
            messages.success(request, "The limit is stored.")
            return redirect(self.page_of(account))
        return self.shown(request, account, limit=form)

    @act(MEMBERS)
    def invite(self, request: HttpRequest, account: Account) -> HttpResponse:
        form = InviteForm(request.POST, account=account)
        if form.is_valid():
            role = form.cleaned_data["role"]
            found = member_invite(
                account=account, user=form.user, role=role, actor=actor_in(request)
            )
            asked = isinstance(found, Invitation)
            told = "is invited, and finds it on their home page" if asked else f"is {role} here now"
            messages.success(request, f"{form.user} {told}.")
            return redirect(self.page_of(account))
        return self.shown(request, account, invite=form)

    @act(MEMBERS)
    def withdraw(self, request: HttpRequest, account: Account) -> HttpResponse:
        form = InvitationForm(request.POST)
        if not form.is_valid():
            raise Http404
        asked = form.cleaned_data["invitation"]
        found = invitation_withdraw(account=account, invitation_id=asked, actor=actor_in(request))
        messages.success(request, f"{found.user} is not invited any more.")
        return redirect(self.page_of(account))

    @act(MEMBERS)
    def role(self, request: HttpRequest, account: Account) -> HttpResponse:
        form = RoleForm(request.POST)
        if not form.is_valid():
            raise Http404
        member = membership_role(
            account=account,
            membership_id=form.cleaned_data["membership"],
            role=form.cleaned_data["role"],
            actor=actor_in(request),
        )
        messages.success(request, f"{member.user} is {member.role} here now.")
        return redirect(self._back(request, account))

    @act(MEMBERS)
    def remove(self, request: HttpRequest, account: Account) -> HttpResponse:
        member = self._member(account, request.POST.get("membership"))
        membership_delete(membership=member, actor=actor_in(request))
        text = f"{member.user} was {member.role} and is here no more. Invite them again to undo it."
        messages.success(request, text)
        return redirect(self._back(request, account))

    def _member(self, account: Account, membership_id: Any) -> Membership:
        try:
            rows = Membership.objects.select_related("user", "account")
            return rows.get(account=account, pk=membership_id)
        except (Membership.DoesNotExist, ValidationError):
            raise Http404 from None

    def _back(self, request: HttpRequest, account: Account) -> str:
        """Return where to go: an owner who has made themselves less sees less."""
        vars(request).pop("_roles", None)
        return self.page_of(account) if may(request, ADMIN, account.pk) else reverse("admin:index")

    def shown(self, request: HttpRequest, account: Account, /, **bound: forms.Form) -> HttpResponse:
        members = Membership.objects.filter(account=account).select_related("user")
        mine = Account.objects.filter(pk=account.pk)
        return self.page(
            request,
            "dashboard/account/account.html",
            title=account.name,
            account=account,
            signed=bool(mine.values_list(Length("twilio_auth_token"), flat=True).get()),
            members=members.order_by("created_at", "id"),
            invitations=invitations_of(account),
            roles=Membership.Role.choices,
            may_members=may(request, MEMBERS, account.pk),
            suggestions=suggestions(),
            forms={
                "settings": SettingsForm(account=account),
                "token": TokenForm(),
                "limit": LimitForm(initial={"max_live_calls": account.max_live_calls}),
                "invite": InviteForm(account=account),
                **bound,
            },
        )
