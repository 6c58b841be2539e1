"""Twilio asks what comes next when a stream is over."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.twiml import config_twiml
from apps.calls.models import Call, Transfer, call_id
from apps.calls.tokens import StreamToken, token_make, token_read
from apps.calls.twiml import stream_twiml
from tests.calls.test_calls_api import make_call
from tests.support.twilio_requests import ACCOUNT_SID, ORIGIN, TOKEN, twilio_posts

SID = "CA" + "1" * 32
FORM = {"AccountSid": ACCOUNT_SID, "CallSid": SID}


@pytest.fixture
def signed(account: Account) -> Account:
    account.signing_secrets = {ACCOUNT_SID: {"auth_token": TOKEN, "keys": {}}}
    account.save()
    return account


def call_of(config: TwilioConfig, **values: Any) -> Call:
    return make_call(config, SID, **values)


def action_of(twiml: str) -> str:
    connect = ElementTree.fromstring(twiml).find("Connect")
    assert connect is not None
    return connect.attrib["action"].removeprefix(ORIGIN)


def bin_action(config: TwilioConfig) -> str:
    return action_of(config_twiml(config))


def asked(client: Client, path: str) -> str:
    answer = twilio_posts(client, path, FORM)
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def token_in(twiml: str) -> StreamToken:
    for found in ElementTree.fromstring(twiml).iter("Parameter"):
        if found.attrib["name"] == "token":
            token = token_read(found.attrib["value"])
            assert token is not None
            return token
    raise AssertionError(twiml)


def hangs_up(twiml: str) -> bool:
    return [verb.tag for verb in ElementTree.fromstring(twiml)] == ["Hangup"]


@pytest.mark.parametrize("reason", ["caller_hung_up", "bot_ended", "max_duration"])
def test_a_call_that_was_ended_on_purpose_is_over(
    client: Client, signed: Account, config: TwilioConfig, reason: str
) -> None:
    call_of(config, status="completed", end_reason=reason)
    assert hangs_up(asked(client, bin_action(config)))


def test_a_call_that_was_put_through_is_not_brought_back(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    call_of(config, end_reason="transferred")
    assert hangs_up(asked(client, bin_action(config)))


@pytest.mark.parametrize("reason", ["", "connection_lost", "shutdown", "line_stuck"])
def test_a_line_that_broke_is_connected_again(
    client: Client, signed: Account, config: TwilioConfig, reason: str
) -> None:
    call = call_of(config, end_reason=reason)
    twiml = asked(client, bin_action(config))
    assert token_in(twiml) == StreamToken(call.id, config.id, 2, call_sid=SID)
    assert "breaks=1" in action_of(twiml)
    assert "Pause" not in twiml


def test_a_call_of_which_nothing_was_written_is_connected_again(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    expected = call_id(account_id=config.account_id, call_sid=SID)
    assert token_in(asked(client, bin_action(config))).call_id == expected


def test_three_tries_and_the_caller_is_told(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    call = call_of(config)
    path = bin_action(config)
    pauses = []
    for _ in range(3):
        twiml = asked(client, path)
        pause = ElementTree.fromstring(twiml).find("Pause")
        pauses.append(0 if pause is None else int(pause.attrib["length"]))
        path = action_of(twiml)
    assert pauses == [0, 1, 2]
    last = ElementTree.fromstring(asked(client, path))
    assert [verb.tag for verb in last] == ["Say", "Hangup"]
    call.refresh_from_db()
    assert (call.status, call.end_reason) == ("failed", "line_lost")
    assert call.ended_at is not None


def test_a_fallback_target_gets_the_calls_that_could_not_be_brought_back(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    assert config.current is not None
    document = {
        **config.current.document,
        "transfers": {"fallback": {"to": "+14155550100", "description": ""}},
    }
    with_fallback(config, document)
    call = call_of(config)
    twiml = asked(client, bin_action(config) + "&breaks=3")
    assert ElementTree.fromstring(twiml).findtext("Dial/Number") == "+14155550100"
    call.refresh_from_db()
    assert (call.status, call.end_reason) == ("in-progress", "transferred")
    assert ElementTree.fromstring(twiml).find("Dial[@action]") is not None
    assert Transfer.objects.get(call=call).to == "+14155550100"


def test_a_fallback_that_nobody_took_is_not_tried_for_ever(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    assert config.current is not None
    targets = {"fallback": {"to": "+14155550100", "description": ""}}
    with_fallback(config, {**config.current.document, "transfers": targets})
    call = call_of(config)
    now = timezone.now()
    Transfer.objects.create(call=call, to="+1", reason="busy", started_at=now, ended_at=now)
    twiml = asked(client, bin_action(config) + "&breaks=3")
    assert [verb.tag for verb in ElementTree.fromstring(twiml)] == ["Say", "Hangup"]
    call.refresh_from_db()
    assert (call.status, call.end_reason) == ("failed", "line_lost")


def with_fallback(config: TwilioConfig, document: dict[str, Any]) -> None:
    version = TwilioConfigVersion.objects.create(
        config=config, number=2, document=document, body={}, face="native"
    )
    config.current = version
    config.save()


def test_without_a_stored_token_the_bin_itself_is_proof(
    client: Client, config: TwilioConfig
) -> None:
    call_of(config)
    assert token_in(asked(client, bin_action(config))).attempt == 2


def test_nobody_without_the_bin_is_given_a_token(client: Client, config: TwilioConfig) -> None:
    call_of(config)
    path = bin_action(config).rpartition("key=")[0]
    for key in ("", "key=", "key=" + "0" * 32, "key=é"):
        assert twilio_posts(client, path + key, FORM).status_code == 403


def test_a_bins_proof_ends_with_its_token(client: Client, config: TwilioConfig) -> None:
    call_of(config)
    path = bin_action(config)
    later = timezone.now() + timedelta(hours=1)
    TwilioConfig.objects.update(
        stream_token="new", previous_stream_token=config.stream_token, previous_token_until=later
    )
    assert twilio_posts(client, path, FORM).status_code == 200
    TwilioConfig.objects.update(previous_token_until=timezone.now())
    assert twilio_posts(client, path, FORM).status_code == 403


def test_a_signature_is_needed_where_it_can_be_checked(
    client: Client, signed: Account, config: TwilioConfig
) -> None:
    call_of(config)
    assert twilio_posts(client, bin_action(config), FORM, secret="x").status_code == 403


def test_a_dialled_call_of_an_account_without_a_token_comes_back_by_its_own_key(
    client: Client, config: TwilioConfig
) -> None:
    call = call_of(config)
    first = StreamToken(call.id, config.id, 1)
    path = action_of(stream_twiml(first, account_id=config.account_id))
    assert token_in(asked(client, path)).call_id == call.id
    other = path.replace(str(call.id), str(uuid.uuid4()))
    assert twilio_posts(client, other, FORM).status_code == 403


def test_twiml_from_before_calls_could_be_brought_back_hangs_up(client: Client) -> None:
    answer = client.post("/twilio/after-stream", {"CallSid": "CA1"})
    assert answer.content.endswith(b"<Response><Hangup /></Response>")


@pytest.mark.parametrize("more", ["&breaks=x", "&bot=1", "&call=1"])
def test_nonsense_is_refused(
    client: Client, signed: Account, config: TwilioConfig, more: str
) -> None:
    assert twilio_posts(client, bin_action(config) + more, FORM).status_code == 403


def test_a_token_is_no_longer_than_a_parameter_may_be() -> None:
    token = StreamToken(uuid.uuid4(), uuid.uuid4(), 12, call_sid="CA" + "f" * 62, silent=True)
    text = token_make(token)
    assert token_read(text) == token
    assert len(text) < 400
    assert token_read(text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert token_read("") is None


@pytest.mark.parametrize(
    ("call_sid", "lasts"), [(SID, timedelta(minutes=10)), ("", timedelta(hours=25))]
)
def test_a_token_ages(call_sid: str, lasts: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token_make(StreamToken(uuid.uuid4(), uuid.uuid4(), 1, call_sid=call_sid))
    made = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: made + lasts.total_seconds() - 2)
    assert token_read(text) is not None
    monkeypatch.setattr("django.core.signing.time.time", lambda: made + lasts.total_seconds() + 2)
    assert token_read(text) is None
