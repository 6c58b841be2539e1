"""The admin site by role: who sees what, and who changes what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account, ApiKey, AuditEntry, Credential, User
from apps.accounts.services import api_key_create
from apps.bots.models import TwilioConfig
from tests.calls.test_calls_api import make_call
from tests.dashboard.people import KEEPERS, ROLES, Login

LISTS = ["accounts/account", "accounts/apikey", "accounts/credential", "accounts/auditentry"]
LISTS += ["bots/twilioconfig", "calls/call"]
# What needs the scope "admin" in the API needs a role that holds it here.
KEPT = {"accounts/account", "accounts/apikey", "accounts/credential", "accounts/auditentry"}


@pytest.fixture
def key(account: Account) -> ApiKey:
    return api_key_create(account=account, actor=Actor(), name="our-key")[0]


@pytest.fixture
def openai(account: Account) -> Credential:
    return credential_put(account=account, provider="openai", api_key="0123456789", actor=Actor())


def _paths(config: TwilioConfig, key: ApiKey, openai: Credential) -> list[str]:
    call = make_call(config)
    entry = AuditEntry.objects.filter(account=config.account).latest("created_at")
    rows = [config.account, key, openai, entry, config, call]
    return [f"/admin/{name}/{row.pk}/change/" for name, row in zip(LISTS, rows, strict=True)]


@pytest.mark.parametrize("role", ROLES)
def test_a_member_sees_their_accounts_rows(
    as_: Login, account: Account, config: TwilioConfig, key: ApiKey, openai: Credential, role: str
) -> None:
    client = as_(account, role)
    for name, path in zip(LISTS, _paths(config, key, openai), strict=True):
        allowed = role in KEEPERS or name not in KEPT
        assert client.get(path).status_code == (200 if allowed else 403), path
        page = client.get(f"/admin/{name}/", follow=True)
        assert page.status_code == (200 if allowed else 403), name


@pytest.mark.parametrize("role", ["owner", ""])
def test_a_stranger_sees_no_row_of_ours(
    as_: Login, stranger: Account, config: TwilioConfig, key: ApiKey, openai: Credential, role: str
) -> None:
    client = as_(stranger if role else None, role)
    for path in _paths(config, key, openai):
        # Django sends who asks for what is not there to the index.
        assert client.get(path).status_code in (302, 403, 404), path
    for name in LISTS:
        page = client.get(f"/admin/{name}/", follow=True)
        assert page.status_code == (200 if role else 403)
        assert "Hotel" not in page.content.decode()


def test_djangos_permissions_open_no_account(as_: Login, account: Account, key: ApiKey) -> None:
    client = as_(None)
    User.objects.get().user_permissions.set(Permission.objects.all())
    assert client.get("/admin/accounts/apikey/").status_code == 403
    assert client.get("/admin/accounts/user/").status_code == 403
    assert client.get(f"/admin/accounts/user/{User.objects.get().pk}/change/").status_code == 403


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_the_audit_log(as_: Login, account: Account, role: str) -> None:
    client = as_(account if role in ROLES else None, role)
    User.objects.update(is_superuser=role == "superuser")
    entry = AuditEntry.objects.filter(action="account.create").get()
    path = f"/admin/accounts/auditentry/{entry.pk}"
    seen = role in KEEPERS or role == "superuser"
    assert client.get(f"{path}/change/").status_code == (200 if seen else 403)
    assert client.post(f"{path}/change/", {"action": "nothing"}).status_code in (403, 405)
    assert client.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/accounts/auditentry/add/").status_code == 403


def test_a_page_asks_for_roles_once(
    as_: Login, account: Account, key: ApiKey, django_assert_max_num_queries: Any
) -> None:
    client = as_(account, "admin")
    with django_assert_max_num_queries(9):
        client.get("/admin/accounts/apikey/")
