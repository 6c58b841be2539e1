"""Django's view of the wiring: registers the system checks."""

from django.apps import AppConfig


class BotsconfigConfig(AppConfig):
    name = "botsconfig"
    label = "botsconfig"

    def ready(self) -> None:
        from botsconfig import checks  # noqa: F401 - registers them
