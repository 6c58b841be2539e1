"""Calls in the admin site: to look at, never to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from apps.calls.models import Call, CallEvent, Turn
from apps.dashboard.scoping import AccountScoped, SeenWithItsParent

if TYPE_CHECKING:
    CallAdminBase = admin.ModelAdmin[Call]
    TurnInlineBase = admin.TabularInline[Turn, Call]
    EventInlineBase = admin.TabularInline[CallEvent, Call]
else:
    CallAdminBase = admin.ModelAdmin
    TurnInlineBase = EventInlineBase = admin.TabularInline


class TurnInline(SeenWithItsParent, TurnInlineBase):
    """The transcript."""

    model = Turn
    fields = readonly_fields = ("role", "source", "text_heard", "interrupted", "latency", "stages")
    extra = 0

    @admin.display(description="latency (ms)")
    def latency(self, turn: Turn) -> float | None:
        return turn.latency_ms

    @admin.display(description="where it went (ms)")
    def stages(self, turn: Turn) -> str:
        return ", ".join(f"{stage} {ms:.0f}" for stage, ms in turn.stages_ms.items())


class EventInline(SeenWithItsParent, EventInlineBase):
    """What else happened."""

    model = CallEvent
    fields = readonly_fields = ("at", "kind", "data")
    extra = 0


@admin.register(Call)
class CallAdmin(AccountScoped, CallAdminBase):
    """Calls, newest first."""

    list_display = ("call_sid", "config", "account", "status", "end_reason", "started_at", "length")
    list_select_related = ("account", "config")
    list_filter = ("status", "end_reason", "started_at")
    search_fields = ("call_sid", "id", "config__name", "account__name")
    date_hierarchy = "started_at"
    inlines = (TurnInline, EventInline)
    # Rows are the journal's: the mixin lets nobody change them.

    @admin.display(description="length")
    def length(self, call: Call) -> str:
        if call.ended_at is None:
            return "live"
        minutes, seconds = divmod(round((call.ended_at - call.started_at).total_seconds()), 60)
        return f"{minutes}:{seconds:02}"
