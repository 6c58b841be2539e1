"""Encryption at rest."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import connection
from pytest_django import Settings

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.core.crypto import DecryptionError, decrypt, encrypt


def test_it_decrypts_with_a_key_that_no_longer_encrypts(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    stored = encrypt("secret")
    settings.ENCRYPTION_KEYS = [new, old]
    assert decrypt(stored) == "secret"
    assert Fernet(new).decrypt(encrypt("secret")) == b"secret"


def test_it_says_nothing_of_the_secret_when_the_key_is_gone(settings: Settings) -> None:
    stored = encrypt("secret")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(DecryptionError) as caught:
        decrypt(stored)
    assert stored not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("keys", [[], ["short"]])
def test_it_refuses_to_work_without_a_key(settings: Settings, keys: list[str]) -> None:
    settings.ENCRYPTION_KEYS = keys
    with pytest.raises(ImproperlyConfigured) as caught:
        encrypt("secret")
    assert "short" not in str(caught.value)


def test_a_token_is_not_in_the_table(config: TwilioConfig) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT stream_token FROM bots_twilioconfig")
        (stored,) = cursor.fetchone()
    assert config.stream_token not in stored
    config.refresh_from_db()
    assert decrypt(stored) == config.stream_token


def test_an_encrypted_column_cannot_be_searched(db: None) -> None:
    with pytest.raises(FieldError):
        Account.objects.filter(twilio_auth_token="x").first()


def test_an_empty_text_stays_empty(account: Account) -> None:
    assert Account.objects.extra(where=["twilio_auth_token = ''"]).count() == 1
