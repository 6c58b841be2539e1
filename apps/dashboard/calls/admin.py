"""Calls at the addresses of Django's admin, each view behind the scope that the API asks for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin

from apps.calls.models import Call
from apps.dashboard.calls import actions, sound
from apps.dashboard.calls.detail import WRITES, call_news, call_page, calls_read
from apps.dashboard.calls.listing import READS, calls_file, calls_page
from apps.dashboard.scoping import AccountScoped, may, narrowed

if TYPE_CHECKING:
    CallAdminBase = admin.ModelAdmin[Call]
else:
    CallAdminBase = ModelAdmin

Act = Callable[[HttpRequest, Call], HttpResponseBase]


@admin.register(Call)
class CallAdmin(AccountScoped, CallAdminBase):
    """Calls: looked at here, and changed by services alone."""

    reading = READS
    search_fields = ("call_sid",)  # for fields elsewhere that complete themselves

    def get_urls(self) -> list[URLPattern]:
        of_call = {
            "recording": (READS, ("GET", "HEAD"), sound.recording_sound),
            "peaks": (READS, ("GET", "HEAD"), lambda request, call: sound.recording_shape(call)),
            "news": (READS, ("GET", "HEAD"), call_news),
            "hang-up": (WRITES, ("POST",), actions.hang_up),
            "transfer": (WRITES, ("POST",), actions.transfer),
            "say": (WRITES, ("POST",), actions.say),
            "erase": (WRITES, ("POST",), actions.erase),
        }
        export = self.admin_site.admin_view(self._export)
        return [
            path("export/", export, name="calls_call_export"),
            *(self._path(name, *what) for name, what in of_call.items()),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        _check(request, READS)
        return calls_page(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(("GET", "HEAD"))
        return call_page(request, _call(request, object_id, READS))

    def _export(self, request: HttpRequest) -> HttpResponseBase:
        _check(request, READS)
        return calls_file(request)

    def _path(self, name: str, scope: str, methods: tuple[str, ...], act: Act) -> URLPattern:
        def view(request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
            if request.method not in methods:
                # Somebody reloads what a POST has answered.
                return redirect(reverse("admin:calls_call_change", args=[object_id]))
            return act(request, _call(request, object_id, scope))

        guarded = self.admin_site.admin_view(view)
        return path(
            f"<uuid:object_id>/{name}/", guarded, name=f"calls_call_{name.replace('-', '_')}"
        )


def _check(request: HttpRequest, scope: str, account_id: Any = None) -> None:
    if not may(request, scope, account_id):
        raise PermissionDenied


def _call(request: HttpRequest, object_id: Any, scope: str) -> Call:
    """Return a call that the page shows. Another account's is a 404; raises PermissionDenied."""
    _check(request, READS)
    try:
        found = narrowed(request, calls_read(Call.objects.all()), READS).get(
            pk=uuid.UUID(str(object_id))
        )
    except (Call.DoesNotExist, ValueError):
        raise Http404 from None
    _check(request, scope, found.account_id)
    return found
