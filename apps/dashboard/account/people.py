"""People in the admin site, for superusers alone: they belong to no account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import Membership, User
from apps.dashboard.scoping import SeenWithItsParent
from apps.dashboard.second_factors import SecondFactorShown

if TYPE_CHECKING:
    MembershipInlineBase = admin.TabularInline[Membership, User]
    PersonAdminBase = UserAdmin[User]
else:
    MembershipInlineBase = TabularInline

    class PersonAdminBase(UserAdmin, ModelAdmin):
        """Django's, in unfold's look."""


class MembershipInline(SeenWithItsParent, MembershipInlineBase):
    """Where a user is; an account's own page changes it."""

    model = Membership
    fields = ("account", "role")
    extra = 0
    can_delete = False


@admin.register(User)
class PersonAdmin(SecondFactorShown, PersonAdminBase):
    """Who can log in. What they may do, their memberships say."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    inlines = (MembershipInline,)
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    # Django's own groups and permissions know no accounts, and count for nothing here.
    filter_horizontal = ()
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        # Whom nobody would let in would not have been made.
        obj.is_staff = obj.is_staff or not change
        super().save_model(request, obj, form, change)

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
