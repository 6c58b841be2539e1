"""Links to lists: what they narrow by is what the list narrows by."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

from django.test import Client
from django.urls import Resolver404, resolve
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, TwilioConnection, User
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.dashboard.calls.filters import CallFilters
from tests.calls.test_calls_api import make_call
from tests.dashboard.people import Login, text
from tests.screenshots.seed import SCRIPTED, bots_make, history_make, webhooks_make

CALLS = "/admin/calls/call/"
# What the list of calls is narrowed by; it passes over whatever else an address says.
OF_CALLS = frozenset((*CallFilters.base_fields, "cursor"))

# Lists to which links lead that narrow them.
NARROWED = ("accounts_auditentry", "calls_call", "calls_phonenumber", "webhooks_delivery")

_HREF = re.compile(r'<a\b[^>]*\bhref="([^"]*)"')


def links_of(path: str, page: str) -> Iterator[str]:
    for href in _HREF.findall(page):
        found = urljoin(path, unescape(href))
        if found.startswith("/admin/"):
            yield found


def view_of(path: str) -> str:
    try:
        return resolve(urlsplit(path).path).view_name
    except Resolver404:
        return ""


def links_reached(client: Client) -> set[str]:
    """Return the links of a page of each view that links lead to."""
    seen, found, waiting = set[str](), set[str](), deque(["/admin/"])
    while waiting:
        path = waiting.popleft()
        view = view_of(path)
        if not view or view in seen or "export" in view or "logout" in view:
            continue
        seen.add(view)
        answer = client.get(path)
        if answer.streaming or "html" not in answer.get("Content-Type", ""):
            continue
        links = set(links_of(path, text(answer)))
        found |= links
        waiting.extend(sorted(links))
    return found


def is_known(client: Client, link: str) -> bool:
    """Whether the list that a link leads to narrows by all that the link says."""
    if view_of(link) == "admin:calls_call_changelist":
        return parse_qs(urlsplit(link).query, keep_blank_values=True).keys() <= OF_CALLS
    # The admin sends whoever asks for what no column or filter knows away.
    return client.get(link).status_code == 200


def test_every_filter_in_a_link_is_one_that_its_list_knows(
    root: Client, account: Account, connection: TwilioConnection
) -> None:
    configs = bots_make(account, Actor(user=User.objects.latest("pk")), SCRIPTED)
    history_make(configs, timezone.now(), 3)
    webhooks_make(account, Actor(), timezone.now())
    lists = {
        link
        for link in links_reached(root)
        if urlsplit(link).query and view_of(link).endswith("_changelist")
    }
    assert [link for link in sorted(lists) if not is_known(root, link)] == []
    views = {view_of(link) for link in lists}
    assert {f"admin:{name}_changelist" for name in NARROWED} <= views
    assert not is_known(root, f"{CALLS}?config__id__exact={configs[0].pk}")
    assert not is_known(root, "/admin/webhooks/delivery/?hook=1")


def test_a_bots_tab_of_calls_shows_the_calls_of_that_bot(
    as_: Login, account: Account, config: TwilioConfig
) -> None:
    other = bots_make(account, Actor(), SCRIPTED)[0]
    mine, theirs = make_call(config, "CA1"), make_call(other, "CA2")
    client = as_(account, "viewer")
    page = f"/admin/bots/twilioconfig/{config.pk}/change/"
    tab = next(
        link
        for link in links_of(page, text(client.get(page)))
        if link.startswith(CALLS) and str(config.pk) in link
    )
    found = text(client.get(tab))
    assert f"{CALLS}{mine.pk}/" in found
    assert f"{CALLS}{theirs.pk}/" not in found
    assert Call.objects.count() == 2
