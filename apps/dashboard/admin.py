"""The admin site for operators: typed, without secrets; state changes only through services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from unfold.admin import ModelAdmin, TabularInline

from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.twiml import config_twiml
from apps.dashboard import (  # noqa: F401 - they register their own
    account,
    calls,
    connections,
    numbers,
    webhooks,
)
from apps.dashboard.scoping import AccountScoped, SeenWithItsParent
from apps.dashboard.talk.views import talk_urls

if TYPE_CHECKING:
    ConfigAdminBase = admin.ModelAdmin[TwilioConfig]
    VersionInlineBase = admin.TabularInline[TwilioConfigVersion, TwilioConfig]
else:
    ConfigAdminBase = ModelAdmin
    VersionInlineBase = TabularInline

admin.site.site_header = admin.site.site_title = "botsconfig"
admin.site.index_title = "Bots and calls"
admin.site.site_url = None
# Roles say who may what; Django's groups and permissions mean nothing here.
admin.site.unregister(Group)


class VersionInline(SeenWithItsParent, VersionInlineBase):
    """A bot's history."""

    model = TwilioConfigVersion
    fk_name = "config"
    fields = readonly_fields = ("number", "face", "author", "author_key", "created_at", "document")
    extra = 0
    can_delete = False
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TwilioConfigVersion]:
        versions = super().get_queryset(request).defer("body", "secrets")
        return versions.select_related("author", "author_key")


@admin.register(TwilioConfig)
class TwilioConfigAdmin(AccountScoped, ConfigAdminBase):
    """Bots, to look at: they change through the API."""

    reading = "configs:read"

    list_display = ("__str__", "account", "version", "created_at", "updated_at", "deleted_at")
    list_select_related = ("account", "current")
    list_filter = (("deleted_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "id", "account__name")
    date_hierarchy = "created_at"
    fields = readonly_fields = ("id", "account", "name", "version", "twiml") + (
        "created_at",
        "updated_at",
        "deleted_at",
    )
    inlines = (VersionInline,)

    def get_urls(self) -> list[URLPattern]:
        return [*talk_urls(), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TwilioConfig]:
        configs = super().get_queryset(request)
        return configs.defer("current__body", "current__secrets", "current__document")

    @admin.display(description="version")
    def version(self, config: TwilioConfig) -> int | None:
        return config.current.number if config.current else None

    @admin.display(description="TwiML")
    def twiml(self, config: TwilioConfig) -> str:
        return config_twiml(config)
