"""Who looks at the dashboard in tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
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


def form_in(page: str, action: str) -> dict[str, Any]:
    """Return what a browser sends of the form that goes to ``action`` and nobody touched."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    found: dict[str, Any] = {}
    for tag, rest in re.findall(r"<(input|select)\b([^>]*)>", form):
        name = _attribute(rest, "name")
        value = unescape(_attribute(rest, "value"))
        if tag == "select":
            options = form.partition(f"{rest}>")[2].partition("</select>")[0]
            chosen = re.search(r'value="([^"]*)"[^>]*\bselected', options)
            found[name] = unescape(chosen[1]) if chosen else ""
        elif 'type="checkbox"' in rest or 'type="radio"' in rest:
            if re.search(r"\bchecked\b", rest):
                found[name] = [*found.get(name, []), value or "on"]
        else:
            found[name] = value
    return found


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""
