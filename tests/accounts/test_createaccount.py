"""manage.py createaccount."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from apps.accounts.models import Account, ApiKey


def _run(*args: str) -> str:
    out = io.StringIO()
    call_command("createaccount", *args, stdout=out)
    return out.getvalue()


def test_it_prints_an_account_and_a_key_that_works(db: None) -> None:
    printed = json.loads(_run("Hotel", "--json"))
    assert printed.keys() == {"account_id", "api_key"}
    client = APIClient(headers={"authorization": f"Bearer {printed['api_key']}"})
    assert client.get("/twilio-config").status_code == 200
    assert str(Account.objects.get().id) == printed["account_id"]


def test_it_stores_no_key(db: None) -> None:
    secret = json.loads(_run("Hotel", "--json"))["api_key"]
    row = ApiKey.objects.values().get()
    assert secret not in map(str, row.values())


def test_it_takes_the_auth_token_from_a_file(db: None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n")
    _run("Hotel", "--twilio-auth-token-file", str(path))
    assert Account.objects.get().twilio_auth_token == "0123456789abcdef"


def test_it_creates_nothing_without_the_file_it_was_told(db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        _run("Hotel", "--twilio-auth-token-file", str(tmp_path / "missing"))
    assert not Account.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_it_refuses_a_name_that_is_none(db: None, name: str) -> None:
    with pytest.raises(CommandError):
        _run(name)
