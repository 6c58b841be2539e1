"""Connections to Twilio accounts: tried at Twilio before they are stored, never read."""

from apps.dashboard.connections import admin  # noqa: F401 - they register their own
