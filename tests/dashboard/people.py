"""Who looks at the dashboard in tests."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.messages import get_messages
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put

ROLES = ("owner", "admin", "operator", "viewer")
KEEPERS = frozenset(("owner", "admin"))
WRITERS = frozenset(("owner", "admin", "operator"))

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
