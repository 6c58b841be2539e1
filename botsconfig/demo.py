"""The demo account of ``make run``: what it is made of, and what a person is told about it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction

from apps.accounts.audit import Actor
from apps.accounts.models import Account, Membership, User
from apps.accounts.scopes import ADMIN as ALL_SCOPES
from apps.accounts.services import account_create, api_key_create, membership_put

ACCOUNT = "Demo"
ADMIN = "admin"

PROMPT = (
    "You are the front desk of Harbor Dental. Keep answers short. "
    "We are open Monday to Friday from nine to five, and Saturday from ten to two. "
    "We are at 12 Quay Street, next to the ferry. A check-up costs 60 dollars. "
    "Parking is free behind the building."
)


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's secrets: known at its first start, empty ever after."""

    api_key: str = ""
    password: str = ""


def demo_ensure() -> Demo:
    """Make the demo account and its admin, unless they are there already."""
    if User.objects.exists() or Account.objects.filter(name=ACCOUNT).exists():
        return Demo()
    password = secrets.token_urlsafe(12)
    with transaction.atomic():
        actor = Actor(command="start")
        account = account_create(name=ACCOUNT, actor=actor)
        _, api_key = api_key_create(account=account, actor=actor, name="demo", scopes=[ALL_SCOPES])
        admin = User.objects.create_superuser(ADMIN, password=password)
        membership_put(account=account, user=admin, role=Membership.Role.OWNER, actor=actor)
    return Demo(api_key, password)


def welcome(demo: Demo, *, port: int) -> str:
    """Say what to do next, in commands to copy."""
    base = f"http://127.0.0.1:{port}"
    key = demo.api_key or "$BOTSCONFIG_KEY"
    url = "" if port == 8000 else f" --url ws://127.0.0.1:{port}/media/twilio"
    body = (
        '{"name": "Front desk", "config": {"llm": {"prompt": "' + PROMPT + '"}, '
        '"greeting": {"mode": "text", "text": "Harbor Dental, how can I help?"}}}'
    )
    return f"""
botsconfig is ready at {base}

  API key     {demo.api_key or "shown at the first start; another: ./manage.py createaccount NAME"}
  Dashboard   {base}/admin/   {_login(demo)}
  API docs    {base}/docs

Make a bot:

  curl -s {base}/twilio-config -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' -d '{body}'

Call it, with the id of the answer:

  ./manage.py simulate_call <id> --say "What are your opening hours?" --out reply.wav{url}

Ctrl-C ends the server; the data stays in var/.
"""


def _login(demo: Demo) -> str:
    if demo.password:
        return f"{ADMIN} / {demo.password}"
    return f"{ADMIN}; a new password: ./manage.py changepassword {ADMIN}"
