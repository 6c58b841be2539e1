"""manage.py createapikey."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Account, ApiKey, AuditEntry
from apps.accounts.services import api_key_verify


def _run(*args: str) -> str:
    out = io.StringIO()
    call_command("createapikey", *args, stdout=out)
    return out.getvalue()


def test_it_prints_a_key_that_works(account: Account) -> None:
    printed = json.loads(_run(str(account.id), "--name", "found again", "--json"))
    assert printed.keys() == {"account_id", "api_key_id", "api_key"}
    key = api_key_verify(printed["api_key"])
    assert key is not None
    assert (str(key.id), key.account, key.name) == (printed["api_key_id"], account, "found again")
    assert key.scopes == ["admin"]


def test_it_takes_scopes(account: Account) -> None:
    _run(str(account.id), "--scope", "calls:read", "--scope", "configs:read")
    assert ApiKey.objects.get().scopes == ["configs:read", "calls:read"]


def test_it_says_in_the_log_that_it_was_a_command(account: Account) -> None:
    _run(str(account.id))
    entry = AuditEntry.objects.get(action="api_key.create")
    assert (entry.actor_kind, entry.actor_name) == ("command", "createapikey")


@pytest.mark.parametrize("args", [("--scope", "root"), ("--name", "x" * 201)])
def test_it_makes_nothing_of_what_is_wrong(account: Account, args: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        _run(str(account.id), *args)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("account_id", ["5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de", "7"])
def test_it_knows_only_accounts_that_exist(db: None, account_id: str) -> None:
    with pytest.raises(CommandError):
        _run(account_id)
