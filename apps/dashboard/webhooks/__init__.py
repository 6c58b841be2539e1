"""Webhooks: where events go, what became of each delivery, and sending them again."""

from apps.dashboard.webhooks import deliveries, endpoints  # noqa: F401 - they register their own
