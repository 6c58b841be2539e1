"""Django's view of the dashboard."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "apps.dashboard"
    label = "dashboard"

    def ready(self) -> None:
        from apps.dashboard import login_events  # noqa: F401 - it registers its receivers
