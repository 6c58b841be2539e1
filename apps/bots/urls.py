"""Paths of the bot configurations."""

from __future__ import annotations

from django.urls import register_converter

from apps.bots.converters import VersionConverter
from apps.bots.dailybots_views import DailyBotsViewSet
from apps.bots.version_views import VersionViewSet
from apps.bots.viewsets import (
    ProvidersView,
    RenderView,
    RotateTokenView,
    ToolTrialView,
    TwilioConfigViewSet,
)
from apps.core.routing import both

register_converter(VersionConverter, "version")

_many = TwilioConfigViewSet.as_view({"get": "list", "post": "create"})
_one = TwilioConfigViewSet.as_view(
    {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
)
_versions = VersionViewSet.as_view({"get": "list"})
_version = VersionViewSet.as_view({"get": "retrieve"})
_publish = VersionViewSet.as_view({"post": "publish"})
_restore = VersionViewSet.as_view({"post": "restore"})
_their_many = DailyBotsViewSet.as_view({"get": "list", "post": "create"})
_their_one = DailyBotsViewSet.as_view({"get": "retrieve", "post": "update", "delete": "destroy"})

_ONE = "twilio-config/<uuid:id>"
urlpatterns = [
    *both("twilio-config", _many, name="twilio-configs"),
    *both(_ONE, _one, name="twilio-config"),
    *both(f"{_ONE}/versions", _versions, name="versions"),
    *both(f"{_ONE}/versions/<version:number>", _version, name="version"),
    *both(f"{_ONE}/versions/<version:number>/publish", _publish, name="version-publish"),
    *both(f"{_ONE}/versions/<version:number>/restore", _restore, name="version-restore"),
    *both(f"{_ONE}/render", RenderView.as_view(), name="render"),
    *both(f"{_ONE}/rotate-token", RotateTokenView.as_view(), name="rotate-token"),
    *both(f"{_ONE}/tools/<slug:name>/test", ToolTrialView.as_view(), name="tool-test"),
    *both("providers", ProvidersView.as_view(), name="providers"),
    # Both spellings stand in their documentation.
    *both("v1/twilio-config", _their_many, name="v1-twilio-configs"),
    *both("v1/twilio-config/<uuid:id>", _their_one, name="v1-twilio-config"),
    *both("v1/bots/twilio-config", _their_many, name="v1-bots-twilio-configs"),
    *both("v1/bots/twilio-config/<uuid:id>", _their_one, name="v1-bots-twilio-config"),
]
