"""Bots in the admin site: the list, and where each page of theirs is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.bots.models import TwilioConfig
from apps.dashboard.bots import connecting, editor, removal, trying, versions
from apps.dashboard.bots.listing import bots_listed, failed, health_of, known_of
from apps.dashboard.bots.lookup import READ, WRITE, bot_get
from apps.dashboard.scoping import AccountScoped
from apps.dashboard.talk.views import talk_urls
from apps.dashboard.templatetags.dashboard import when

if TYPE_CHECKING:
    BotAdminBase = admin.ModelAdmin[TwilioConfig]
else:
    BotAdminBase = ModelAdmin

_HEAVY = tuple(f"current__{name}" for name in ("body", "kept", "secrets"))


class InService(admin.SimpleListFilter):
    """Bots in service; those that were deleted only to who asks for them."""

    title = "service"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Deleted")]

    def choices(self, changelist: Any) -> Any:
        found = list(super().choices(changelist))
        return [{**found[0], "display": "In service"}, *found[1:]]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[TwilioConfig]
    ) -> QuerySet[TwilioConfig]:
        if self.value() == "yes":
            return queryset.exclude(deleted_at=None)
        return queryset.filter(deleted_at=None)


class BotList(ChangeList):
    """A page of bots, with what is known of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        known = known_of(self.result_list)
        for bot in self.result_list:
            bot.known = known


@admin.register(TwilioConfig)
class TwilioConfigAdmin(AccountScoped, BotAdminBase):
    """Bots: their list, and the pages of each."""

    reading = READ
    adding = changing = deleting = WRITE
    list_display = ("bot", "account", "health", "last_call", "in_a_day", "made_of") + (
        "version",
        "changed",
    )
    list_display_links = ("bot",)
    list_select_related = ("account", "current")
    list_filter = (InService, "llm_provider", "tts_provider", "stt_provider")
    search_fields = ("name", "account__name")
    search_help_text = "By name, or by Bot ID"
    ordering = ("-updated_at",)
    list_per_page = 25
    show_full_result_count = False
    list_before_template = "dashboard/bots/list_before.html"
    actions = ()

    class Media:
        css: ClassVar = {"all": ("dashboard/css/bots.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[TwilioConfig]:
        return bots_listed(super().get_queryset(request)).defer(*_HEAVY)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BotList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Django's own deletes the rows past the service.
        return {}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TwilioConfig], search_term: str
    ) -> tuple[QuerySet[TwilioConfig], bool]:
        try:
            return queryset.filter(pk=uuid.UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    # --- its columns; ``known`` is what BotList has read for the whole page ---

    @admin.display(description="Bot", ordering="name")
    def bot(self, bot: TwilioConfig) -> str:
        return bot.name or f"Bot {str(bot.pk)[:8]}"

    @admin.display(description="Health")
    def health(self, bot: Any) -> SafeString:
        health = health_of(bot, bot.known)
        return render_to_string("dashboard/bots/health.html", {"bot": bot, "health": health})

    @admin.display(description="Last call", ordering="last_called_at")
    def last_call(self, bot: Any) -> SafeString | str:
        call = bot.known.last.get(bot.pk)
        if call is None:
            return "Never"
        context = {"call": call, "failed": call.is_over and failed(call)}
        return render_to_string("dashboard/bots/last_call.html", context)

    @admin.display(description="Calls in 24 h", ordering="calls_in_a_day")
    def in_a_day(self, bot: Any) -> int:
        return int(bot.calls_in_a_day)

    @admin.display(description="Model, voice, ears")
    def made_of(self, bot: TwilioConfig) -> str:
        return ", ".join((bot.llm_provider, bot.tts_provider, bot.stt_provider))

    @admin.display(description="Version")
    def version(self, bot: TwilioConfig) -> str:
        if bot.current is None:
            return "draft"
        number = bot.current.number
        return f"{number}, draft {bot.latest_number}" if bot.latest_number > number else str(number)

    @admin.display(description="Changed", ordering="updated_at")
    def changed(self, bot: TwilioConfig) -> SafeString | str:
        return when(bot.updated_at)

    # --- its pages ---

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("slot/<slug:kind>/", trying.slot, "slot"),
            ("hear/", trying.hear, "hear"),
            ("<uuid:id>/versions/", versions.versions, "versions"),
            ("<uuid:id>/versions/<int:number>/", versions.version, "version"),
            ("<uuid:id>/versions/<int:number>/publish/", versions.publish, "publish"),
            ("<uuid:id>/versions/<int:number>/restore/", versions.restore, "restore"),
            ("<uuid:id>/connect/", connecting.connect, "connect"),
            ("<uuid:id>/rotate/", connecting.rotate, "rotate"),
            ("<uuid:id>/render/", trying.preview, "render"),
            ("<uuid:id>/undelete/", removal.undelete, "undelete"),
            ("<uuid:id>/tools/<str:name>/try/", trying.try_tool, "try_tool"),
        )
        own = [
            path(route, self.admin_site.admin_view(view), name=f"bots_twilioconfig_{name}")
            for route, view, name in pages
        ]
        found: list[URLPattern] = [*own, *talk_urls(), *super().get_urls()]
        return found

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return editor.add(request)

    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        config = bot_get(request, object_id, READ, deleted=True)
        if config.deleted_at is not None:
            return removal.deleted(request, config)
        return editor.edit(request, config)

    def delete_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return removal.delete(request, object_id)

    def history_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        # Django's own log knows nothing of the services: ours stands in the versions.
        return versions.versions(request, uuid.UUID(str(object_id)))
