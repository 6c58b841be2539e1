"""/api-keys: list, make, read, end, rotate."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey, AuditEntry
from apps.accounts.scopes import DEFAULT_SCOPES
from apps.accounts.services import (
    KeyIsOver,
    account_create,
    api_key_create,
    api_key_revoke,
    api_key_rotate,
    api_key_verify,
)
from tests.conftest import ApiFor

URL = "/api-keys"
FIELDS = {
    *("id", "name", "prefix", "scopes", "created_at"),
    *("expires_at", "revoked_at", "last_used_at"),
}


@pytest.fixture
def key(account: Account) -> ApiKey:
    return api_key_create(account=account, actor=Actor(), name="deploy", scopes=["calls:read"])[0]


def test_a_new_key_is_answered_once_and_works(api: APIClient) -> None:
    answer = api.post(URL, {"name": "deploy"})
    made = answer.json()
    assert answer.status_code == 201
    assert made.keys() == FIELDS | {"key"}
    assert answer["Location"].endswith(f"{URL}/{made['id']}")
    assert answer["Cache-Control"] == "no-store"
    assert made["scopes"] == list(DEFAULT_SCOPES)
    assert "admin" not in made["scopes"]
    assert str(getattr(api_key_verify(made["key"]), "id", "")) == made["id"]
    assert made["key"] not in api.get(URL).content.decode()
    assert made["key"].startswith(made["prefix"] + "_")


def test_scopes_are_kept_in_their_order(api: APIClient) -> None:
    body = {"name": "x", "scopes": ["calls:read", "configs:read", "calls:read"]}
    assert api.post(URL, body).json()["scopes"] == ["configs:read", "calls:read"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "scopes": "admin"}, "scopes"),
        ({"name": "x", "scopes": [{}]}, "scopes.0"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "prefix": "bc_mine"}, "prefix"),
    ],
)
def test_a_wrong_body_is_named_and_makes_no_key(
    api: APIClient, body: dict[str, Any], field: str
) -> None:
    answer = api.post(URL, body)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert ApiKey.objects.count() == 1


def test_an_unknown_scope_is_told_the_valid_ones(api: APIClient) -> None:
    (said,) = api.post(URL, {"name": "x", "scopes": ["root"]}).json()["fields"]["scopes"]
    assert "root" in said
    assert "configs:read" in said


def test_a_key_is_read_without_the_key(api: APIClient, key: ApiKey) -> None:
    found = api.get(f"{URL}/{key.id}").json()
    assert found.keys() == FIELDS
    assert (found["name"], found["prefix"]) == ("deploy", f"bc_{key.prefix}")


def test_keys_are_listed_newest_first_in_pages(api: APIClient, account: Account) -> None:
    for name in ("a", "b", "c"):
        api_key_create(account=account, actor=Actor(), name=name)
    first = api.get(f"{URL}?page_size=2").json()
    assert [found["name"] for found in first["results"]] == ["c", "b"]
    assert api.get(first["next"]).json()["results"][0]["name"] == "a"


def test_a_list_costs_the_same_queries_however_long_it_is(
    api: APIClient, account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api.get(URL)
    for _ in range(20):
        api_key_create(account=account, actor=Actor())
    with django_assert_num_queries(2):  # the key, the keys
        api.get(URL)


def test_a_revoked_key_is_over_at_once(api: APIClient, account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor())
    assert api.delete(f"{URL}/{key.id}").status_code == 204
    assert api_key_verify(secret) is None
    first = api.get(f"{URL}/{key.id}").json()["revoked_at"]
    assert first is not None
    assert api.delete(f"{URL}/{key.id}").status_code == 204
    assert api.get(f"{URL}/{key.id}").json()["revoked_at"] == first
    assert AuditEntry.objects.filter(action="api_key.revoke").count() == 1


def test_a_rotated_key_and_its_successor_overlap(api: APIClient, account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor(), name="x", scopes=["calls:read"])
    answer = api.post(f"{URL}/{key.id}/rotate", {"grace_seconds": 60})
    made = answer.json()
    assert answer.status_code == 201
    assert (made["name"], made["scopes"], made["expires_at"]) == ("x", ["calls:read"], None)
    assert api_key_verify(secret) is not None
    assert api_key_verify(made["key"]) is not None
    key.refresh_from_db()
    assert key.expires_at is not None
    assert timedelta(seconds=50) < key.expires_at - timezone.now() <= timedelta(seconds=60)


def test_without_a_body_the_old_key_works_for_a_day(api: APIClient, key: ApiKey) -> None:
    assert api.post(f"{URL}/{key.id}/rotate").status_code == 201
    key.refresh_from_db()
    assert key.expires_at is not None
    assert key.expires_at - timezone.now() > timedelta(hours=23)


def test_without_grace_the_old_key_is_over(api: APIClient, account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor())
    api.post(f"{URL}/{key.id}/rotate", {"grace_seconds": 0})
    assert api_key_verify(secret) is None


def test_an_earlier_end_of_the_old_key_stays(api: APIClient, account: Account) -> None:
    end = timezone.now() + timedelta(seconds=30)
    key, _ = api_key_create(account=account, actor=Actor(), expires_at=end)
    api.post(f"{URL}/{key.id}/rotate")
    key.refresh_from_db()
    assert key.expires_at == end


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1, True, "x", None])
def test_a_wrong_grace_changes_nothing(api: APIClient, key: ApiKey, grace: Any) -> None:
    answer = api.post(f"{URL}/{key.id}/rotate", {"grace_seconds": grace})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["grace_seconds"]
    assert ApiKey.objects.get(pk=key.pk).successor is None


def test_a_key_that_is_over_is_not_rotated(api: APIClient, account: Account, key: ApiKey) -> None:
    past = timezone.now() - timedelta(seconds=1)
    expired, _ = api_key_create(account=account, actor=Actor(), expires_at=past)
    api_key_revoke(key=key, actor=Actor())
    for over in (expired, key):
        answer = api.post(f"{URL}/{over.id}/rotate")
        assert answer.status_code == 409
        assert answer.json()["error"] == "conflict-error"
    assert ApiKey.objects.count() == 3


def test_a_key_has_one_living_successor(api: APIClient, key: ApiKey) -> None:
    successor = api.post(f"{URL}/{key.id}/rotate").json()["id"]
    again = api.post(f"{URL}/{key.id}/rotate")
    assert again.status_code == 409
    assert successor in again.json()["info"]
    # It was lost on its way: its owner ends it, and asks for another.
    api.delete(f"{URL}/{successor}")
    assert api.post(f"{URL}/{key.id}/rotate").status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_rotations_at_once_one_makes_a_successor() -> None:
    account = account_create(name="Hotel", actor=Actor())
    key, _ = api_key_create(account=account, actor=Actor())
    start, outcomes = threading.Barrier(2), []

    def rotate() -> None:
        start.wait(5)
        try:
            api_key_rotate(account=account, key_id=key.id, actor=Actor(), grace=timedelta(1))
            outcomes.append("made")
        except KeyIsOver:
            outcomes.append("over")
        connection.close()

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["made", "over"]
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(("method", "end"), [("get", ""), ("delete", ""), ("post", "/rotate")])
def test_a_strangers_key_does_not_exist(
    api_for: ApiFor, stranger: Account, key: ApiKey, method: str, end: str
) -> None:
    assert getattr(api_for(stranger), method)(f"{URL}/{key.id}{end}").status_code == 404
    assert api_for(stranger).get(URL).json()["results"][-1]["id"] != str(key.id)
    key.refresh_from_db()
    assert (key.revoked_at, key.successor) == (None, None)
