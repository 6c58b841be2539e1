"""Django's view of the calls app."""

from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "apps.calls"
    label = "calls"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.accounts.connections import connection_hold
        from apps.calls.selectors import connection_uses

        connection_hold(connection_uses)
