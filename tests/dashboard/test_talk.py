"""The page for talking to a bot, and what its script asks for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, TwilioConnection, User
from apps.accounts.services import membership_put
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_replace
from apps.calls import caller_voice
from apps.calls.models import Call
from apps.calls.tokens import token_read
from apps.dashboard.talk import views
from apps.providers.local_voice import LocalVoice
from tests.conftest import BODY
from tests.support.twilio import TwilioStandIn

ClientFor = Callable[[str], Client]


@pytest.fixture
def client_for(account: Account) -> ClientFor:
    """A browser of somebody with a role in our account; empty: of nobody."""

    def make(role: str, whose: Account = account) -> Client:
        client = Client()
        if role:
            user = User.objects.create(username=f"{role}-{User.objects.count()}", is_staff=True)
            membership_put(account=whose, user=user, role=role, actor=Actor())
            client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(client_for: ClientFor) -> Client:
    return client_for("operator")


def path(config: TwilioConfig, name: str = "") -> str:
    return f"/admin/bots/twilioconfig/{config.pk}/talk/{name and name + '/'}"


def ask(client: Client, config: TwilioConfig, name: str, **body: Any) -> Any:
    return client.post(path(config, name), body, content_type="application/json")


def drafted(config: TwilioConfig, **parts: Any) -> None:
    body = {**BODY, "config": {**BODY["config"], **parts}}
    write = Write(config.account, config.pk, Actor(), publish=False)
    config_replace(write, body)


@pytest.mark.parametrize(
    ("role", "status"), [("", 302), ("viewer", 403), ("operator", 200), ("owner", 200)]
)
def test_who_may_call_sees_the_page(
    client_for: ClientFor, config: TwilioConfig, role: str, status: int
) -> None:
    client = client_for(role)
    assert client.get(path(config)).status_code == status
    for name in ("begin", "abandon", "speech", "dial"):
        answer = ask(client, config, name)
        assert (answer.status_code in (302, 403)) == (status != 200), name
    assert Call.objects.filter(medium="browser").exists() == (status == 200)


@pytest.mark.parametrize(
    "wrong", ["{", "[]", '{"text": "\\ud83d"}', '{"a": 1e999}', f'{{"a": {"9" * 5_000}}}']
)
def test_what_is_no_json_is_refused_in_words(
    operator: Client, config: TwilioConfig, wrong: str
) -> None:
    for name in ("begin", "abandon", "speech", "dial"):
        answer = operator.post(path(config, name), wrong, content_type="application/json")
        assert answer.status_code == 400, name
        assert answer.json()["error"] == "That is no JSON object."


def test_another_accounts_bot_is_a_404(
    client_for: Any, config: TwilioConfig, stranger: Account
) -> None:
    client = client_for("owner", stranger)
    assert client.get(path(config)).status_code == 404
    assert ask(client, config, "begin").status_code == 404


def test_a_page_costs_few_queries(
    operator: Client, config: TwilioConfig, django_assert_max_num_queries: Any
) -> None:
    drafted(config)
    operator.get(path(config))
    with django_assert_max_num_queries(12):
        operator.get(path(config))


def test_the_page_offers_versions_and_their_variables(
    operator: Client, config: TwilioConfig
) -> None:
    llm = {**BODY["config"]["llm"], "prompt": "You speak to {{guest}} from {{from}}."}
    variables = {"room": {"type": "number", "default": 7, "description": "Which room"}}
    drafted(config, llm=llm, variables=variables)
    text = operator.get(path(config)).content.decode()
    assert "Published (version 1)" in text
    assert "Draft (version 2)" in text
    shown = re.findall(r'data-variable="(\w+)" data-versions="([\w ]+)"', text)
    assert shown == [("room", "draft"), ("guest", "draft")]
    assert "Which room" in text


def test_a_call_begins_with_what_lets_the_page_in(operator: Client, config: TwilioConfig) -> None:
    answer = ask(operator, config, "begin").json()
    token = token_read(answer["start"]["customParameters"]["token"])
    assert token is not None
    assert str(token.call_id) == answer["call"]
    assert answer["path"] == "/media/twilio"
    call = Call.objects.get()
    assert (call.medium, call.from_number) == ("browser", "client:operator-0")
    assert AuditEntry.objects.get(action="call.browser").actor_name == "operator-0"
    assert ask(operator, config, "abandon", call=answer["call"]).status_code == 200
    call.refresh_from_db()
    assert call.status == "canceled"


def test_what_is_wrong_is_said_by_field(
    operator: Client, account: Account, config: TwilioConfig
) -> None:
    wrong = ask(operator, config, "begin", variables={"pet": "cat"})
    assert wrong.status_code == 400
    assert "pet" in wrong.json()["fields"]["variables"]
    account.max_live_calls = 0
    account.save()
    full = ask(operator, config, "begin")
    assert (full.status_code, "lines of the account" in full.json()["error"]) == (409, True)
    for body in (b"[]", b"{", b"x" * (views.LARGEST + 1)):
        bad = operator.post(path(config, "begin"), body, content_type="application/json")
        assert bad.status_code in (400, 413)
    assert ask(operator, config, "abandon", call="x").status_code == 404


def test_a_bot_that_was_never_published_is_talked_to_as_a_draft(
    operator: Client, account: Account
) -> None:
    from apps.bots.services import config_create

    config = config_create(account=account, draft=draft_read(BODY), actor=Actor(), publish=False)
    page = operator.get(path(config)).content.decode()
    assert 'data-only="draft"' in page
    assert "Call my phone" not in page
    assert ask(operator, config, "begin", version="published").status_code == 409
    assert ask(operator, config, "begin", version="draft").status_code == 200


def test_what_is_typed_is_spoken_as_the_caller(
    operator: Client, config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def speak(self: LocalVoice, text: str) -> Any:
        yield text.encode()

    monkeypatch.setattr(LocalVoice, "speak", speak)
    answer = ask(operator, config, "speech", text=" Hello there. ")
    assert (answer.content, answer["Content-Type"]) == (b"Hello there.", "audio/basic")
    assert ask(operator, config, "speech", text=" … ").status_code == 400
    assert ask(operator, config, "speech", text="x" * 301).status_code == 400


def test_who_types_too_much_waits(
    operator: Client,
    client_for: ClientFor,
    config: TwilioConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def speak(self: LocalVoice, text: str) -> Any:
        yield text.encode()

    monkeypatch.setattr(LocalVoice, "speak", speak)
    monkeypatch.setattr(caller_voice, "LIMIT", "1/minute")
    assert ask(operator, config, "speech", text="Hello").status_code == 200
    refused = ask(operator, config, "speech", text="Hello")
    assert (refused.status_code, "a lot of typing" in refused.json()["error"]) == (429, True)
    assert ask(client_for("operator"), config, "speech", text="Hello").status_code == 200


def test_no_more_are_spoken_for_at_once_than_there_are_threads_for(
    operator: Client, config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int] = []

    async def speak(self: LocalVoice, text: str) -> Any:
        # While the one place is taken, another one asks.
        if not answers:
            answers.append(0)
            asked = sync_to_async(ask)(operator, config, "speech", text="Hello")
            answers.append((await asked).status_code)
        yield text.encode()

    monkeypatch.setattr(LocalVoice, "speak", speak)
    monkeypatch.setattr(caller_voice, "_AT_ONCE", threading.BoundedSemaphore(1))
    assert ask(operator, config, "speech", text="Hello").status_code == 200
    assert answers == [0, 429]
    assert ask(operator, config, "speech", text="Hello").status_code == 200


def test_a_server_without_a_voice_says_so(
    operator: Client, config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_voice, "VOICE", "none")
    answer = ask(operator, config, "speech", text="Hello")
    assert (answer.status_code, "no voice of its own" in answer.json()["error"]) == (503, True)


def test_my_phone_is_called(
    operator: Client, config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    ours = "+14155550100"
    refused = ask(operator, config, "dial", to="+12025550143", **{"from": ours})
    assert (refused.status_code, list(refused.json()["fields"])) == (409, ["from"])
    Call.objects.all().delete()
    twilio.add_number(ours)
    answer = ask(operator, config, "dial", to="+12025550143", **{"from": ours})
    assert answer.status_code == 200, answer.json()
    call = Call.objects.get()
    assert answer.json()["url"] == f"/admin/calls/call/{call.pk}/change/"
    assert (call.to_number, call.from_number, call.medium) == ("+12025550143", ours, "phone")


def test_a_number_that_is_none_is_refused_at_its_field(
    operator: Client, config: TwilioConfig
) -> None:
    answer = ask(operator, config, "dial", to="12", **{"from": "+14155550100"})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["to"]
    nobody = ask(operator, config, "dial", to="+12025550143", **{"from": "+14155550100"})
    assert (nobody.status_code, "no Twilio connection" in nobody.json()["error"]) == (409, True)
