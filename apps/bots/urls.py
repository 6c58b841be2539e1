"""Paths of the bot configurations."""

from __future__ import annotations

from apps.bots.viewsets import ProvidersView, TwilioConfigViewSet
from apps.core.routing import both

_many = TwilioConfigViewSet.as_view({"get": "list", "post": "create"})
_one = TwilioConfigViewSet.as_view(
    {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
)

urlpatterns = [
    *both("twilio-config", _many, name="twilio-configs"),
    *both("twilio-config/<uuid:id>", _one, name="twilio-config"),
    *both("providers", ProvidersView.as_view(), name="providers"),
]
