"""Takes away somebody's second factor, for who has lost phone and recovery codes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.audit import Actor
from apps.accounts.models import User
from apps.accounts.second_factor import second_factor_reset


class Command(BaseCommand):
    help = (
        "Take away a user's second factor and recovery codes, and end their sessions. "
        "They log in by password alone, and set up a new one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError("There is no user of this name.")
        if second_factor_reset(user=user, actor=Actor(command="reset_second_factor")):
            self.stdout.write(f"{user} logs in by password alone now.")
        else:
            self.stdout.write(f"{user} had no second factor.")
