"""Twilio asks for a call's TwiML: who is answered, and with what."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import Call, call_id
from apps.calls.tokens import StreamToken, token_read
from apps.calls.webhook_requests import REFUSED
from tests.calls.test_calls_api import make_call
from tests.conftest import BODY
from tests.support.twilio_requests import ACCOUNT_SID, ORIGIN, TOKEN, signature_of, twilio_posts

SID = "CA" + "1" * 32
FORM = {"AccountSid": ACCOUNT_SID, "CallSid": SID, "From": "+14158675309", "CallerName": ""}
KEY = "webhooks_sharedkey_1"
SHARED = "a-shared-secret"


@pytest.fixture
def account(account: Account) -> Account:
    """One that knows its Twilio project's token, and a SharedKey."""
    account.signing_secrets = {ACCOUNT_SID: {"auth_token": TOKEN, "keys": {KEY: SHARED}}}
    account.save()
    return account


@pytest.fixture
def path(config: TwilioConfig) -> str:
    return f"/twilio/voice/{config.id}"


def refused(reason: str) -> float:
    return float(REFUSED.labels(reason)._value.get())


def parameters(answer: Any) -> dict[str, str]:
    found = ElementTree.fromstring(answer.content).iter("Parameter")
    return {one.attrib["name"]: one.attrib["value"] for one in found}


def token_in(answer: Any) -> StreamToken:
    token = token_read(parameters(answer)["token"])
    assert token is not None
    return token


def test_the_twiml_lets_the_stream_of_this_call_in_once(
    client: Client, config: TwilioConfig, path: str
) -> None:
    answer = twilio_posts(client, path, FORM)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/xml"
    expected = call_id(account_id=config.account_id, call_sid=SID)
    assert token_in(answer) == StreamToken(expected, config.id, 1, call_sid=SID)
    assert config.stream_token not in answer.content.decode()


def test_it_takes_one_query(client: Client, path: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert twilio_posts(client, path, FORM).status_code == 200


def test_it_brings_who_calls_and_the_variables_of_the_url(client: Client, path: str) -> None:
    answer = twilio_posts(client, path + "?customer=Jane%20D&token=x&Big=1", FORM)
    given = parameters(answer)
    assert (given["from"], given["customer"]) == ("+14158675309", "Jane D")
    assert "Big" not in given
    assert given["token"] != "x"


def test_a_caller_who_hides_is_anonymous(client: Client, path: str) -> None:
    answer = twilio_posts(client, path, {**FORM, "From": "anonymous"})
    assert answer.status_code == 200
    assert parameters(answer)["from"] == "anonymous"


def test_what_twilio_would_not_carry_is_left_out(client: Client, path: str) -> None:
    answer = twilio_posts(client, f"{path}?long={'x' * 500}", FORM)
    assert answer.status_code == 200
    assert "long" not in parameters(answer)


def test_a_second_question_for_the_same_call_is_another_stream(
    client: Client, config: TwilioConfig, path: str
) -> None:
    call_of(config, attempts=1)
    assert token_in(twilio_posts(client, path, FORM)).attempt == 2


def test_a_replay_for_a_call_that_is_over_is_refused(
    client: Client, config: TwilioConfig, path: str
) -> None:
    call_of(config, status="completed")
    before = refused("replayed")
    assert twilio_posts(client, path, FORM).status_code == 403
    assert refused("replayed") == before + 1


def call_of(config: TwilioConfig, **values: Any) -> Call:
    return make_call(config, SID, **values)


def test_a_bot_that_was_never_published_takes_no_calls(client: Client, account: Account) -> None:
    draft = config_create(account=account, draft=draft_read(BODY), actor=Actor(), publish=False)
    answer = twilio_posts(client, f"/twilio/voice/{draft.id}", FORM)
    assert b"not in service" in answer.content


def test_a_bot_that_is_gone_says_so(
    client: Client, api: APIClient, config: TwilioConfig, path: str
) -> None:
    api.delete(f"/twilio-config/{config.id}")
    answer = client.post(path, FORM)
    assert answer.status_code == 200
    assert b"not in service" in answer.content
    assert b"<Hangup />" in answer.content


# --- signatures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (None, "signature_missing"),
        ("", "signature_missing"),
        ("forged", "signature_wrong"),
        ("é", "signature_wrong"),
        (signature_of(ORIGIN, secret="a secondary token"), "signature_wrong"),
    ],
)
def test_nobody_else_is_answered_and_that_is_counted(
    client: Client, path: str, signature: str | None, reason: str
) -> None:
    before = refused(reason)
    headers = {} if signature is None else {"x-twilio-signature": signature}
    assert client.post(path, FORM, headers=headers).status_code == 403
    assert refused(reason) == before + 1


