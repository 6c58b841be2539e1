"""manage.py rotate_encryption_key: afterwards the old key can go."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put, credential_secrets
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.services import config_create
from apps.core.reencryption import tables_reencrypt
from tests.conftest import BODY
from tests.support.login import code, person, second_factor

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
COLUMNS = {
    "accounts_account": ["twilio_auth_token"],
    "accounts_credential": ["secret"],
    "bots_twilioconfig": ["stream_token", "previous_stream_token"],
    "bots_twilioconfigversion": ["body", "secrets"],
}


@pytest.fixture
def stored(settings: Settings, db: None) -> Account:
    """An account with a bot and a credential, under the old key; the new one is there now."""
    settings.ENCRYPTION_KEYS = [OLD]
    account = Account.objects.create(name="Hotel", twilio_auth_token="0123456789abcdef")
    draft = draft_read({**BODY, "api_keys": {"openai": "sk-of-the-bot"}})
    config_create(account=account, draft=draft, actor=Actor())
    credential_put(account=account, provider="openai", api_key="sk-of-ours", actor=Actor())
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    return account


def _rows() -> dict[str, list[Any]]:
    found = {}
    with connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY id")
            found[table] = cursor.fetchall()
    return found


def _run(*args: str) -> dict[str, Any]:
    out = io.StringIO()
    try:
        call_command("rotate_encryption_key", *args, "--json", stdout=out, stderr=io.StringIO())
    finally:
        report: dict[str, Any] = json.loads(out.getvalue())
    return report


def test_afterwards_the_old_key_can_go(stored: Account, settings: Settings) -> None:
    assert _run() == {"dry_run": False, "rows": 4, "changed": 4, "unreadable": []}
    settings.ENCRYPTION_KEYS = [NEW]
    assert Account.objects.get().twilio_auth_token == "0123456789abcdef"
    assert credential_secrets(stored.id) == {"openai": {"api_key": "sk-of-ours"}}
    assert TwilioConfig.objects.get().stream_token
    version = TwilioConfigVersion.objects.get()
    assert version.secrets["api_keys"] == {"openai": "sk-of-the-bot"}
    assert version.body["name"] == BODY["name"]


def test_it_changes_nothing_but_ciphertexts(stored: Account) -> None:
    kept = list(TwilioConfig.objects.values())
    seen = Account.objects.values("updated_at", "name").get()
    _run()
    assert Account.objects.values("updated_at", "name").get() == seen
    assert list(TwilioConfig.objects.values()) == kept


def test_a_second_run_changes_nothing(stored: Account) -> None:
    _run()
    first = _rows()
    assert _run()["changed"] == 0
    assert _rows() == first


def test_a_dry_run_only_counts(stored: Account) -> None:
    before = _rows()
    assert _run("--dry-run")["changed"] == 4
    assert _rows() == before


def test_it_goes_on_where_it_was_cut_short(stored: Account) -> None:
    for number in range(5):
        Account.objects.create(name=f"{number}", twilio_auth_token=f"{number}")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_account SET twilio_auth_token = '' WHERE name = '3'")
    next(tables_reencrypt(dry_run=False, batch=2))
    assert _run()["unreadable"] == []
    assert _run()["changed"] == 0


def test_batches_leave_no_row_out(stored: Account, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    for number in range(5):
        Account.objects.create(name=f"{number}", twilio_auth_token=f"token {number}")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    tables = list(tables_reencrypt(dry_run=False, batch=2))
    settings.ENCRYPTION_KEYS = [NEW]
    names = [table.name for table in tables]
    assert names.count("accounts_account") == 4  # 2, 2, 2 and none
    assert sorted(found.twilio_auth_token for found in Account.objects.all())[1] == "token 0"


def test_a_row_that_fits_no_key_is_named_and_left(stored: Account, settings: Settings) -> None:
    lost = TwilioConfigVersion.objects.values_list("id", flat=True).get()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bots_twilioconfigversion SET secrets = 'gAAAA-nonsense'")
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("rotate_encryption_key", stdout=out, stderr=err)
    assert caught.value.returncode == 1
    assert f"bots_twilioconfigversion {lost}" in out.getvalue()
    assert "nonsense" not in out.getvalue() + err.getvalue() + str(caught.value)
    settings.ENCRYPTION_KEYS = [NEW]
    assert credential_secrets(stored.id)  # the others were done all the same


def test_its_report_names_what_fits_no_key(stored: Account, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("rotate_encryption_key", "--json", stdout=out, stderr=io.StringIO())
    named = json.loads(out.getvalue())["unreadable"]
    assert {row["table"] for row in named} == set(COLUMNS)


def test_what_second_factors_are_made_from_comes_under_the_new_key(
    settings: Settings, db: None
) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    ada = person()
    secret, codes = second_factor(ada)
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert _run()["changed"] == 2
    settings.ENCRYPTION_KEYS = [NEW]
    found = Authenticator.objects.filter(user=ada)
    assert TOTP(found.get(type="totp")).validate_code(code(secret))
    assert RecoveryCodes(found.get(type="recovery_codes")).validate_code(codes[0])
    assert _run()["changed"] == 0
