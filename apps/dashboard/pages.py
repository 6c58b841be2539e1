"""Pages of our own inside the admin's frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.models import Account
from apps.dashboard.scoping import CHOSEN, account_chosen, may, roles_of

View = Callable[..., HttpResponse]
# Text and address of what stands above a page.
Crumb = tuple[str, str]

# More are not offered in a list to choose from.
CHOICES = 100


def page(
    request: HttpRequest, template: str, *, title: str, crumbs: tuple[Crumb, ...] = (), **more: Any
) -> TemplateResponse:
    """Render a page inside the frame. crumbs: what stands above it, outermost first."""
    context = {**admin.site.each_context(request), "title": title, "crumbs": crumbs, **more}
    return TemplateResponse(request, template, context)


def needs(scope: str) -> Callable[[View], View]:
    """Have a view let in only who is logged in and holds the scope in some account (else 403).

    Which account a row is of, and that the scope is held there, is for the view to check: by
    starting its query with ``scoping.narrowed``, so that another account's row is a 404.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may(request, scope):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        guarded: View = admin.site.admin_view(checked)
        return guarded

    return decorate


def frame_context(request: HttpRequest) -> dict[str, Any]:
    """What the frame of every page shows: the accounts to choose from, and the chosen one."""
    if not (request.user.is_authenticated and getattr(request.user, "is_staff", False)):
        return {}
    accounts = Account.objects.only("id", "name").order_by("name")
    if not request.user.is_superuser:
        if len(roles_of(request)) < 2:
            return {}
        accounts = accounts.filter(pk__in=list(roles_of(request)))
    choices = list(accounts[:CHOICES])
    chosen = account_chosen(request)
    return {"account_choices": choices if len(choices) > 1 else [], "account_chosen": chosen}


@require_POST
def account_choose(request: HttpRequest) -> HttpResponse:
    """Narrow all pages to one account, or to none."""
    request.session[CHOSEN] = request.POST.get("account", "")
    if account_chosen(request) is None:
        request.session.pop(CHOSEN, None)
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return HttpResponseRedirect(back if safe else "/admin/")
