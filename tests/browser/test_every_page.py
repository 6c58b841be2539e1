"""Every page that a person can reach by links: no error, no refusal by the policy, no stranger
asked, nothing that keeps somebody out, no wider than its window, nothing that moves by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account, TwilioConnection, User
from apps.accounts.services import api_key_create
from tests.browser.conftest import DESKTOP, PHONE, Visitor, VisitorFor
from tests.screenshots.seed import SCRIPTED, bots_make, history_make, webhooks_make

LARGE = (3840, 2160)
# Leads away from the pages, or is a file.
SKIPPED = ("logout", "export", "recording", "peaks", "jsi18n", "autocomplete", ".csv", ".wav")


@pytest.fixture
def busy(account: Account, connection: TwilioConnection) -> Account:
    """An account in which there is something of everything."""
    actor = Actor(user=User.objects.create(username="seed"))
    configs = bots_make(account, actor, SCRIPTED)
    history_make(configs, timezone.now(), 12)
    webhooks_make(account, actor, timezone.now())
    api_key_create(account=account, actor=actor, name="ours")
    credential_put(account=account, provider="openai", api_key="sk-1234567890", actor=actor)
    return account


def views_reached(visitor: Visitor) -> Iterator[str]:
    """Open a page of each view that links lead to; yields the views' names."""
    seen, waiting = set[str](), deque(["/admin/"])
    while waiting:
        path = waiting.popleft()
        try:
            name = resolve(urlsplit(path).path).view_name
        except Resolver404:
            continue
        if name in seen or any(part in path for part in SKIPPED):
            continue
        seen.add(name)
        visitor.open(path)
        yield name
        links = visitor.page.evaluate(
            "[...document.querySelectorAll('a[href]')].map((a) => new URL(a.href).pathname)"
        )
        waiting.extend(link for link in links if link.startswith(("/admin/", "/accounts/")))


@pytest.mark.parametrize(
    ("role", "size", "scheme"),
    [
        ("superuser", DESKTOP, "light"),
        ("owner", PHONE, "dark"),
        ("viewer", LARGE, "light"),
        ("operator", DESKTOP, "dark"),
    ],
    ids=["superuser", "owner on a phone", "viewer on 4K", "operator"],
)
def test_every_page_is_sound(
    visitor_for: VisitorFor, busy: Account, role: str, scheme: str
) -> None:
    visitor = visitor_for(role, busy, color_scheme=scheme)
    wrong: list[str] = []
    names = []
    for name in views_reached(visitor):
        names.append(name)
        try:
            visitor.clean()
        except AssertionError as found:
            wrong.append(f"{name}: {str(found)[:600]}")
            visitor.errors.clear()
            visitor.strangers.clear()
    assert wrong == [], "\n".join(wrong)
    assert "admin:bots_twilioconfig_changelist" in names
    assert "admin:calls_call_change" in names
