"""Calls in the dashboard: the list, its export, and a call's page."""

from apps.dashboard.calls import admin  # noqa: F401 - it registers itself
