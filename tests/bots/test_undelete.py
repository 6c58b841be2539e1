"""A deleted bot comes back as it was."""

from __future__ import annotations

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry
from apps.bots.models import TwilioConfig
from apps.bots.selectors import twilio_config_by_id, twilio_config_get
from apps.bots.services import Write, config_delete, config_undelete


def test_a_deleted_bot_comes_back_with_its_token(config: TwilioConfig) -> None:
    write = Write(config.account, config.id, Actor())
    config_delete(write)
    assert twilio_config_by_id(config.id) is None
    written = config_undelete(write)
    assert written.version.id == config.current_id
    assert twilio_config_get(config.account, config.id).stream_token == config.stream_token
    assert AuditEntry.objects.filter(action="config.undelete").count() == 1


def test_what_is_not_deleted_cannot_come_back(config: TwilioConfig) -> None:
    with pytest.raises(TwilioConfig.DoesNotExist):
        config_undelete(Write(config.account, config.id, Actor()))


def test_a_stranger_brings_nothing_of_ours_back(config: TwilioConfig, stranger: Account) -> None:
    config_delete(Write(config.account, config.id, Actor()))
    with pytest.raises(TwilioConfig.DoesNotExist):
        config_undelete(Write(stranger, config.id, Actor()))
