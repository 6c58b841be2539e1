"""Calls at the addresses of Django's admin, each view behind the scope that the API asks for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe
from unfold.admin import ModelAdmin

from apps.calls.hangup import call_hang_up
from apps.calls.live import call_say
from apps.calls.models import Call, Recording
from apps.calls.recordings.services import recording_erase
from apps.calls.transfers import call_transfer
from apps.dashboard.calls import sound
from apps.dashboard.calls.detail import WRITES, call_news, call_page, calls_read
from apps.dashboard.calls.forms import SayForm, TransferForm
from apps.dashboard.calls.listing import READS, calls_file, calls_page
from apps.dashboard.rows import RowPages, act
from apps.dashboard.scoping import AccountScoped, actor_in

if TYPE_CHECKING:
    CallAdminBase = admin.ModelAdmin[Call]
else:
    CallAdminBase = ModelAdmin

Answer = Callable[[HttpRequest, Call], HttpResponseBase]


@admin.register(Call)
class CallAdmin(RowPages, AccountScoped, CallAdminBase):
    """Calls: looked at here, and changed by services alone."""

    reading = READS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        return calls_read(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        export = require_safe(self.admin_site.admin_view(self._export))
        return [
            path("export/", export, name="calls_call_export"),
            self._shows("recording", sound.recording_sound),
            self._shows("peaks", sound.recording_shape),
            self._shows("news", call_news),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._check(request)
        return calls_page(request)

    def shown(self, request: HttpRequest, row: Call, /, **bound: forms.Form) -> HttpResponse:
        return call_page(request, row, **bound)

    @act(WRITES)
    def hang_up(self, request: HttpRequest, call: Call) -> HttpResponse:
        found = call_hang_up(account=call.account, call_id=call.pk, actor=actor_in(request))
        over = "The call is over." if found.is_over else "The call is being hung up."
        messages.success(request, over)
        return redirect(self.page_of(call))

    @act(WRITES)
    def transfer(self, request: HttpRequest, call: Call) -> HttpResponse:
        form = TransferForm(request.POST, call=call)
        if form.is_valid():
            with form.refusals():
                made = call_transfer(
                    account=call.account, call_id=call.pk, wish=form.wish, actor=actor_in(request)
                )
                messages.success(request, f"The caller is being put through to {made.to}.")
                return redirect(self.page_of(call))
        return self.shown(request, call, transfer=form)

    @act(WRITES)
    def say(self, request: HttpRequest, call: Call) -> HttpResponse:
        form = SayForm(request.POST)
        if form.is_valid():
            with form.refusals():
                call_say(
                    account=call.account, call_id=call.pk, actor=actor_in(request), **form.given
                )
                messages.success(request, "The bot says it when it is its turn.")
                return redirect(self.page_of(call))
        return self.shown(request, call, say=form)

    @act(WRITES)
    def erase(self, request: HttpRequest, call: Call) -> HttpResponse:
        try:
            recording_erase(account=call.account, call_id=call.pk, actor=actor_in(request))
        except Recording.DoesNotExist:
            messages.info(request, "There is no recording of this call any more.")
        else:
            messages.success(request, "The recording is erased. It cannot be brought back.")
        return redirect(self.page_of(call))

    def _export(self, request: HttpRequest) -> HttpResponseBase:
        self._check(request)
        return calls_file(request)

    def _shows(self, name: str, answer: Answer) -> URLPattern:
        def view(request: HttpRequest, object_id: uuid.UUID) -> HttpResponseBase:
            return answer(request, self.row(request, object_id))

        guarded = require_safe(self.admin_site.admin_view(view))
        return path(f"<uuid:object_id>/{name}/", guarded, name=self._tail(name))

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied
