"""Calls in the admin site: to look at, never to change."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from apps.calls.models import Call, CallEvent, Turn
from apps.dashboard.scoping import AccountScoped, SeenWithItsParent
from apps.dashboard.wording import length, money

if TYPE_CHECKING:
    CallAdminBase = admin.ModelAdmin[Call]
    TurnInlineBase = admin.TabularInline[Turn, Call]
    EventInlineBase = admin.TabularInline[CallEvent, Call]
else:
    CallAdminBase = ModelAdmin
    TurnInlineBase = EventInlineBase = TabularInline


class TurnInline(SeenWithItsParent, TurnInlineBase):
    """The transcript."""

    model = Turn
    fields = readonly_fields = (
        *("role", "source", "text_heard", "interrupted"),
        *("latency", "stages", "cost"),
    )
    extra = 0

    @admin.display(description="cost")
    def cost(self, turn: Turn) -> str:
        return money(turn.cost_usd)

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

    reading = "calls:read"

    list_display = (
        *("started_at", "status", "direction", "from_number", "to_number", "config"),
        *("length", "cost", "end_reason", "account", "__str__"),
    )
    list_select_related = ("account", "config")
    list_filter = ("status", "direction", "end_reason", "started_at")
    search_fields = (
        *("call_sid", "id", "from_number", "to_number"),
        *("config__name", "account__name"),
    )
    date_hierarchy = "started_at"
    # What the platform notes for itself (leases, sequences, attempts) is of no use to a person.
    fields = (
        *("account", "config", "version", "direction", "from_number", "to_number"),
        *("status", "end_reason", "error_code", "error", "answered_by"),
        *("started_at", "scheduled_at", "answered_at", "ended_at", "length", "billed_s"),
        *("variables", "metadata", "call_sid", "twilio_account_sid", "stream_sid"),
        *("cost", "costs_by_slot"),
    )
    readonly_fields = ("length", "cost", "costs_by_slot")
    inlines = (TurnInline, EventInline)
    # Rows are the journal's: the mixin lets nobody change them.

    @admin.display(description="cost")
    def cost(self, call: Call) -> str:
        if call.ended_at is None and not call.costs:
            return "live"
        return money(call.cost_usd, is_complete=call.cost_is_complete)

    @admin.display(description="of this")
    def costs_by_slot(self, call: Call) -> SafeString:
        return format_html_join("", "<div>{}: {} {}: {} ({})</div>", map(_cost_line, call.costs))

    @admin.display(description="length")
    def length(self, call: Call) -> str:
        return length(call.duration_s)


def _cost_line(line: dict[str, Any]) -> tuple[str, ...]:
    usd = None if line["cost_usd"] is None else Decimal(line["cost_usd"])
    used = ", ".join(f"{name} {count:g}" for name, count in line["units"].items() if count)
    cost = money(usd, is_complete=line["is_complete"])
    return line["slot"], line["provider"], line["model"], cost, used or "not used"
