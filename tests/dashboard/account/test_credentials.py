"""Keys at vendors: written, tried with the verdict in words, forgotten, never read."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put, credential_secrets
from apps.accounts.models import Account, Credential
from tests.dashboard.people import KEEPERS, ROLES, Login, text

LIST = "/admin/accounts/credential/"
ADD = f"{LIST}add/"
SECRET = "0123456789abcdef"


@pytest.fixture
def openai(account: Account) -> Credential:
    return credential_put(account=account, provider="openai", api_key=SECRET, actor=Actor())


def url(name: str, credential: Credential) -> str:
    return reverse(f"admin:accounts_credential_{name}", args=[credential.pk])


@pytest.mark.parametrize("role", ROLES)
def test_credentials_are_kept_by_owners_and_admins(
    as_: Login, account: Account, openai: Credential, role: str
) -> None:
    client = as_(account, role)
    form = {"account": str(account.id), "provider": "deepgram", "api_key": "of-deepgram"}
    client.post(ADD, form)
    client.post(url("edit", openai), {"api_key": "another-key"})
    changed = {"deepgram": {"api_key": "of-deepgram"}, "openai": {"api_key": "another-key"}}
    before = {"openai": {"api_key": SECRET}}
    assert credential_secrets(account.id) == (changed if role in KEEPERS else before)
    client.post(url("delete", openai))
    assert ("openai" not in credential_secrets(account.id)) is (role in KEEPERS)


def test_a_vendors_key_is_shown_to_nobody(as_: Login, account: Account, openai: Credential) -> None:
    client = as_(account, "owner")
    form = {"account": str(account.pk), "provider": "deepgram", "api_key": "of-deepgram-12"}
    answers = [client.post(ADD, form, follow=True)]
    answers += [client.get(path) for path in (LIST, url("change", openai))]
    answers += [client.get("/admin/accounts/auditentry/")]
    answers += [client.post(url("edit", openai), {"api_key": f"{SECRET}\0"})]
    for secret in (SECRET, "of-deepgram-12"):
        assert not [one for one in answers if secret in text(one)]
        assert secret not in str(client.cookies) + str(dict(client.session))
    assert "…cdef" in text(answers[1])


def test_a_test_says_the_verdict_in_words(
    as_: Login, openai: Credential, settings: Settings
) -> None:
    settings.PROVIDER_API_URLS = {"openai": "http://127.0.0.1:9"}
    page = text(as_(openai.account, "admin").post(url("test", openai), follow=True))
    assert "openai: The vendor cannot be reached" in page


@pytest.mark.parametrize("act", ["change", "edit", "test", "delete"])
def test_another_accounts_key_is_not_there(
    as_: Login, openai: Credential, stranger: Account, act: str
) -> None:
    client = as_(stranger, "owner")
    ask = client.get if act == "change" else client.post
    assert ask(url(act, openai), {"api_key": "another-key"}).status_code == 404
    assert credential_secrets(openai.account_id) == {"openai": {"api_key": SECRET}}
    assert "openai" not in text(client.get(LIST)).partition('id="changelist"')[2]


def test_a_provider_that_takes_no_key_is_no_choice(as_: Login, account: Account) -> None:
    form = {"account": str(account.pk), "provider": "local", "api_key": "of-nobody"}
    assert "Select a valid choice" in text(as_(account, "owner").post(ADD, form))
    assert not Credential.objects.exists()
