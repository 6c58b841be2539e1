"""/phone-numbers: bots are assigned to numbers at Twilio, and nothing else of a number changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_delete
from apps.calls.models import PhoneNumber
from apps.calls.number_serializers import BOT_DELETED
from apps.calls.numbers import CLAIM
from apps.simulator.twilio.state import Resource
from apps.telephony import rest
from tests.conftest import ApiFor
from tests.support.twilio import TwilioStandIn

URL = "/phone-numbers"
DEMO = "https://demo.twilio.com/welcome/voice/"
ORIGIN = "https://voice.example.com/twilio"
APPLICATION = "AP" + "1" * 32


@pytest.fixture
def number(connection: TwilioConnection, twilio: TwilioStandIn) -> Resource:
    """A number of ours at Twilio, that plays Twilio's demo and takes texts."""
    texts = {"SmsUrl": "https://texts.example.com/", "FriendlyName": "Berlin"}
    return twilio.add_number("+14155550100", VoiceUrl=DEMO, VoiceMethod="GET", **texts)


def assign(api: APIClient, number: Resource, config: TwilioConfig | None, **more: Any) -> Any:
    body = {"config_id": str(config.id) if config else None, **more}
    return api.put(f"{URL}/{number.sid}", body)


def set_for(config: TwilioConfig) -> dict[str, str]:
    account = f"account={config.account_id}"
    return {
        "VoiceUrl": f"{ORIGIN}/voice/{config.id}",
        "VoiceMethod": "POST",
        "VoiceFallbackUrl": f"{ORIGIN}/fallback?{account}&bot={config.id}",
        "VoiceFallbackMethod": "POST",
        "StatusCallback": f"{ORIGIN}/status?{account}",
        "StatusCallbackMethod": "POST",
    }


def test_numbers_are_listed_when_nobody_has_listed_them_yet(
    api: APIClient, number: Resource, twilio: TwilioStandIn
) -> None:
    twilio.add_number("+12025550143")
    found = api.get(URL).json()["results"]
    assert [one["number"] for one in found] == ["+12025550143", "+14155550100"]
    assert (found[1]["sid"], found[1]["friendly_name"]) == (number.sid, "Berlin")
    assert found[1]["actual"]["voice_url"] == DEMO
    assert api.get(f"{URL}/{number.sid}").json() == found[1]


def test_they_are_not_asked_for_again_but_on_request(
    api: APIClient, number: Resource, twilio: TwilioStandIn
) -> None:
    api.get(URL)
    twilio.add_number("+12025550143")
    assert len(api.get(URL).json()["results"]) == 1
    assert len(api.get(URL, {"refresh": "true"}).json()["results"]) == 2
    assert len(twilio.asked("numbers.list")) == 2


def test_one_put_has_a_bot_answer_a_number(
    api: APIClient, number: Resource, config: TwilioConfig
) -> None:
    answer = assign(api, number, config)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["config_id"], shown["drift"], shown["warnings"]) == (str(config.id), [], [])
    assert shown["wanted"] == shown["actual"]
    assert shown["before"]["voice_url"] == DEMO
    # As Twilio has it now.
    assert {name: number.settings[name] for name in set_for(config)} == set_for(config)


