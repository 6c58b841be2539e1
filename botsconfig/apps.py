"""Django's view of the wiring: registers the system checks."""

from django.apps import AppConfig


class BotsconfigConfig(AppConfig):
    name = "botsconfig"
    label = "botsconfig"

    def ready(self) -> None:
        from botsconfig import checks  # noqa: F401 - registers them

        _lists_withdraw()


def _lists_withdraw() -> None:
    """Take out of the admin site what libraries put there: rows that hold keys, or anybody's
    arguments, open by Django's own permissions, and changed past our log."""
    from allauth.account.models import EmailAddress
    from allauth.mfa.models import Authenticator
    from allauth.usersessions.models import UserSession
    from django.contrib import admin
    from django_tasks_db.models import DBTaskResult

    for model in (EmailAddress, Authenticator, UserSession, DBTaskResult):
        admin.site.unregister(model)
