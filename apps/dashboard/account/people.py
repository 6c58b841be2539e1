"""People in the admin site, for superusers alone: they belong to no account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.models import Membership, User
from apps.accounts.people import user_create, user_delete, user_password_set, user_update
from apps.dashboard.confirming import confirmation
from apps.dashboard.refusals import REFUSALS, refusal_of
from apps.dashboard.scoping import SeenWithItsParent, actor_in
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
        actor = actor_in(request)
        if not change:
            user_create(user=obj, actor=actor)
            return
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        user_update(user=obj, changes=changes, actor=actor)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        user_delete(user=obj, actor=actor_in(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        with transaction.atomic():  # all of them, or none
            for user in queryset:
                user_delete(user=user, actor=actor_in(request))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        rises = object_id is not None and self._makes_superuser(request, object_id)
        if rises and (asks := _asks(request)):
            return asks
        return self._answered(request, super().changeform_view, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        asks = _asks(request)
        return asks or self._answered(request, super().delete_view, object_id, extra_context)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        # The one action that there is deletes.
        if request.method == "POST" and "action" in request.POST and (asks := _asks(request)):
            return asks
        return self._answered(request, super().changelist_view, extra_context)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        """Set somebody's password; one's own is changed as everybody does, with the old one."""
        user = self.get_object(request, unquote(id))
        if user == request.user:
            return redirect("account_change_password")
        if asks := _asks(request):
            return asks
        if request.method == "POST" and user is not None and self.has_change_permission(request):
            form: Any = self.change_password_form(user, request.POST)
            if form.is_valid() and _is_clear(form, request):
                return self._answered(request, self._password_set, user, form)
        # It shows the form, and what is wrong with it.
        return super().user_change_password(request, id, form_url)

    def _password_set(self, request: HttpRequest, user: User, form: Any) -> HttpResponse:
        given = form.cleaned_data
        password = given["password1"] if given["set_usable_password"] else None
        user_password_set(user=user, password=password, actor=actor_in(request))
        found = "another password" if password else "no password"
        messages.success(request, f"{user} has {found} now, and is logged in nowhere.")
        return redirect("admin:accounts_user_change", user.pk)

    def _makes_superuser(self, request: HttpRequest, object_id: str) -> bool:
        """Tell whether somebody becomes, or ceases to be, one who may do everything."""
        user = self.get_object(request, unquote(object_id))
        if request.method != "POST" or user is None:
            return False
        return user.is_superuser != bool(request.POST.get("is_superuser"))

    def _answered(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *args: Any
    ) -> HttpResponse:
        try:
            return view(request, *args)
        except REFUSALS as exc:
            messages.error(request, refusal_of(exc)[1])
            return redirect(request.get_full_path())

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


def _asks(request: HttpRequest) -> HttpResponse | None:
    # Who may do none of it is refused, not asked.
    return confirmation(request) if request.user.is_superuser else None


def _is_clear(form: Any, request: HttpRequest) -> bool:
    # Django's page has a button each for setting a password and for taking it away.
    return bool(form.cleaned_data["set_usable_password"] or "unset-password" in request.POST)
