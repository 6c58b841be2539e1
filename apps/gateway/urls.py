"""Paths of the gateway's HTTP side."""

from __future__ import annotations

from apps.core.routing import both
from apps.gateway.metrics import metrics

urlpatterns = both("metrics", metrics, name="metrics")
