"""Accounts, people, keys, credentials and the audit log in the admin site.

Secrets can be set, never read; what changes, changes through services.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from rest_framework import serializers
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.credentials import credential_delete, credential_providers, credential_put
from apps.accounts.models import Account, ApiKey, AuditEntry, Credential, Membership, User
from apps.accounts.roles import MEMBERS
from apps.accounts.scopes import ADMIN, DEFAULT_SCOPES, SCOPES
from apps.accounts.services import (
    account_create,
    account_update,
    api_key_create,
    api_key_revoke,
    membership_delete,
    membership_put,
)
from apps.bots.document import defaults_check
from apps.core.errors import fields_flatten
from apps.dashboard.scoping import (
    AccountScoped,
    SeenWithItsParent,
    actor_in,
    may,
)
from apps.dashboard.second_factors import SecondFactorShown

if TYPE_CHECKING:
    AccountForm = forms.ModelForm[Account]
    ApiKeyForm = forms.ModelForm[ApiKey]
    CredentialForm = forms.ModelForm[Credential]
    MembershipForm = forms.ModelForm[Membership]
    AccountAdminBase = admin.ModelAdmin[Account]
    ApiKeyAdminBase = admin.ModelAdmin[ApiKey]
    AuditAdminBase = admin.ModelAdmin[AuditEntry]
    CredentialAdminBase = admin.ModelAdmin[Credential]
    MembershipInlineBase = admin.TabularInline[Membership, Account]
    UserMembershipInlineBase = admin.TabularInline[Membership, User]
    UserAdminBase = UserAdmin[User]
else:
    AccountForm = ApiKeyForm = CredentialForm = MembershipForm = forms.ModelForm
    AccountAdminBase = ApiKeyAdminBase = AuditAdminBase = ModelAdmin
    CredentialAdminBase = ModelAdmin
    MembershipInlineBase = UserMembershipInlineBase = TabularInline

    class UserAdminBase(UserAdmin, ModelAdmin):
        """Django's, in unfold's look."""


# Form fields that are no fields of a model.
SECRETS = frozenset(("new_twilio_auth_token", "api_key"))


def _secret_field(help_text: str, *, required: bool) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "off"})
    return forms.CharField(required=required, widget=widget, help_text=help_text, max_length=8_192)


def _fillable(page: Any, request: HttpRequest, obj: Any, fields: Any) -> list[str]:
    # A field of the form alone is an empty line for those who may only look.
    changes = obj is None or page.has_change_permission(request, obj)
    return [name for name in fields if changes or name not in SECRETS]


class MembershipEditForm(MembershipForm):
    """A user is named, not picked: a list would tell who else is on this server."""

    username = forms.CharField(max_length=150)

    class Meta:
        model = Membership
        fields = ("role",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields["username"].initial = self.instance.user.get_username()
            self.fields["username"].disabled = True

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if not self.instance._state.adding:
            return name
        found = User.objects.filter(username=name).first()
        if found is None:
            raise ValidationError("There is no such user.")
        if Membership.objects.filter(account=self.instance.account_id, user=found).exists():
            raise ValidationError("This user is here already.")
        self.instance.user = found
        return name


class MembershipInline(MembershipInlineBase):
    """Who is in the account; owners decide."""

    model = Membership
    form = MembershipEditForm
    fields = ("username", "role")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # A field of the form alone cannot be shown to those who may not use the form.
        return () if self._may(request, obj) else ("username",)

    @admin.display(description="username")
    def username(self, membership: Membership) -> str:
        return membership.user.get_username()

    def _may(self, request: HttpRequest, account: Account | None) -> bool:
        return may(request, MEMBERS, account and account.pk)


class AccountEditForm(AccountForm):
    """The auth token can be set, never read."""

    new_twilio_auth_token = _secret_field("Leave empty to keep the stored one.", required=False)

    class Meta:
        model = Account
        fields = ("name", "max_live_calls", "defaults")

    def clean_defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cleaned_data["defaults"] or {}
        try:
            defaults_check(found)
        except serializers.ValidationError as exc:
            fields = fields_flatten(exc.detail)
            raise ValidationError(
                [f"{path}: {' '.join(texts)}" for path, texts in fields.items()]
            ) from None
        return found


@admin.register(Account)
class AccountAdmin(AccountScoped, AccountAdminBase):
    """Accounts."""

    account_path = "id"
    reading = "configs:read"
    changing = ADMIN
    form = AccountEditForm
    list_display = ("name", "id", "max_live_calls", "signed", "created_at")
    search_fields = ("name", "id")
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # How much of the server an account may use is for its operator to say.
        limit = () if request.user.is_superuser else ("max_live_calls",)
        return (*limit, "id", "signed", "created_at", "updated_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _fillable(self, request, obj, super().get_fields(request, obj))

    @admin.display(boolean=True, description="checks Twilio's signature")
    def signed(self, account: Account) -> bool:
        return bool(account.twilio_auth_token)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        token = form.cleaned_data.get("new_twilio_auth_token") or None
        if not change:
            made = account_create(
                name=obj.name, actor=actor_in(request), twilio_auth_token=token or ""
            )
            asked = {"max_live_calls": obj.max_live_calls, "defaults": obj.defaults}
            untouched = all(getattr(made, name) == value for name, value in asked.items())
            obj.__dict__.update({**made.__dict__, **asked})
            if untouched:
                return
        account_update(
            account=obj,
            name=obj.name,
            max_live_calls=obj.max_live_calls,
            actor=actor_in(request),
            twilio_auth_token=token if change else None,
            defaults=obj.defaults,
        )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        actor = actor_in(request)
        changed: Iterable[Membership] = formset.save(commit=False)
        for membership in formset.deleted_objects:
            membership_delete(membership=membership, actor=actor)
        for membership in changed:
            membership_put(
                account=form.instance, user=membership.user, role=membership.role, actor=actor
            )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)


class UserMembershipInline(SeenWithItsParent, UserMembershipInlineBase):
    """Where a user is; an account's own page changes it."""

    model = Membership
    fields = ("account", "role")
    extra = 0
    can_delete = False


