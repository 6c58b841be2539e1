"""The admin site: shows no secrets, changes state only through services."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey, User
from apps.accounts.services import api_key_create, api_key_verify
from apps.bots.models import TwilioConfig


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="operator", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize(
    "path",
    ["accounts/account", "accounts/apikey", "accounts/user", "bots/twilioconfig"],
)
def test_every_list_opens(operator: Client, config: TwilioConfig, path: str) -> None:
    api_key_create(account=config.account, actor=Actor())
    assert operator.get(f"/admin/{path}/").status_code == 200


def test_a_new_key_is_shown_once(operator: Client, account: Account) -> None:
    form = {
        "account": str(account.id),
        "name": "script",
        "scopes": "admin",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    page = operator.post("/admin/accounts/apikey/add/", form, follow=True)
    secret = page.content.decode().partition("shown this once: ")[2].partition("<")[0].strip()
    assert api_key_verify(secret) == ApiKey.objects.get()
    assert secret not in operator.get("/admin/accounts/apikey/").content.decode()


def test_a_key_is_revoked_by_the_action(operator: Client, account: Account) -> None:
    key, secret = api_key_create(account=account, actor=Actor())
    form = {"action": "revoke", "_selected_action": [str(key.pk)]}
    operator.post("/admin/accounts/apikey/", form)
    assert api_key_verify(secret) is None


def _account_form(**changes: str) -> dict[str, str]:
    inline = {f"memberships-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    return {"name": "Hotel", "max_live_calls": "7", **inline, **changes}


def test_an_auth_token_is_set_but_never_shown(operator: Client, account: Account) -> None:
    path = f"/admin/accounts/account/{account.id}/change/"
    operator.post(path, _account_form(new_twilio_auth_token="0123456789abcdef"))
    account.refresh_from_db()
    assert account.twilio_auth_token == "0123456789abcdef"
    assert "0123456789abcdef" not in operator.get(path).content.decode()


def test_an_empty_auth_token_keeps_the_old_one(operator: Client, account: Account) -> None:
    account.twilio_auth_token = "0123456789abcdef"
    account.save()
    operator.post(f"/admin/accounts/account/{account.id}/change/", _account_form())
    account.refresh_from_db()
    assert account.max_live_calls == 7
    assert account.twilio_auth_token == "0123456789abcdef"


def test_a_visitor_is_asked_to_log_in(client: Client, db: None) -> None:
    answer = client.get("/admin/bots/twilioconfig/")
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]
