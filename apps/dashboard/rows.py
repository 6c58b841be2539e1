"""Own pages of rows at the addresses of Django's admin, and what a POST does to a row."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from apps.accounts.models import Account
from apps.dashboard.pages import page
from apps.dashboard.refusals import REFUSALS, refusal_of
from apps.dashboard.scoping import may, narrowed

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

Act = TypeVar("Act", bound=Callable[..., HttpResponse])


def act(scope: str) -> Callable[[Act], Act]:
    """Mark a method as what a POST to ``<id>/<its name>/`` does to a row: ``(request, row)``.

    scope: what the person must hold in the row's account. What a service refuses is told on the
    row's page.
    """

    def mark(method: Act) -> Act:
        method.act_scope = scope  # type: ignore[attr-defined]
        return method

    return mark


class RowPages(Base):
    """An admin class of rows of accounts, whose rows have pages of their own making."""

    list_title: ClassVar[str]
    # What a list without rows says; in it, what to do next.
    empty_template: ClassVar[str] = ""

    if TYPE_CHECKING:
        reading: ClassVar[str]
        adding: ClassVar[str]

        def account_id_of(self, obj: Any) -> Any: ...

    def row(self, request: HttpRequest, object_id: Any, scope: str = "") -> Any:
        """Return a row that the person may see. Another account's is a 404.

        scope: what they are about to need. Raises PermissionDenied.
        """
        scope = scope or self.reading
        if not may(request, scope):
            raise PermissionDenied
        try:
            found = self.get_queryset(request).get(pk=uuid.UUID(str(object_id)))
        except (ObjectDoesNotExist, ValueError):
            raise Http404 from None
        if not may(request, scope, self.account_id_of(found)):
            raise PermissionDenied
        return found

    def accounts_for(self, request: HttpRequest) -> QuerySet[Account]:
        """Return the accounts in which the person may make something new.

        Raises PermissionDenied where there is none.
        """
        found = narrowed(request, Account.objects.all(), self.adding, "pk")
        if not found.exists():
            raise PermissionDenied
        return found

    def page(self, request: HttpRequest, template: str, *, title: str, **more: Any) -> HttpResponse:
        """Render a page that stands below the list."""
        crumbs = ((self.list_title, self.list_page()),)
        return page(request, template, title=title, crumbs=crumbs, **more)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        titled = {"title": self.list_title, **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, titled)
        return answer

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(("GET", "HEAD"))
        return self.shown(request, self.row(request, object_id))

    def shown(self, request: HttpRequest, row: Any, /, **bound: forms.Form) -> HttpResponse:
        """Return a row's page. bound: forms that were not valid, instead of fresh ones."""
        raise NotImplementedError

    def page_of(self, row: Any) -> str:
        """Return the address of a row's page."""
        return reverse(self._name("change"), args=[row.pk])

    def list_page(self) -> str:
        return reverse(self._name("changelist"))

    def get_urls(self) -> list[URLPattern]:
        own = type(self)
        names = (name for name in dir(own) if hasattr(getattr(own, name), "act_scope"))
        return [*map(self._path, names), *super().get_urls()]

    def _path(self, name: str) -> URLPattern:
        view = self.admin_site.admin_view(self._view(getattr(self, name)))
        return path(f"<uuid:object_id>/{name.replace('_', '-')}/", view, name=self._tail(name))

    def _view(self, method: Any) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
            if request.method != "POST":
                # Somebody reloads what the POST has answered.
                return redirect(reverse(self._name("change"), args=[object_id]))
            row = self.row(request, object_id, method.act_scope)
            try:
                answer: HttpResponse = method(request, row)
            except ObjectDoesNotExist:  # gone meanwhile
                raise Http404 from None
            except REFUSALS as exc:
                messages.error(request, refusal_of(exc)[1])
                answer = redirect(self.page_of(row))
            return answer

        return view

    def _tail(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def _name(self, name: str) -> str:
        return f"admin:{self._tail(name)}"