def test_these_fields_are_posted_and_no_others(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    before = dict(number.settings)
    assign(api, number, config)
    assert twilio.asked("numbers.update") == [set_for(config)]
    assert number.settings == before | set_for(config)


def test_taking_the_bot_back_restores_what_was_there(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    before = dict(number.settings)
    assign(api, number, config)
    answer = assign(api, number, None)
    assert (answer.status_code, answer.json()["config_id"]) == (200, None)
    assert (answer.json()["wanted"], answer.json()["before"]) == ({}, {})
    assert {name: number.settings[name] for name in before} == before
    assert number.settings["StatusCallback"] == number.settings["VoiceFallbackUrl"] == ""
    assert twilio.asked("numbers.update")[1].keys() == set_for(config).keys()


def test_another_bot_takes_over_and_the_first_state_is_still_what_is_restored(
    api: APIClient, number: Resource, config: TwilioConfig, account: Account
) -> None:
    other = api.post("/twilio-config", {"config": {"llm": {"prompt": "Answer."}}}).json()["id"]
    assign(api, number, config)
    api.put(f"{URL}/{number.sid}", {"config_id": other})
    assert number.settings["VoiceUrl"].endswith(other)
    assign(api, number, None)
    assert number.settings["VoiceUrl"] == DEMO


def test_what_somebody_else_has_set_meanwhile_stays_theirs(
    api: APIClient, number: Resource, config: TwilioConfig
) -> None:
    assign(api, number, config)
    number.settings["VoiceUrl"] = "https://theirs.example.com/"
    assign(api, number, None)
    assert number.settings["VoiceUrl"] == "https://theirs.example.com/"
    assert number.settings["StatusCallback"] == ""


def test_taking_a_bot_back_that_is_not_there_asks_nothing(
    api: APIClient, number: Resource, twilio: TwilioStandIn
) -> None:
    assert assign(api, number, None).status_code == 200
    assert twilio.asked("numbers.update") == []


def test_a_number_may_be_let_go_without_twilio(
    api: APIClient, number: Resource, config: TwilioConfig, settings: Settings
) -> None:
    assign(api, number, config)
    settings.TWILIO_API_URL = "http://127.0.0.1:9"
    assert assign(api, number, None).status_code == 503
    assert assign(api, number, None, restore=False).json()["config_id"] is None


def test_an_application_is_not_taken_away_unasked(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    number.settings["VoiceApplicationSid"] = APPLICATION
    refused = assign(api, number, config)
    assert refused.status_code == 409
    assert f"voice_application_sid ({APPLICATION})" in refused.json()["info"]
    assert twilio.asked("numbers.update") == []
    assert assign(api, number, config, replace_application=True).status_code == 200
    assert twilio.asked("numbers.update") == [{**set_for(config), "VoiceApplicationSid": ""}]


def test_an_application_is_put_back(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    made = twilio.world.number_add(twilio.account, "+1")
    twilio.world.applications[APPLICATION] = made
    number.settings["VoiceApplicationSid"] = APPLICATION
    assign(api, number, config, replace_application=True)
    assign(api, number, None)
    assert number.settings["VoiceApplicationSid"] == APPLICATION
    assert number.settings["VoiceUrl"] == DEMO


def test_a_trunk_is_named_too(api: APIClient, number: Resource, config: TwilioConfig) -> None:
    number.settings["TrunkSid"] = "TK" + "1" * 32
    assert "trunk_sid" in assign(api, number, config).json()["info"]


def test_an_answer_that_was_lost_does_not_lose_what_was_there(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    twilio.drills.fails(503, done=True, operation="numbers.update")
    answer = assign(api, number, config)
    assert (answer.status_code, answer.json()["error"]) == (502, "twilio-error")
    assert api.get(f"{URL}/{number.sid}").json()["config_id"] is None
    # Twilio did it all the same; the second try finds our own URL there.
    assert assign(api, number, config).json()["before"]["voice_url"] == DEMO


@pytest.mark.parametrize(("code", "status"), [(21402, 400), (20003, 409), (20404, 409)])
def test_what_twilio_refuses_is_said(
    api: APIClient,
    number: Resource,
    config: TwilioConfig,
    twilio: TwilioStandIn,
    code: int,
    status: int,
) -> None:
    twilio.drills.refuses(code, operation="numbers.update")
    answer = assign(api, number, config)
    assert (answer.status_code, answer.json()["twilio_code"]) == (status, code)
    assert answer.json()["info"] == rest.MEANINGS[code].hint
    assert PhoneNumber.objects.get().changing_until is None


def test_twilio_itself_calls_https_alone(
    api: APIClient, number: Resource, config: TwilioConfig, settings: Settings
) -> None:
    api.get(URL)
    settings.TWILIO_API_URL = rest.OWN_URL
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    answer = assign(api, number, config)
    assert (answer.status_code, "PUBLIC_URL" in answer.json()["info"]) == (409, True)


def test_of_two_changes_at_once_the_second_is_told(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    api.get(URL)
    PhoneNumber.objects.update(changing_until=timezone.now() + CLAIM)
    assert assign(api, number, config).status_code == 409
    PhoneNumber.objects.update(changing_until=timezone.now())
    assert assign(api, number, config).status_code == 200


def test_a_repair_posts_what_differs_and_no_more(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    assign(api, number, config)
    number.settings |= {"VoiceUrl": DEMO, "SmsUrl": "https://new.example.com/"}
    answer = api.post(f"{URL}/{number.sid}/repair")
    assert (answer.status_code, answer.json()["drift"]) == (200, [])
    assert twilio.asked("numbers.update")[1:] == [{"VoiceUrl": set_for(config)["VoiceUrl"]}]
    assert number.settings["SmsUrl"] == "https://new.example.com/"


def test_a_repair_takes_no_application_away_unasked(
    api: APIClient, number: Resource, config: TwilioConfig
) -> None:
    assign(api, number, config)
    number.settings["VoiceApplicationSid"] = APPLICATION
    assert api.post(f"{URL}/{number.sid}/repair").status_code == 409
    body = {"replace_application": True}
    assert api.post(f"{URL}/{number.sid}/repair", body).json()["drift"] == []
    assert number.settings["VoiceApplicationSid"] == ""


@pytest.mark.parametrize("assigned", [True, False])
def test_nothing_to_repair_is_fine(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn, assigned: bool
) -> None:
    if assigned:
        assign(api, number, config)
    before = len(twilio.asked("numbers.update"))
    assert api.post(f"{URL}/{number.sid}/repair").status_code == 200
    assert len(twilio.asked("numbers.update")) == before


def test_a_deleted_bots_number_says_what_callers_hear(
    api: APIClient, number: Resource, config: TwilioConfig, account: Account
) -> None:
    assign(api, number, config)
    config_delete(Write(account, config.id, Actor()))
    assert api.get(f"{URL}/{number.sid}").json()["warnings"] == [BOT_DELETED]
    assert assign(api, number, config).status_code == 400
    assert assign(api, number, None).status_code == 200


def test_a_connection_stays_while_a_bot_answers_one_of_its_numbers(
    api: APIClient, number: Resource, config: TwilioConfig, connection: TwilioConnection
) -> None:
    home = f"/twilio-connections/{connection.id}"
    assign(api, number, config)
    refused = api.delete(home)
    assert (refused.status_code, "+14155550100" in refused.json()["info"]) == (409, True)
    assign(api, number, None)
    assert api.delete(home).status_code == 204
    assert not PhoneNumber.objects.exists()


def test_a_strangers_bot_answers_no_number_of_ours(
    api: APIClient, api_for: ApiFor, stranger: Account, number: Resource
) -> None:
    body = {"config": {"llm": {"prompt": "Answer."}}}
    theirs = api_for(stranger).post("/twilio-config", body).json()["id"]
    answer = api.put(f"{URL}/{number.sid}", {"config_id": theirs})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["config_id"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "config_id"),
        ({"config_id": "x"}, "config_id"),
        ({"config_id": None, "replace_application": "perhaps"}, "replace_application"),
        ({"config_id": None, "voice_url": "https://x"}, "voice_url"),
    ],
)
def test_a_wrong_body_is_named(
    api: APIClient, number: Resource, body: dict[str, Any], field: str
) -> None:
    answer = api.put(f"{URL}/{number.sid}", body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_an_unknown_number_is_a_404(api: APIClient, number: Resource) -> None:
    for sid in ("PN" + "0" * 32, "x", "%00"):
        assert api.get(f"{URL}/{sid}").status_code == 404
        assert api.put(f"{URL}/{sid}", {"config_id": None}).status_code == 404
        assert api.post(f"{URL}/{sid}/repair").status_code == 404


def test_numbers_are_filtered(
    api: APIClient, number: Resource, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    twilio.add_number("+12025550143")
    assign(api, number, config)

    def found(**query: Any) -> list[str]:
        return [one["number"] for one in api.get(URL, query).json()["results"]]

    assert found(config_id=str(config.id)) == ["+14155550100"]
    assert found(drifted="true") == []
    assert len(found(drifted="false")) == 2
    assert found(connection_id=str(config.id)) == []
    assert api.get(URL, {"config_id": "x"}).status_code == 400


def test_a_list_costs_the_same_however_long(
    api: APIClient,
    number: Resource,
    twilio: TwilioStandIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for last in range(20):
        twilio.add_number(f"+120255501{last:02}")
    api.get(URL)
    with django_assert_max_num_queries(4):
        assert len(api.get(URL).json()["results"]) == 21


def test_a_connection_out_of_reach_is_told_to_who_asks_for_its_numbers(
    api: APIClient, number: Resource, settings: Settings
) -> None:
    api.get(URL)
    settings.TWILIO_API_URL = "http://127.0.0.1:9"
    assert api.get(URL, {"refresh": "true"}).status_code == 503
    assert len(api.get(URL).json()["results"]) == 1


def test_every_change_is_in_the_log(api: APIClient, number: Resource, config: TwilioConfig) -> None:
    assign(api, number, config)
    number.settings["VoiceUrl"] = DEMO
    api.post(f"{URL}/{number.sid}/repair")
    assign(api, number, None)
    entries = AuditEntry.objects.filter(target_kind="phone_number").order_by("created_at")
    assert [entry.action.partition(".")[2] for entry in entries] == ["assign", "repair", "unassign"]
    assert entries[1].after == {"set": ["voice_url"]}
    assert {entry.target_id for entry in entries} == {number.sid}
