"""POST /calls: what is sent to Twilio, what is refused before, and with which words."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_patch
from apps.calls.models import Call, PhoneNumber
from apps.calls.tokens import token_read
from tests.calls.dialling.conftest import OURS, THEIRS, Post, the_call
from tests.conftest import BODY, ApiFor
from tests.support.twilio import TwilioStandIn


def test_a_call_is_dialled_once_and_answered_with_its_row(
    dial: Post, twilio: TwilioStandIn, config: TwilioConfig
) -> None:
    answer = dial(variables={}, metadata={"order": "4711"})
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    (asked,) = twilio.asked("calls.create")
    assert (asked["To"], asked["From"]) == (THEIRS, OURS)
    assert (shown["to"], shown["from"], shown["direction"]) == (THEIRS, OURS, "outbound")
    assert (shown["status"], shown["call_sid"]) == ("dialing", twilio.call.sid)
    assert (shown["config_id"], shown["metadata"]) == (str(config.id), {"order": "4711"})
    assert (shown["answered_at"], shown["ended_at"], shown["duration_s"]) == (None, None, None)
    assert answer["Location"].endswith(f"/calls/{shown['id']}")
    row = the_call()
    assert str(row.id) == shown["id"]
    assert row.posted_at is not None
    assert row.twilio_account_sid == twilio.sid


def test_twilio_is_given_the_stream_with_a_token_for_this_call_alone(
    dial: Post, twilio: TwilioStandIn, account: Account
) -> None:
    dial()
    call = the_call()
    (asked,) = twilio.asked("calls.create")
    document = ElementTree.fromstring(str(asked["Twiml"]))
    connect, stream = document.find("Connect"), document.find("Connect/Stream")
    assert connect is not None
    assert stream is not None
    assert stream.attrib["url"] == "wss://voice.example.com/media/twilio"
    parameters = {one.attrib["name"]: one.attrib["value"] for one in stream}
    assert parameters["account"] == str(account.id)
    token = token_read(parameters["token"])
    assert token is not None
    assert (token.call_id, token.config_id, token.attempt) == (call.id, call.config_id, 1)
    for url, path in (
        (connect.attrib["action"], "/twilio/after-stream"),
        (stream.attrib["statusCallback"], "/twilio/stream-status"),
        (asked["StatusCallback"], "/twilio/status"),
        (asked["FallbackUrl"], "/twilio/fallback"),
    ):
        parts = urlsplit(str(url))
        assert parts.path == path
        assert parse_qs(parts.query)["call"] == [str(call.id)]
        assert parse_qs(parts.query)["account"] == [str(account.id)]


def test_twilio_is_asked_for_every_event_and_given_limits(
    dial: Post, twilio: TwilioStandIn
) -> None:
    dial()
    (asked,) = twilio.asked("calls.create")
    assert asked["StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]
    # The bot's own 600 s, and a minute for its goodbye.
    assert (asked["Timeout"], asked["TimeLimit"]) == ("60", "660")
    assert not {"SendDigits", "MachineDetection", "Record"} & asked.keys()


def test_what_is_asked_for_is_passed_on(dial: Post, twilio: TwilioStandIn) -> None:
    dial(timeout=25, time_limit=90, send_digits="ww12#", record=True)
    (asked,) = twilio.asked("calls.create")
    assert (asked["Timeout"], asked["TimeLimit"], asked["SendDigits"]) == ("25", "90", "ww12#")
    # The gateway records, not Twilio.
    assert "Record" not in asked
    assert the_call().asked["record"] is True


@pytest.mark.parametrize(
    ("detection", "sent"),
    [
        ({"mode": "async"}, {"MachineDetection": "Enable", "AsyncAmd": "true"}),
        (
            {"mode": "async", "message_end": True, "timeout": 45},
            {"MachineDetection": "DetectMessageEnd", "MachineDetectionTimeout": "45"},
        ),
        ({"mode": "sync"}, {"MachineDetection": "Enable"}),
    ],
)
def test_a_machine_is_listened_for(
    dial: Post, twilio: TwilioStandIn, detection: dict[str, Any], sent: dict[str, str]
) -> None:
    assert dial(machine_detection=detection).status_code == 201
    (asked,) = twilio.asked("calls.create")
    assert {name: asked.get(name) for name in sent} == sent
    callback = str(asked.get("AsyncAmdStatusCallback", ""))
    assert ("/twilio/amd?" in callback) is (detection["mode"] == "async")
    assert ("AsyncAmd" in asked) is (detection["mode"] == "async")


@pytest.mark.parametrize("written", ["+1 (415) 867-5309", "+1-415-867-5309", " +1.415.867.5309 "])
def test_numbers_may_be_written_as_people_do(
    dial: Post, twilio: TwilioStandIn, written: str
) -> None:
    assert dial(to=written).status_code == 201
    assert twilio.call.to == THEIRS


def test_a_sip_address_can_be_called(dial: Post, twilio: TwilioStandIn) -> None:
    assert dial(to="sip:desk@pbx.example.com").status_code == 201
    assert twilio.call.to == "sip:desk@pbx.example.com"


@pytest.mark.parametrize(
    ("members", "field", "complaint"),
    [
        ({"to": "415 867 5309"}, "to", "as +, country and number, such as +4930123456"),
        ({"to": "004930123456"}, "to", "as +, country and number"),
        ({"to": "+1-800-FLOWERS"}, "to", "as +, country and number"),
        ({"to": "+99912345678"}, "to", "No country has this code"),
        ({"to": "+1415867"}, "to", "Too short or too long"),
        ({"to": "+15551230000"}, "to", "assigned to nobody"),
        ({"to": "+19005551212"}, "to", "premium rate"),
        ({"to": "sip:nobody"}, "to", "No SIP address"),
        ({"to": 4158675309}, "to", "Not a valid string"),
        ({"from": "hotel"}, "from", "as +, country and number"),
        ({"from": "+1"}, "from", "No country has this code"),
        ({"config_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"}, "config_id", "No bot of this"),
        ({"connection_id": "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"}, "connection_id", "Valid: "),
        ({"timeout": 4}, "timeout", "greater than or equal to 5"),
        ({"timeout": 601}, "timeout", "less than or equal to 600"),
        ({"time_limit": 9}, "time_limit", "greater than or equal to 10"),
        ({"time_limit": 86_401}, "time_limit", "less than or equal to 86400"),
        ({"send_digits": "1e"}, "send_digits", "Up to 32 of 0-9, A-D, #, *"),
        ({"send_digits": "1" * 33}, "send_digits", "Up to 32"),
        ({"machine_detection": {"mode": "always"}}, "machine_detection.mode", "not a valid choice"),
        ({"machine_detection": {"timeout": 60}}, "machine_detection.timeout", "equal to 59"),
        (
            {"machine_detection": {"mode": "sync"}, "send_digits": "1"},
            "send_digits",
            "Twilio detects no machine where digits are sent",
        ),
        ({"record": "yes"}, "record", "Must be a valid boolean"),
        ({"metadata": {"long": "x" * 17_000}}, "metadata", "More than 16384 bytes"),
        ({"schedule_at": "2026-01-31T12:00:00"}, "schedule_at", "with an offset"),
        ({"schedule_at": "2020-01-31T12:00:00Z"}, "schedule_at", "In the future"),
        ({"schedule_at": "2099-01-31T12:00:00Z"}, "schedule_at", "30 days ahead"),
        (
            {"callback_url": "https://example.com"},
            "callback_url",
            "Unknown field. Valid: config_id",
        ),
        ({"variables": {"guest": "Ann"}}, "variables.guest", "no such variable. Valid: none"),
        ({"variables": {"to": "Ann"}}, "variables.to", "This parameter is ours"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_dialled(
    dial: Post, twilio: TwilioStandIn, members: dict[str, Any], field: str, complaint: str
) -> None:
    answer = dial(**members)
    assert answer.status_code == 400
    assert complaint in " ".join(answer.json()["fields"][field])
    assert twilio.asked("calls.create") == []
    assert not Call.objects.exists()


def speaking_bot(api: APIClient) -> str:
    declared = {"guest": {"type": "string"}, "nights": {"type": "number", "default": 1}}
    llm = {**BODY["config"]["llm"], "prompt": "Speak to {{guest}} of {{hotel}}."}
    whole = {**BODY, "config": {**BODY["config"], "llm": llm, "variables": declared}}
    return str(api.post("/twilio-config", whole).json()["id"])


def test_variables_are_kept_for_the_gateway_and_not_told_to_twilio(
    api: APIClient, dial: Post, twilio: TwilioStandIn
) -> None:
    given = {"guest": "Ann", "nights": 3, "hotel": "Sea View"}
    answer = dial(config_id=speaking_bot(api), variables=given)
    assert answer.status_code == 201, answer.content
    assert api.get(f"/calls/{answer.json()['id']}").json()["variables"] == given
    (asked,) = twilio.asked("calls.create")
    assert "Ann" not in str(asked["Twiml"])


def test_variables_are_checked_against_the_bots_own(api: APIClient, dial: Post) -> None:
    answer = dial(config_id=speaking_bot(api), variables={"nights": "many", "room": 7})
    assert answer.json()["fields"] == {
        "variables.nights": ["Not of the type number."],
        "variables.room": ["The bot has no such variable. Valid: guest, hotel, nights."],
    }


def test_a_bot_that_was_never_published_dials_nobody(
    api: APIClient, dial: Post, twilio: TwilioStandIn
) -> None:
    draft = api.post("/twilio-config?draft=true", BODY).json()
    answer = dial(config_id=draft["id"])
    assert answer.status_code == 409
    assert "never published" in answer.json()["fields"]["config_id"][0]
    assert twilio.calls == []


def test_a_strangers_bot_is_none_of_ours(
    api_for: ApiFor, stranger: Account, dial: Post, body: dict[str, Any]
) -> None:
    answer = api_for(stranger).post("/calls", body)
    assert answer.status_code == 400
    assert "config_id" in answer.json()["fields"]


def test_without_a_connection_the_answer_says_how_to_dial_by_hand(
    api: APIClient, body: dict[str, Any]
) -> None:
    answer = api.post("/calls", body)
    assert answer.status_code == 409
    assert "connection" in answer.json()["info"]
    assert "curl" in answer.json()["info"]


def test_the_connection_that_owns_the_number_dials(
    dial: Post, twilio: TwilioStandIn, account: Account, connection: TwilioConnection
) -> None:
    other = TwilioConnection.objects.create(
        account=account, account_sid="AC" + "0" * 32, auth_token="x"
    )
    ambiguous = dial()
    assert ambiguous.status_code == 400
    assert str(other.id) in ambiguous.json()["fields"]["connection_id"][0]
    PhoneNumber.objects.create(
        account=account, connection=connection, sid="PN" + "0" * 32, number=OURS
    )
    assert dial().status_code == 201
    assert the_call().connection == connection
    assert twilio.call.from_ == OURS


def test_a_named_connection_dials(
    dial: Post, account: Account, connection: TwilioConnection
) -> None:
    TwilioConnection.objects.create(account=account, account_sid="AC" + "0" * 32, auth_token="x")
    assert dial(connection_id=str(connection.id)).status_code == 201


def test_a_strangers_connection_is_none_of_ours(
    dial: Post, stranger: Account, twilio: TwilioStandIn
) -> None:
    theirs = TwilioConnection.objects.create(
        account=stranger, account_sid="AC" + "1" * 32, auth_token="x"
    )
    answer = dial(connection_id=str(theirs.id))
    assert answer.status_code == 400
    assert str(theirs.id) not in answer.json()["fields"]["connection_id"][0]
    assert twilio.calls == []


def test_countries_can_be_restricted(dial: Post, account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(allowed_countries=["DE", "CH"])
    answer = dial()
    assert answer.status_code == 400
    complaint = answer.json()["fields"]["to"][0]
    assert complaint == "Calls to US are not allowed for this account. Allowed: CH, DE."
    assert dial(to="sip:desk@pbx.example.com").status_code == 400
    Account.objects.filter(pk=account.pk).update(allowed_countries=["US"])
    assert dial().status_code == 201
    # Canada has the same code.
    assert dial(to="+16135550123").status_code == 400


def test_a_bots_longest_call_is_bounded_by_what_twilio_takes(
    dial: Post, twilio: TwilioStandIn, account: Account, config: TwilioConfig
) -> None:
    write = Write(account, config.id, Actor(), publish=True)
    config_patch(write, {"max_duration": 86_399})
    dial()
    assert twilio.asked("calls.create")[0]["TimeLimit"] == "86400"


def test_dialling_is_audited_without_the_number(dial: Post, account: Account) -> None:
    dial()
    entry = AuditEntry.objects.get(account=account, action="call.dial")
    assert entry.target_id == str(the_call().id)
    assert THEIRS not in str(entry.after)


def test_nothing_of_the_call_but_its_id_is_logged(
    dial: Post, twilio: TwilioStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    twilio.drills.refuses(21211)
    dial(metadata={"guest": "Ann"})
    assert THEIRS not in caplog.text
    assert "Ann" not in caplog.text
