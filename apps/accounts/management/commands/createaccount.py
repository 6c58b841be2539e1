"""Creates an account and its first API key, and prints them once."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.audit import Actor
from apps.accounts.scopes import ADMIN
from apps.accounts.services import account_create, api_key_create


class Command(BaseCommand):
    help = "Create an account and its first API key. The key is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--twilio-auth-token-file",
            type=Path,
            metavar="FILE",
            help="a file with the auth token of the account's Twilio project",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 0 < len(name) <= 200:
            raise CommandError("The name must have 1 to 200 characters.")
        token = self._token(options["twilio_auth_token_file"])
        with transaction.atomic():
            actor = Actor(command="createaccount")
            account = account_create(name=name, actor=actor, twilio_auth_token=token)
            _, secret = api_key_create(account=account, actor=actor, name="first", scopes=[ADMIN])
        if options["json"]:
            self.stdout.write(json.dumps({"account_id": str(account.id), "api_key": secret}))
        else:
            self.stdout.write(f"account {account.id}\nAPI key {secret}\nKeep it: it is shown once.")

    def _token(self, path: Path | None) -> str:
        if path is None:
            return ""
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise CommandError(f"Cannot read {path}: {type(exc).__name__}.") from None
        if not token:
            raise CommandError(f"{path} is empty.")
        return token
