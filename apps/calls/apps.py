"""Django's view of the calls app."""

from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "apps.calls"
    label = "calls"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.accounts.connections import connection_hold
        from apps.calls.machines import machine_detected
        from apps.calls.news import machine_verdict
        from apps.calls.selectors import connection_uses

        connection_hold(connection_uses)
        machine_verdict.connect(machine_detected, dispatch_uid="calls.machine_detected")
