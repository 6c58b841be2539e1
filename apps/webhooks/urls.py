"""Paths of endpoints, deliveries and kinds of events."""

from __future__ import annotations

from apps.core.routing import both
from apps.webhooks.viewsets import DeliveryViewSet, EndpointViewSet, KindViewSet

_endpoints = EndpointViewSet.as_view({"get": "list", "post": "create"})
_endpoint = EndpointViewSet.as_view(
    {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
)
_deliveries = DeliveryViewSet.as_view({"get": "list"})
_delivery = DeliveryViewSet.as_view({"get": "retrieve"})


def _action(name: str) -> object:
    return EndpointViewSet.as_view({"post": name})


urlpatterns = [
    *both("webhooks", _endpoints, name="webhooks"),
    *both("webhooks/kinds", KindViewSet.as_view({"get": "list"}), name="webhook-kinds"),
    *both("webhooks/<uuid:id>", _endpoint, name="webhook"),
    *both("webhooks/<uuid:id>/ping", _action("ping"), name="webhook-ping"),
    *both("webhooks/<uuid:id>/replay", _action("replay"), name="webhook-replay"),
    *both("webhooks/<uuid:id>/rotate-secret", _action("rotate_secret"), name="webhook-rotate"),
    *both("webhooks/<uuid:id>/deliveries", _deliveries, name="webhook-deliveries"),
    *both("webhooks/<uuid:id>/deliveries/<uuid:delivery_id>", _delivery, name="webhook-delivery"),
    *both(
        "webhooks/<uuid:id>/deliveries/<uuid:delivery_id>/replay",
        DeliveryViewSet.as_view({"post": "replay"}),
        name="webhook-delivery-replay",
    ),
]
