"""The admin site for operators: typed, without secrets; state changes only through services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.accounts.models import Account, ApiKey, Membership, User
from apps.accounts.services import account_update, api_key_create, api_key_revoke
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.twiml import config_twiml
from apps.dashboard import calls  # noqa: F401 - registers calls

if TYPE_CHECKING:
    AccountForm = forms.ModelForm[Account]
    AccountAdminBase = admin.ModelAdmin[Account]
    ApiKeyAdminBase = admin.ModelAdmin[ApiKey]
    ConfigAdminBase = admin.ModelAdmin[TwilioConfig]
    MembershipInlineBase = admin.TabularInline[Membership, Any]
    VersionInlineBase = admin.TabularInline[TwilioConfigVersion, TwilioConfig]
    UserAdminBase = UserAdmin[User]
else:
    AccountForm = forms.ModelForm
    AccountAdminBase = ApiKeyAdminBase = ConfigAdminBase = admin.ModelAdmin
    MembershipInlineBase = VersionInlineBase = admin.TabularInline
    UserAdminBase = UserAdmin

admin.site.site_header = admin.site.site_title = "botsconfig"
admin.site.index_title = "Bots and calls"
admin.site.site_url = None


class MembershipInline(MembershipInlineBase):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


class UserMembershipInline(MembershipInlineBase):
    model = Membership
    extra = 0
    autocomplete_fields = ("account",)


class AccountEditForm(AccountForm):
    """The auth token can be set, never read."""

    new_twilio_auth_token = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Leave empty to keep the stored one.",
    )

    class Meta:
        model = Account
        fields = ("name", "max_live_calls")


@admin.register(Account)
class AccountAdmin(AccountAdminBase):
    """Accounts."""

    form = AccountEditForm
    list_display = ("name", "id", "max_live_calls", "signed", "created_at")
    search_fields = ("name", "id")
    readonly_fields = ("id", "signed", "created_at", "updated_at")
    inlines = (MembershipInline,)

    @admin.display(boolean=True, description="checks Twilio's signature")
    def signed(self, account: Account) -> bool:
        return bool(account.twilio_auth_token)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        account_update(
            account=obj,
            name=obj.name,
            max_live_calls=obj.max_live_calls,
            twilio_auth_token=form.cleaned_data.get("new_twilio_auth_token") or None,
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Its calls and bots are history; there is no service yet that erases an account.
        return False


@admin.register(User)
class PersonAdmin(UserAdminBase):
    """People at the dashboard."""

    inlines = (UserMembershipInline,)


@admin.register(ApiKey)
class ApiKeyAdmin(ApiKeyAdminBase):
    """API keys: made here and shown once, ended by the action below."""

    list_display = ("__str__", "name", "account", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("account",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("prefix", "name", "account__name")
    autocomplete_fields = ("account",)
    fields = ("account", "name", "expires_at")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, secret = api_key_create(account=obj.account, name=obj.name, expires_at=obj.expires_at)
        obj.__dict__.update(key.__dict__)
        messages.warning(request, f"The key, shown this once: {secret}")

    @admin.action(description="Revoke the selected keys")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            api_key_revoke(key=key)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The list needs it for its action; a key itself does not change.
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VersionInline(VersionInlineBase):
    """A bot's history."""

    model = TwilioConfigVersion
    fk_name = "config"
    fields = readonly_fields = ("number", "face", "author", "author_key", "created_at", "document")
    extra = 0
    can_delete = False
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TwilioConfigVersion]:
        versions = super().get_queryset(request).defer("body", "secrets")
        return versions.select_related("author", "author_key")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TwilioConfig)
class TwilioConfigAdmin(ConfigAdminBase):
    """Bots, to look at: they change through the API."""

    list_display = ("__str__", "account", "version", "created_at", "updated_at", "deleted_at")
    list_select_related = ("account", "current")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "id", "account__name")
    date_hierarchy = "created_at"
    fields = readonly_fields = ("id", "account", "name", "version", "twiml") + (
        "created_at",
        "updated_at",
        "deleted_at",
    )
    inlines = (VersionInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TwilioConfig]:
        configs = super().get_queryset(request)
        return configs.defer("current__body", "current__secrets", "current__document")

    @admin.display(description="version")
    def version(self, config: TwilioConfig) -> int | None:
        return config.current.number if config.current else None

    @admin.display(description="TwiML")
    def twiml(self, config: TwilioConfig) -> str:
        return config_twiml(config)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
