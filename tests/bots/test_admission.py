"""Which streams are let in."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Account
from apps.bots.models import SpokenLine, TwilioConfig
from apps.bots.selectors import spoken_lines_load, stream_admit, twilio_config_by_id


def _given(config: TwilioConfig, **changes: Any) -> dict[str, Any]:
    return {
        "account_id": str(config.account_id),
        "config_id": str(config.id),
        "token": config.stream_token,
        **changes,
    }


def test_it_admits_in_one_query(config: TwilioConfig, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        admission = stream_admit(**_given(config))
        assert admission is not None
        assert config.current is not None
        assert admission.document == config.current.document
        assert admission.version_number == 1
        assert admission.service("tts").voice == "hum"


def test_an_admission_prints_no_secret(config: TwilioConfig) -> None:
    config.account.twilio_auth_token = "0123456789abcdef"
    config.account.save()
    admission = stream_admit(**_given(config))
    assert admission is not None
    assert admission.account.twilio_auth_token == "0123456789abcdef"
    assert "0123456789abcdef" not in repr(admission)
    assert "front desk" not in repr(admission)


@pytest.mark.parametrize(
    "change",
    [
        {"token": ""},
        {"token": "wrong"},
        {"token": "é\0\ud800"},
        {"config_id": "", "token": "x"},
        {"config_id": "not-an-id"},
        {"config_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"},
        {"account_id": "\0"},
        {"account_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"},
    ],
)
def test_it_admits_nobody_else(config: TwilioConfig, change: dict[str, str]) -> None:
    assert stream_admit(**_given(config, **change)) is None


def test_another_accounts_id_admits_nobody(config: TwilioConfig, stranger: Account) -> None:
    assert stream_admit(**_given(config, account_id=str(stranger.id))) is None


@pytest.mark.parametrize(("minutes", "admitted"), [(1, True), (-1, False)])
def test_a_previous_token_works_until_its_time(
    config: TwilioConfig, minutes: int, admitted: bool
) -> None:
    config.previous_stream_token = "previous-token"
    config.previous_token_until = timezone.now() + timedelta(minutes=minutes)
    config.save()
    found = stream_admit(**_given(config, token="previous-token"))
    assert (found is not None) is admitted
    assert stream_admit(**_given(config)) is not None


def test_no_previous_token_is_not_an_empty_one(config: TwilioConfig) -> None:
    config.previous_token_until = timezone.now() + timedelta(minutes=1)
    config.save()
    assert stream_admit(**_given(config, token="")) is None


def test_tokens_are_compared_in_constant_time(
    config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str | bytes] = []
    real = hmac.compare_digest

    def compare(left: Any, right: Any) -> bool:
        compared.append(left)
        return bool(real(left, right))

    monkeypatch.setattr(hmac, "compare_digest", compare)
    stream_admit(**_given(config, token="wrong"))
    assert compared == [b"wrong"]


def test_the_voice_webhook_finds_live_bots_only(config: TwilioConfig) -> None:
    assert twilio_config_by_id(str(config.id)) == config
    assert twilio_config_by_id("nonsense") is None
    config.deleted_at = timezone.now()
    config.save()
    assert twilio_config_by_id(str(config.id)) is None


def test_spoken_lines_are_the_accounts_own(account: Account, stranger: Account) -> None:
    SpokenLine.objects.create(account=account, digest="a" * 64, audio=b"\xff\x00")
    wanted = ["a" * 64, "b" * 64]
    assert spoken_lines_load(str(account.id), wanted) == {"a" * 64: b"\xff\x00"}
    assert spoken_lines_load(str(stranger.id), wanted) == {}
    assert spoken_lines_load("nonsense", wanted) == {}
