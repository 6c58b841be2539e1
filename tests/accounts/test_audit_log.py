"""/audit-log, and what each service writes there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account, AuditEntry, Membership, User
from apps.accounts.services import (
    account_create,
    account_update,
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    membership_delete,
    membership_put,
)
from tests.conftest import ApiFor

URL = "/audit-log"
COMMAND = Actor(command="createaccount")


def _latest() -> AuditEntry:
    entry: AuditEntry = AuditEntry.objects.latest("created_at")
    return entry


def test_an_account_leaves_its_making_and_changes(db: None) -> None:
    account = account_create(name="Hotel", actor=COMMAND, twilio_auth_token="0123456789abcdef")
    made = _latest()
    assert (made.action, made.actor_kind, made.actor_name) == (
        "account.create",
        "command",
        "createaccount",
    )
    account_update(account=account, name="Inn", max_live_calls=100, actor=Actor())
    changed = _latest()
    assert (changed.before, changed.after) == ({"name": "Hotel"}, {"name": "Inn"})


def test_a_new_auth_token_is_told_of_without_the_token(account: Account) -> None:
    for token in ("0123456789abcdef", "fedcba9876543210"):
        account_update(
            account=account,
            name="Hotel",
            max_live_calls=100,
            actor=Actor(),
            twilio_auth_token=token,
        )
        assert _latest().after == {"twilio_auth_token": "[secret]"}


def test_a_key_leaves_its_making_and_end(account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor(), name="x", scopes=["calls:read"])
    made = _latest()
    assert (made.action, made.target_id) == ("api_key.create", str(key.id))
    assert made.after["scopes"] == ["calls:read"]
    assert secret not in str(made.after)
    api_key_revoke(key=key, actor=Actor())
    ended = _latest()
    assert (ended.action, ended.before) == ("api_key.revoke", {"revoked_at": None})


def test_a_rotation_names_the_successor(account: Account) -> None:
    key, _ = api_key_create(account=account, actor=Actor())
    new, _ = api_key_rotate(account=account, key_id=key.id, actor=Actor(), grace=timedelta(1))
    rotated = AuditEntry.objects.get(action="api_key.rotate")
    assert (rotated.target_id, rotated.after["successor"]) == (str(key.id), str(new.id))
    assert AuditEntry.objects.filter(action="api_key.create", target_id=str(new.id)).exists()


def test_a_membership_leaves_its_changes(account: Account) -> None:
    user = User.objects.create(username="alice")
    for role in ("viewer", "admin"):
        membership_put(account=account, user=user, role=role, actor=Actor())
    assert (_latest().before, _latest().after) == ({"role": "viewer"}, {"role": "admin"})
    membership_delete(membership=Membership.objects.get(), actor=Actor())
    assert _latest().before == {"user": "alice", "role": "admin"}
    assert not Membership.objects.exists()


@pytest.fixture
def log(account: Account) -> list[AuditEntry]:
    """Three entries of ours: a bot's making and change, a call's change by alice."""
    alice = User.objects.create(username="alice")
    for action, kind, actor in (
        ("config.create", "config", Actor()),
        ("config.update", "config", Actor()),
        ("call.update", "call", Actor(user=alice)),
    ):
        audit_record(account=account, actor=actor, action=action, target=Target(kind, f"{kind}-1"))
    found: Any = AuditEntry.objects.exclude(action__startswith="a").order_by("created_at")
    return list(found)


def _actions(api: APIClient, query: dict[str, str]) -> list[str]:
    answer = api.get(URL, query)
    assert answer.status_code == 200
    return [entry["action"] for entry in answer.json()["results"]]


def test_the_log_is_read_newest_first_in_pages(api: APIClient, log: list[AuditEntry]) -> None:
    page = api.get(URL, {"page_size": 2}).json()
    assert [entry["action"] for entry in page["results"]] == ["call.update", "config.update"]
    assert api.get(page["next"]).json()["results"][0]["action"] == "config.create"


def test_an_entry_says_who_from_where_and_what(api: APIClient) -> None:
    made = api.post("/api-keys", {"name": "x"}, headers={"x-request-id": "my-request-1"}).json()
    entry = api.get(URL).json()["results"][0]
    assert (entry["action"], entry["target_id"]) == ("api_key.create", made["id"])
    assert (entry["actor_kind"], entry["address"]) == ("key", "127.0.0.1")
    assert entry["request_id"] == "my-request-1"
    assert made["key"] not in str(entry)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"action": "config.create"}, ["config.create"]),
        ({"target_kind": "config"}, ["config.update", "config.create"]),
        ({"target_id": "call-1"}, ["call.update"]),
        ({"target_kind": "config", "target_id": "call-1"}, []),
        ({"action": "nothing"}, []),
    ],
)
def test_the_log_is_filtered(
    api: APIClient, log: list[AuditEntry], query: dict[str, str], found: list[str]
) -> None:
    assert _actions(api, query) == found


def test_the_log_is_filtered_by_who(api: APIClient, log: list[AuditEntry]) -> None:
    alice = str(User.objects.get().pk)
    assert _actions(api, {"actor_id": alice}) == ["call.update"]


def test_since_counts_and_until_does_not(api: APIClient, log: list[AuditEntry]) -> None:
    first, second, third = (entry.created_at.isoformat() for entry in log)
    query = {"since": second, "until": third}
    assert _actions(api, query) == ["config.update"]
    assert _actions(api, {"since": second, "target_kind": "config"}) == ["config.update"]
    assert "config.create" not in _actions(api, {"until": first})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "7"}, "until"),
        ({"until": ""}, "until"),
        ({"action": "\x00"}, "action"),
        ({"target_id": "x" * 65}, "target_id"),
        ({"page_size": "0"}, "page_size"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_wrong_filter_is_named(api: APIClient, query: dict[str, str], field: str) -> None:
    answer = api.get(URL, query)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_a_strangers_log_holds_nothing_of_ours(
    api_for: ApiFor, stranger: Account, log: list[AuditEntry]
) -> None:
    found = api_for(stranger).get(URL).json()["results"]
    assert {entry["action"] for entry in found} == {"account.create", "api_key.create"}
    assert api_for(stranger).get(URL, {"target_id": "call-1"}).json()["results"] == []


def test_a_page_costs_the_same_queries_however_long_the_log_is(
    api: APIClient, account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get(URL)
    for _ in range(30):
        audit_record(account=account, actor=Actor(), action="x.y", target=Target("x", "1"))
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    with django_assert_num_queries(2):  # the key, the entries
        api.get(URL, {"action": "x.y", "since": since})


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_the_log(api: APIClient, method: str) -> None:
    assert getattr(api, method)(URL, {}).status_code == 405
