"""Bearer authentication."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey
from apps.accounts.services import api_key_create, api_key_revoke, api_key_verify

PATHS = [
    ("get", "/twilio-config"),
    ("post", "/twilio-config"),
    ("get", "/providers"),
    ("get", "/twilio-config/5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"),
    ("put", "/twilio-config/5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"),
    ("patch", "/twilio-config/5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"),
    ("delete", "/twilio-config/5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"),
]
BAD = [
    {},
    {"authorization": "Bearer"},
    {"authorization": "Basic abc"},
    {"authorization": "Bearer nonsense"},
    {"authorization": "Bearer bc_0123456789ab_" + "x" * 43},
    {"authorization": "Bearer bc_0123456789ab_\x00" + "x" * 43},
    {"authorization": "Bearer é"},
]


@pytest.mark.parametrize("headers", BAD)
@pytest.mark.parametrize(("method", "path"), PATHS)
def test_it_lets_nobody_in_without_a_key(
    db: None, method: str, path: str, headers: dict[str, Any]
) -> None:
    answer = getattr(APIClient(headers=headers), method)(path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"] == "authentication-error"


def test_a_key_is_its_accounts(account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor())
    found = api_key_verify(secret)
    assert found == key
    assert found.account == account


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.upper()])
def test_another_secret_of_the_prefix_is_no_key(account: Account, change: Any) -> None:
    _, secret = api_key_create(account=account, actor=Actor())
    assert api_key_verify(change(secret)) is None


def test_a_revoked_key_is_none(account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor())
    api_key_revoke(key=key, actor=Actor())
    assert api_key_verify(secret) is None


def test_an_expired_key_is_none(account: Account) -> None:
    past = timezone.now() - timedelta(seconds=1)
    _, secret = api_key_create(account=account, actor=Actor(), expires_at=past)
    assert api_key_verify(secret) is None


def test_revoking_twice_keeps_the_first_time(account: Account) -> None:
    key, _ = api_key_create(account=account, actor=Actor())
    api_key_revoke(key=key, actor=Actor())
    first = ApiKey.objects.get().revoked_at
    api_key_revoke(key=key, actor=Actor())
    assert ApiKey.objects.get().revoked_at == first


def test_it_notes_the_use_of_a_key_once_in_a_while(
    account: Account, django_assert_num_queries: Any
) -> None:
    _, secret = api_key_create(account=account, actor=Actor())
    with django_assert_num_queries(2):
        api_key_verify(secret)
    with django_assert_num_queries(1):
        api_key_verify(secret)


def test_it_compares_for_an_unknown_prefix_too(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str | bytes] = []
    real = hmac.compare_digest

    def compare(left: Any, right: Any) -> bool:
        compared.append(left)
        return bool(real(left, right))

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert api_key_verify("bc_0123456789ab_" + "x" * 43) is None
    assert len(compared) == 1
