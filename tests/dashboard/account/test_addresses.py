"""Keys and the servers that they are for, at the dashboard."""

from __future__ import annotations

from django.urls import reverse

from apps.accounts.audit import Actor
from apps.accounts.models import Account, Credential
from apps.bots.document import draft_read
from apps.bots.services import config_create
from tests.conftest import BODY
from tests.dashboard.people import Login, told

GOOD, EVIL = "https://models.example.com/v1", "https://evil.example/v1"
KEY, OWN = "sk-the-accounts-own-key", "sk-the-bots-own-key"


def test_a_key_is_bound_at_the_dashboard(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    add = reverse("admin:accounts_credential_add")
    form = {"account": str(account.pk), "provider": "custom_llm", "api_key": KEY}
    refused = client.post(add, {**form, "base_url": "nonsense"})
    assert b"The http(s) address of a server" in refused.content
    client.post(add, {**form, "base_url": GOOD})
    found = Credential.objects.get()
    assert found.base_url == GOOD
    page = reverse("admin:accounts_credential_change", args=[found.pk])
    assert f"<code>{GOOD}</code>" in client.get(page).content.decode()
    edit = reverse("admin:accounts_credential_edit", args=[found.pk])
    client.post(edit, {"api_key": "another-key", "base_url": EVIL})
    found.refresh_from_db()
    assert (found.base_url, found.secret["api_key"]) == (EVIL, "another-key")


def test_the_editor_moves_no_key_and_says_so(as_: Login, account: Account) -> None:
    llm = {"provider": "custom_llm", "model": "m", "prompt": "Hello.", "base_url": GOOD}
    body = {**BODY, "config": {**BODY["config"], "llm": llm}, "api_keys": {"custom_llm": OWN}}
    bot = config_create(account=account, draft=draft_read(body), actor=Actor())
    page = reverse("admin:bots_twilioconfig_change", args=[bot.pk])
    sent = {"version": "1", "do": "publish", "config.llm.base_url": EVIL}
    answer = as_(account, "operator").post(page, sent)
    assert answer.status_code == 302
    bot.refresh_from_db()
    assert bot.current is not None
    assert bot.current.document["llm"]["options"]["base_url"] == EVIL
    assert bot.current.secrets["api_keys"] == {}
    assert "api_keys.custom_llm: The bot's key was for another address" in told(answer)