@admin.register(User)
class PersonAdmin(SecondFactorShown, UserAdminBase):
    """People at the dashboard, for superusers alone: they belong to no account."""

    inlines = (UserMembershipInline,)
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


class NewApiKeyForm(ApiKeyForm):
    """A key to be made."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=list(DEFAULT_SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiKey
        fields = ("account", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(AccountScoped, ApiKeyAdminBase):
    """API keys: made here and shown once, ended by the action below."""

    reading = adding = changing = ADMIN
    form = NewApiKeyForm
    list_display = ("__str__", "name", "account", "holds") + (
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_select_related = ("account",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("prefix", "name", "account__name")
    autocomplete_fields = ("account",)
    fields = ("account", "name", "scopes", "expires_at")
    actions = ("revoke",)

    @admin.display(description="scopes")
    def holds(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, secret = api_key_create(
            account=obj.account,
            actor=actor_in(request),
            name=obj.name,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
        )
        obj.__dict__.update(key.__dict__)
        messages.warning(request, f"The key, shown this once: {secret}")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        # The list shows keys of every account that the user is in; in some they only look.
        for key in self.rows_for(request, queryset, self.changing).select_related("account"):
            api_key_revoke(key=key, actor=actor_in(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The list needs it for its action; a key itself does not change.
        return obj is None and super().has_change_permission(request)


class CredentialEditForm(CredentialForm):
    """A vendor's key: set, never read."""

    api_key = _secret_field("Replaces the stored one.", required=True)

    class Meta:
        model = Credential
        fields = ("account", "provider")
        widgets = {"provider": forms.Select}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" in self.fields:  # not on the page of one that is there
            names = [(name, name) for name in credential_providers()]
            self.fields["provider"] = forms.ChoiceField(choices=names)


@admin.register(Credential)
class CredentialAdmin(AccountScoped, CredentialAdminBase):
    """Keys at vendors, for bots that bring none of their own."""

    reading = adding = changing = deleting = ADMIN
    form = CredentialEditForm
    list_display = ("provider", "hint", "account", "updated_at")
    list_select_related = ("account",)
    search_fields = ("provider", "account__name")
    autocomplete_fields = ("account",)
    actions = ("forget",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        return super().get_queryset(request).defer("secret")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("account", "provider", "hint", "created_at", "updated_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return _fillable(self, request, obj, super().get_fields(request, obj))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Django's own deletes the rows past the service.
        return {n: a for n, a in super().get_actions(request).items() if n != "delete_selected"}

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:
        found = credential_put(
            account=obj.account,
            provider=obj.provider,
            api_key=form.cleaned_data["api_key"],
            actor=actor_in(request),
        )
        obj.__dict__.update(found.__dict__)

    def delete_model(self, request: HttpRequest, obj: Credential) -> None:
        credential_delete(account=obj.account, provider=obj.provider, actor=actor_in(request))

    @admin.action(description="Forget the selected keys", permissions=["delete"])
    def forget(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        for found in self.rows_for(request, queryset, self.deleting).select_related("account"):
            self.delete_model(request, found)


@admin.register(AuditEntry)
class AuditEntryAdmin(AccountScoped, AuditAdminBase):
    """The audit log, to look at."""

    reading = ADMIN

    list_display = ("created_at", "action", "actor_name", "actor_kind", "target_id", "account")
    list_select_related = ("account",)
    list_filter = ("target_kind", "actor_kind", "created_at")
    search_fields = ("action", "target_id", "actor_name", "actor_id", "account__name")
    date_hierarchy = "created_at"
    show_full_result_count = False  # counting a whole log for the sake of a number
