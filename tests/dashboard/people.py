"""Who looks at the dashboard in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.messages import get_messages
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put

ROLES = ("owner", "admin", "operator", "viewer", "superuser")
KEEPERS = frozenset(("owner", "admin", "superuser"))
WRITERS = frozenset(("owner", "admin", "operator", "superuser"))

Login = Callable[..., Client]


def person(name: str, account: Account | None = None, role: str = "") -> User:
    """Make somebody who may log in; with a role, in the account."""
    user = User.objects.create(username=name, is_staff=True, is_superuser=role == "superuser")
    if account is not None and role != "superuser":
        membership_put(account=account, user=user, role=role, actor=Actor())
    return user


def told(answer: object) -> str:
    """Return the messages that an answer left for the next page."""
    return "\n".join(str(message) for message in get_messages(answer.wsgi_request))  # type: ignore[attr-defined]


def text(answer: Any) -> str:
    """Return an answer's page."""
    found: str = answer.content.decode()
    return found


def shown_secret(answer: Any) -> str:
    """Return the secret that a page shows this once."""
    return text(answer).partition('<code id="secret"')[2].partition(">")[2].partition("<")[0]
