"""The audit log: filtered, with what was before and after, and a way to what was changed."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, AuditEntry
from apps.accounts.services import account_patch, api_key_create
from apps.bots.models import TwilioConfig
from apps.dashboard import paging
from apps.dashboard.account.audit import target_page
from tests.calls.test_calls_api import make_call
from tests.dashboard.people import KEEPERS, ROLES, Login, person, text
from tests.test_architecture import APPS

LIST = "/admin/accounts/auditentry/"
# Known by a name, not by an id of ours.
BY_NAME = ("credential", "phone_number")


def url(entry: AuditEntry) -> str:
    return reverse("admin:accounts_auditentry_change", args=[entry.pk])


@pytest.mark.parametrize("role", ROLES)
def test_the_log_is_read_by_owners_and_admins(as_: Login, account: Account, role: str) -> None:
    client, expected = as_(account, role), 200 if role in KEEPERS else 403
    assert client.get(LIST).status_code == expected
    assert client.get(url(AuditEntry.objects.earliest("created_at"))).status_code == expected


def test_an_entry_shows_what_was_before_and_after(as_: Login, account: Account) -> None:
    account_patch(account_id=account.pk, changes={"name": "<Inn>"}, actor=Actor())
    entry = AuditEntry.objects.get(action="account.update")
    page = text(as_(account, "admin").get(url(entry)))
    assert "<del>Hotel</del>" in page
    assert "<ins>&lt;Inn&gt;</ins>" in page
    assert reverse("admin:accounts_account_change", args=[account.pk]) in page


@pytest.mark.parametrize(
    "kind",
    ["account", "api_key", "call", "config", "twilio_connection", "webhook", "membership"],
)
def test_every_target_has_a_page(account: Account, kind: str) -> None:
    target = Target(kind, str(account.pk))
    audit_record(account=account, actor=Actor(), action=f"{kind}.x", target=target)
    assert target_page(AuditEntry.objects.get(action=f"{kind}.x")).startswith("/admin/")


@pytest.mark.parametrize("kind", ["credential", "phone_number"])
def test_what_is_known_by_another_name_is_found_in_its_list(account: Account, kind: str) -> None:
    target = Target(kind, "the&one")
    audit_record(account=account, actor=Actor(), action=f"{kind}.x", target=target)
    page = target_page(AuditEntry.objects.get(action=f"{kind}.x"))
    assert page.endswith("?q=the%26one")


# Every kind of thing that a service says it has changed.
KINDS = sorted(
    {
        kind
        for source in APPS.rglob("*.py")
        for kind in re.findall(r'\bTarget\("(\w+)"', source.read_text())
    }
)


@pytest.mark.parametrize("target", ["", "6cf81958-95b1-5820-9b24-9eaf1bd80468", "PN1 and?more"])
def test_whatever_is_noted_has_an_entry_to_read(as_: Login, account: Account, target: str) -> None:
    client = as_(account, "owner")
    assert {"account", "call", "config", "membership", "user", "webhook"} <= set(KINDS)
    for kind in KINDS:
        if target[:2] == "PN" and kind not in BY_NAME:
            continue
        noted = Target(kind, target)
        audit_record(account=account, actor=Actor(), action=f"{kind}.x", target=noted)
        entry = AuditEntry.objects.latest("created_at")
        assert client.get(url(entry)).status_code == 200, kind


def test_an_export_is_noted_and_leads_to_no_call(as_: Login, config: TwilioConfig) -> None:
    make_call(config)
    client = as_(config.account, "owner")
    list(client.get("/admin/calls/call/export/?bot=" + str(config.pk)))
    entry = AuditEntry.objects.get(action="call.export")
    page = text(client.get(url(entry)))
    assert str(config.pk) in page  # what the calls were narrowed by
    assert "all that was done to it" not in page


def test_it_is_filtered_by_actor_action_target_and_time(as_: Login, account: Account) -> None:
    key = api_key_create(account=account, actor=Actor(user=person("ada")), name="k")[0]
    made = AuditEntry.objects.get(action="api_key.create")
    later = f"{timezone.localtime().year + 1}-01-01T00:00"
    client = as_(account, "admin")
    for query, found in (
        ("actor=ada", True),
        (f"actor={made.actor_id}", True),
        ("actor=bob", False),
        ("action=api_key", True),
        ("action=webhook", False),
        ("kind=api_key", True),
        ("kind=call", False),
        (f"target={key.pk}", True),
        ("target=none", False),
        (f"since={later}", False),
        (f"until={later}", True),
        (f"since=2026-01-01T00:00&until={later}", True),
        ("until=2026-01-01T00:00", False),
    ):
        assert (url(made) in text(client.get(f"{LIST}?{query}"))) is found, query


def test_another_accounts_entries_are_not_there(
    as_: Login, account: Account, stranger: Account
) -> None:
    entry = AuditEntry.objects.get(account=account)
    client = as_(stranger, "owner")
    assert client.get(url(entry)).status_code == 404
    assert url(entry) not in text(client.get(LIST))


def test_the_list_costs_the_same_for_many(
    as_: Login, account: Account, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for count in range(60):
        audit_record(
            account=account, actor=Actor(), action="a.b", target=Target("call", str(count))
        )
    client = as_(account, "admin")
    with django_assert_max_num_queries(8):
        client.get(LIST)


def test_a_long_log_is_not_counted_to_its_end(
    as_: Login, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "COUNTED", 5)
    client = as_(account, "admin")
    assert "The newest" not in text(client.get(LIST))
    for count in range(10):
        audit_record(
            account=account, actor=Actor(), action="a.b", target=Target("call", str(count))
        )
    assert "The newest 5 of them. Filter by time" in text(client.get(LIST))
