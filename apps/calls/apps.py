"""Django's view of the calls app."""

from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "apps.calls"
    label = "calls"
    default_auto_field = "django.db.models.BigAutoField"
