"""API keys: shown once, kept nowhere, rotated and revoked by owners and admins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey, AuditEntry, User
from apps.accounts.services import api_key_create, api_key_verify, membership_put
from tests.dashboard.people import KEEPERS, ROLES, Login, shown_secret, text

LIST = "/admin/accounts/apikey/"
ADD = f"{LIST}add/"


@pytest.fixture
def key(account: Account) -> ApiKey:
    return api_key_create(account=account, actor=Actor(), name="our-key")[0]


def form(account: Account, **more: Any) -> dict[str, Any]:
    return {"account": str(account.pk), "name": "new", "scopes": ["calls:read"], **more}


def url(name: str, key: ApiKey) -> str:
    return reverse(f"admin:accounts_apikey_{name}", args=[key.pk])


def is_kept_nowhere(client: Client, secret: str) -> bool:
    held = str(client.cookies) + str(dict(client.session))
    pages = [LIST, "/admin/accounts/auditentry/"]
    pages += [url("change", key) for key in ApiKey.objects.all()]
    return secret not in held and not [path for path in pages if secret in text(client.get(path))]


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_made_and_ended_by_owners_and_admins(
    as_: Login, account: Account, key: ApiKey, role: str
) -> None:
    client = as_(account, role)
    assert client.post(ADD, form(account)).status_code == (200 if role in KEEPERS else 403)
    for act in ("rotate", "revoke"):
        client.post(url(act, key), {"grace_seconds": "0"})
    key.refresh_from_db()
    assert ApiKey.objects.filter(name="new").exists() is (role in KEEPERS)
    assert (key.successor is not None) is (role in KEEPERS)
    assert (key.revoked_at is not None) is (role in KEEPERS)


def test_a_new_key_is_shown_once_and_kept_nowhere(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    answer = client.post(ADD, form(account, scopes=["calls:read", "configs:read"]))
    secret = shown_secret(answer)
    made = api_key_verify(secret)
    assert made is not None
    assert made.scopes == ["configs:read", "calls:read"]
    assert "no-store" in answer["Cache-Control"]
    assert is_kept_nowhere(client, secret)
    entry = AuditEntry.objects.get(action="api_key.create", target_id=str(made.id))
    assert (entry.actor_kind, entry.actor_name[:5]) == ("user", "admin")


def test_a_rotated_key_is_shown_once_and_the_old_one_works_on(as_: Login, account: Account) -> None:
    old, secret = api_key_create(account=account, actor=Actor(), name="script")
    client = as_(account, "owner")
    answer = client.post(url("rotate", old), {"grace_seconds": "3600"})
    made = api_key_verify(shown_secret(answer))
    assert made is not None and made.name == "script"
    assert api_key_verify(secret) == old
    assert is_kept_nowhere(client, shown_secret(answer))
    page = text(client.post(url("rotate", old), {"grace_seconds": "0"}))
    assert "The key was rotated already" in page


def test_the_page_says_that_revoking_is_not_taken_back(as_: Login, key: ApiKey) -> None:
    client = as_(key.account, "owner")
    assert "This cannot be undone" in text(client.get(url("change", key)))
    page = text(client.post(url("revoke", key), follow=True))
    assert "This is not taken back." in page
    assert url("revoke", key) not in page
    assert url("rotate", key) not in page


def test_the_apis_rules_hold_for_the_form(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    past = f"{timezone.localtime() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    assert "This time has passed." in text(client.post(ADD, form(account, expires_at=past)))
    client.post(ADD, form(account, scopes=[]))
    client.post(ADD, form(account, scopes=["everything"]))
    assert not ApiKey.objects.exists()


def test_being_an_owner_here_gives_nothing_there(
    as_: Login, account: Account, stranger: Account, key: ApiKey
) -> None:
    client = as_(stranger, "owner")
    user = User.objects.get(username__startswith="owner")
    membership_put(account=account, user=user, role="viewer", actor=Actor())
    assert "Select a valid choice" in text(client.post(ADD, form(account)))
    for act in ("rotate", "revoke"):
        assert client.post(url(act, key), {"grace_seconds": "0"}).status_code == 404
    assert client.get(url("change", key)).status_code == 404
    key.refresh_from_db()
    assert (ApiKey.objects.count(), key.revoked_at) == (1, None)


def test_when_a_key_was_used_is_shown(as_: Login, account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor(), name="script")
    client = as_(account, "admin")
    assert "never" in text(client.get(url("change", key)))
    api_key_verify(secret)
    assert "never" not in text(client.get(url("change", key)))


def test_keys_are_filtered_by_whether_they_work(as_: Login, account: Account) -> None:
    live = api_key_create(account=account, actor=Actor(), name="live-one")[0]
    over = api_key_create(account=account, actor=Actor(), name="over-one")[0]
    ApiKey.objects.filter(pk=over.pk).update(revoked_at=timezone.now())
    client = as_(account, "admin")
    for state, shown, hidden in (("live", live, over), ("over", over, live)):
        page = text(client.get(f"{LIST}?state={state}"))
        assert shown.name in page
        assert hidden.name not in page
