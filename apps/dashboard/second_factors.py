"""Other people's second factors, for superusers: shown on a user's page, and taken away there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.models import User
from apps.accounts.second_factor import second_factor_is_on, second_factor_reset
from apps.dashboard.confirming import confirmation
from apps.dashboard.scoping import actor_in

if TYPE_CHECKING:
    UserPage = admin.ModelAdmin[User]
else:
    UserPage = object


class SecondFactorShown(UserPage):
    """Shows on a user's page whether they have a second factor, and where it is taken away."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "second_factor")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = tuple(super().get_fieldsets(request, obj))
        return (*found, ("Second factor", {"fields": ("second_factor",)})) if obj else found

    @admin.display(description="app or key")
    def second_factor(self, user: User) -> str:
        if not second_factor_is_on(user):
            return "Not set up"
        url = reverse("second_factor_reset", args=[user.pk])
        return format_html('Set up. <a class="bc-link" href="{}">Lost phone? Reset it …</a>', url)


def reset(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """Ask, and on POST take away somebody's second factor. Superusers alone; not their own, which
    they change as everybody: with the password."""
    user = get_object_or_404(User, pk=user_id)
    if not request.user.is_superuser or user == request.user:
        raise PermissionDenied
    if asks := confirmation(request):
        return asks
    if request.method == "POST":
        if second_factor_reset(user=user, actor=actor_in(request)):
            messages.success(
                request,
                f"{user} logs in by password alone now, and sets up a new app under Security.",
            )
        return redirect("admin:accounts_user_change", user.pk)
    context = {
        **admin.site.each_context(request),
        "title": f"Reset the second factor of {user}",
        "person": user,
    }
    return TemplateResponse(request, "dashboard/second_factor_reset.html", context)
