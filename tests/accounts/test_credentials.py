"""/credentials: vendors' keys are written, tried and forgotten, never read."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put, credential_secrets
from apps.accounts.models import Account, AuditEntry, Credential
from apps.accounts.services import account_create
from tests.conftest import ApiFor
from tests.support.vendors import GOOD, Vendors, vendors_serve

URL = "/credentials"
KEY = "sk-proj-0123456789abcdefghij"


@pytest.fixture
def vendors(settings: Settings) -> Iterator[Vendors]:
    with vendors_serve() as serving:
        settings.PROVIDER_API_URLS = serving.bases()
        yield serving


@pytest.fixture
def openai(account: Account) -> Credential:
    return credential_put(account=account, provider="openai", api_key=KEY, actor=Actor())


def test_a_key_is_stored_and_shown_by_its_end(api: APIClient) -> None:
    answer = api.put(f"{URL}/openai", {"api_key": KEY})
    assert answer.status_code == 200
    assert answer.json().keys() == {"provider", "last4", "base_url", "created_at", "updated_at"}
    assert (answer.json()["provider"], answer.json()["last4"]) == ("openai", "…ghij")
    assert api.get(f"{URL}/openai").json() == answer.json()
    assert api.get(URL).json() == {"results": [answer.json()]}


@pytest.mark.parametrize(
    ("key", "shown"), [("1234567", "…"), ("12345678", "…5678"), ("  1234567\n", "…")]
)
def test_a_short_keys_end_would_tell_too_much(api: APIClient, key: str, shown: str) -> None:
    assert api.put(f"{URL}/openai", {"api_key": key}).json()["last4"] == shown


def test_no_answer_log_or_row_holds_the_key(
    api: APIClient, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [
            api.put(f"{URL}/openai", {"api_key": KEY}),
            api.get(f"{URL}/openai"),
            api.get(URL),
            api.post(f"{URL}/openai/test"),
            api.get("/audit-log"),
            api.delete(f"{URL}/openai"),
        ]
    assert not [answer for answer in answers if KEY.encode() in answer.content]
    # The HTTP client's own debug lines of hpack and headers included.
    assert KEY not in caplog.text


def test_the_table_holds_no_key(openai: Credential) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM accounts_credential")
        assert KEY not in cursor.fetchone()[0]


def test_a_second_key_takes_the_firsts_place(
    api: APIClient, account: Account, openai: Credential
) -> None:
    api.put(f"{URL}/openai", {"api_key": " another-key-zyxw\n"})
    assert Credential.objects.count() == 1
    assert credential_secrets(account.id) == {"openai": {"api_key": "another-key-zyxw"}}


@pytest.mark.django_db(transaction=True)
def test_two_keys_put_at_once_make_one_credential(api_for: ApiFor) -> None:
    account = account_create(name="Hotel", actor=Actor())
    clients, start, codes = [api_for(account), api_for(account)], threading.Barrier(2), []

    def put(client: APIClient) -> None:
        start.wait(5)
        codes.append(client.put(f"{URL}/openai", {"api_key": KEY}).status_code)
        connection.close()

    threads = [threading.Thread(target=put, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert codes == [200, 200]
    assert Credential.objects.count() == 1


def test_a_key_that_nobody_can_read_any_more_is_listed_and_replaced(
    api: APIClient, account: Account, openai: Credential
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_credential SET secret = 'gAAAA-nonsense'")
    assert api.get(URL).json()["results"][0]["last4"] == "…ghij"
    assert api.put(f"{URL}/openai", {"api_key": "another-key-zyxw"}).status_code == 200
    assert credential_secrets(account.id)["openai"] == {"api_key": "another-key-zyxw"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "api_key"),
        ({"api_key": " "}, "api_key"),
        ({"api_key": 7}, "api_key"),
        ({"api_key": "x" * 8_193}, "api_key"),
        ({"api_key": KEY, "secret": "x"}, "secret"),
    ],
)
def test_a_wrong_body_is_named(api: APIClient, body: dict[str, Any], field: str) -> None:
    answer = api.put(f"{URL}/openai", body)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("method", "end"), [("get", ""), ("put", ""), ("delete", ""), ("post", "/test")]
)
@pytest.mark.parametrize("name", ["nobody", "local", "scripted"])
def test_an_unknown_provider_is_a_404_that_lists_the_valid_ones(
    api: APIClient, method: str, end: str, name: str
) -> None:
    answer = getattr(api, method)(f"{URL}/{name}{end}", {"api_key": KEY})
    assert answer.status_code == 404
    assert "openai" in answer.json()["info"]
    assert "local" not in answer.json()["info"]


@pytest.mark.parametrize(("method", "end"), [("get", ""), ("delete", ""), ("post", "/test")])
def test_a_strangers_credential_does_not_exist(
    api_for: ApiFor, stranger: Account, openai: Credential, method: str, end: str
) -> None:
    api = api_for(stranger)
    assert getattr(api, method)(f"{URL}/openai{end}").status_code == 404
    assert api.get(URL).json() == {"results": []}
    assert Credential.objects.count() == 1


def test_a_strangers_put_is_their_own(
    api_for: ApiFor, account: Account, stranger: Account, openai: Credential
) -> None:
    api_for(stranger).put(f"{URL}/openai", {"api_key": "another-key-zyxw"})
    assert credential_secrets(account.id) == {"openai": {"api_key": KEY}}
    assert credential_secrets(stranger.id) == {"openai": {"api_key": "another-key-zyxw"}}


def test_a_forgotten_key_is_gone(api: APIClient, openai: Credential) -> None:
    assert api.delete(f"{URL}/openai").status_code == 204
    assert not Credential.objects.exists()
    assert api.delete(f"{URL}/openai").status_code == 404


def test_all_secrets_cost_one_query(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("openai", "deepgram", "cartesia"):
        credential_put(account=account, provider=name, api_key=KEY, actor=Actor())
    with django_assert_num_queries(1):
        assert len(credential_secrets(str(account.id))) == 3


@pytest.mark.parametrize(("key", "ok", "reason"), [(GOOD, True, "accepted"), (KEY, False, "auth")])
def test_the_vendor_is_asked(
    api: APIClient, vendors: Vendors, key: str, ok: bool, reason: str
) -> None:
    api.put(f"{URL}/deepgram", {"api_key": key})
    answer = api.post(f"{URL}/deepgram/test")
    assert answer.status_code == 200
    assert answer.json().keys() == {"ok", "reason", "info", "latency_ms"}
    assert (answer.json()["ok"], answer.json()["reason"]) == (ok, reason)
    assert vendors.asked == ["/deepgram/v1/projects"]


def test_what_cannot_be_asked_is_neither_good_nor_bad(api: APIClient) -> None:
    api.put(f"{URL}/rime", {"api_key": KEY})
    found = api.post(f"{URL}/rime/test").json()
    assert (found["ok"], found["reason"], found["latency_ms"]) == (None, "untestable", None)


def test_every_change_and_test_is_in_the_log(api: APIClient, vendors: Vendors) -> None:
    api.put(f"{URL}/openai", {"api_key": GOOD})
    api.post(f"{URL}/openai/test")
    api.delete(f"{URL}/openai")
    entries = AuditEntry.objects.filter(target_kind="credential").order_by("created_at")
    assert [(entry.action, entry.target_id, entry.after) for entry in entries] == [
        ("credential.put", "openai", {"last4": "…6789"}),
        ("credential.test", "openai", {"ok": True, "reason": "accepted"}),
        ("credential.delete", "openai", {}),
    ]
    assert {entry.actor_kind for entry in entries} == {"key"}
