"""Creates an API key of an account that exists, for an operator who has lost theirs."""

from __future__ import annotations

import json
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.scopes import ADMIN, SCOPES
from apps.accounts.services import api_key_create


class Command(BaseCommand):
    help = "Create an API key of an account. The key is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account_id", type=uuid.UUID)
        parser.add_argument("--name", default="", help="what the key is for")
        parser.add_argument(
            "--scope",
            action="append",
            metavar="SCOPE",
            help=f"may be given again; of {', '.join(SCOPES)}; {ADMIN} if left out",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if len(name) > 200:
            raise CommandError("The name must have at most 200 characters.")
        account = Account.objects.filter(pk=options["account_id"]).first()
        if account is None:
            raise CommandError("There is no account of this id.")
        try:
            key, secret = api_key_create(
                account=account,
                actor=Actor(command="createapikey"),
                name=name,
                scopes=options["scope"] or [ADMIN],
            )
        except ValidationError as exc:
            raise CommandError(" ".join(exc.messages)) from None
        if options["json"]:
            shown = {"account_id": str(account.id), "api_key_id": str(key.id), "api_key": secret}
            self.stdout.write(json.dumps(shown))
        else:
            self.stdout.write(f"API key {secret}\nKeep it: it is shown once.")