def test_without_anything_to_check_by_no_signature_is_good(
    client: Client, config: TwilioConfig, path: str
) -> None:
    Account.objects.update(signing_secrets={})
    before = refused("unverifiable")
    assert twilio_posts(client, path, FORM, secret="").status_code == 403
    assert refused("unverifiable") == before + 1


@pytest.mark.parametrize("origin", ["https://voice.example.com", "https://voice.example.com:443"])
def test_the_port_may_be_signed_or_not(client: Client, path: str, origin: str) -> None:
    assert twilio_posts(client, path, FORM, signed_url=origin + path).status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_trailing_slash_is_signed_as_it_was_asked_for(
    client: Client, path: str, slash: str
) -> None:
    assert twilio_posts(client, path + slash, FORM).status_code == 200
    other = ORIGIN + path + ("" if slash else "/")
    assert twilio_posts(client, path + slash, FORM, signed_url=other).status_code == 403


def test_a_proxy_may_rewrite_host_and_scheme(client: Client, path: str) -> None:
    answer = twilio_posts(
        client, path, FORM, host="localhost:8000", **{"x-forwarded-proto": "http"}
    )
    assert answer.status_code == 200


def test_the_query_counts_as_it_was_written(client: Client, path: str) -> None:
    assert twilio_posts(client, path + "?a=%7E%2f&b=", FORM).status_code == 200


def test_empty_and_unknown_fields_are_part_of_it(client: Client, path: str) -> None:
    assert twilio_posts(client, path, {**FORM, "NewThing": "", "Z": "é"}).status_code == 200


def test_a_get_is_signed_by_its_url_alone(client: Client, path: str) -> None:
    asked = f"{path}?AccountSid={ACCOUNT_SID}&CallSid={SID}"
    signature = signature_of(ORIGIN + asked)
    assert client.get(asked, headers={"x-twilio-signature": signature}).status_code == 200


def test_another_accounts_token_does_not_count(
    client: Client, stranger: Account, path: str
) -> None:
    stranger.signing_secrets = {ACCOUNT_SID: {"auth_token": "theirs", "keys": {}}}
    stranger.save()
    assert twilio_posts(client, path, FORM, secret="theirs").status_code == 403


def test_a_json_body_is_signed_by_its_hash(client: Client, path: str) -> None:
    body = json.dumps(
        {"CallSid": "CA1234567890ABCDE", "Caller": "+12349013030"}, separators=(",", ":")
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    # The vector of Twilio's own documentation.
    assert digest == "5ccde7145dfb8f56479710896586cb9d5911809d83afbe34627818790db0aec9"
    asked = f"{path}?bodySHA256={digest}"
    headers = {"x-twilio-signature": signature_of(ORIGIN + asked)}
    taken = client.post(asked, body, content_type="application/json", headers=headers)
    # Signed, but it tells of no call in a form's field.
    assert (taken.status_code, taken.json()["info"]) == (403, "Refused: call missing.")
    changed = client.post(asked, body + " ", content_type="application/json", headers=headers)
    assert changed.json()["info"] == "Refused: signature wrong."


def shared(algorithm: str = "HMAC_SHA256", key: str = KEY) -> dict[str, str]:
    return {"x-twilio-webhooks-signature-settings": f"key={key},algorithm={algorithm}"}


def test_a_shared_key_signs_with_sha256(client: Client, path: str) -> None:
    signature = signature_of(ORIGIN + path, FORM, secret=SHARED, digest=hashlib.sha256)
    headers = {"x-twilio-signature": signature, **shared()}
    assert client.post(path, FORM, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("told", "secret", "digest"),
    [
        (shared(), TOKEN, hashlib.sha256),  # the auth token is no SharedKey
        (shared(), SHARED, hashlib.sha1),  # another algorithm than it says
        (shared(key="another"), SHARED, hashlib.sha256),  # a key that is not stored
        (shared(algorithm="HMAC_MD5"), SHARED, hashlib.sha256),
        ({}, SHARED, hashlib.sha1),  # a SharedKey's signature that does not say so
    ],
)
def test_a_shared_key_counts_for_itself_alone(
    client: Client, path: str, told: dict[str, str], secret: str, digest: Any
) -> None:
    signature = signature_of(ORIGIN + path, FORM, secret=secret, digest=digest)
    headers = {"x-twilio-signature": signature, **told}
    assert client.post(path, FORM, headers=headers).status_code == 403
