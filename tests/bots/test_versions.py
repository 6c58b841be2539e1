"""Versions never change."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import ApiKey
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.services import config_create
from apps.core.models import ImmutableError
from tests.conftest import BODY


def _version(config: TwilioConfig) -> TwilioConfigVersion:
    assert config.current is not None
    return config.current


def test_a_version_refuses_to_be_saved_again(config: TwilioConfig) -> None:
    version = _version(config)
    version.document = {}
    with pytest.raises(ImmutableError):
        version.save()


def test_a_version_refuses_to_be_deleted(config: TwilioConfig) -> None:
    with pytest.raises(ImmutableError):
        _version(config).delete()


def test_versions_refuse_in_bulk_too(config: TwilioConfig) -> None:
    versions = TwilioConfigVersion.objects.filter(config=config)
    with pytest.raises(ImmutableError):
        versions.update(number=9)
    with pytest.raises(ImmutableError):
        versions.delete()
    with pytest.raises(ImmutableError):
        versions.bulk_update([_version(config)], ["number"])


def test_a_number_stands_once(config: TwilioConfig) -> None:
    twin = TwilioConfigVersion(config=config, number=1, document={}, body={}, face="native")
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_a_version_knows_the_key_that_wrote_it(api: APIClient) -> None:
    api.post("/twilio-config", BODY)
    assert TwilioConfigVersion.objects.get().author_key == ApiKey.objects.get()


def test_a_removed_key_leaves_its_versions(api: APIClient) -> None:
    api.post("/twilio-config", BODY)
    ApiKey.objects.all().delete()
    assert TwilioConfigVersion.objects.get().author_key is None


def test_no_secret_of_a_version_is_in_the_table(account: object, config: TwilioConfig) -> None:
    body = {**BODY, "api_keys": {"openai": "plain-key"}}
    made = config_create(account=config.account, draft=draft_read(body), actor=Actor())
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM bots_twilioconfigversion")
        table = str(cursor.fetchall())
    assert "plain-key" not in table
    made.refresh_from_db()
    assert _version(made).secrets["api_keys"] == {"openai": "plain-key"}


def test_a_draft_does_not_print_its_secrets() -> None:
    assert "plain-key" not in repr(draft_read({**BODY, "api_keys": {"openai": "plain-key"}}))
