"""The page of a number: a bot is assigned, drift is shown member by member, and repaired."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.models import PhoneNumber
from apps.calls.number_watch import SETTLING, numbers_refresh
from apps.calls.numbers import Change, number_assign
from apps.simulator.twilio.state import Resource
from tests.conftest import BODY
from tests.dashboard.people import ROLES, WRITERS, Login, text
from tests.support.twilio import TwilioStandIn

DEMO = "https://demo.twilio.com/welcome/voice/"
THEIRS = "https://theirs.example.com/"
APPLICATION = "AP" + "1" * 32
LIST = "/admin/calls/phonenumber/"


@pytest.fixture
def at_twilio(connection: TwilioConnection, twilio: TwilioStandIn) -> Resource:
    return twilio.add_number("+14155550100", VoiceUrl=DEMO, FriendlyName="Berlin")


@pytest.fixture
def number(at_twilio: Resource, account: Account) -> PhoneNumber:
    """Ours, that nobody answers."""
    numbers_refresh(account)
    return PhoneNumber.objects.get(sid=at_twilio.sid)


@pytest.fixture
def answered(number: PhoneNumber, config: TwilioConfig) -> PhoneNumber:
    """Ours, that the front desk answers."""
    return number_assign(Change(config.account, number.sid, Actor()), config)


def settled() -> None:
    """Let the last change be long enough ago for a list of Twilio's to be newer."""
    PhoneNumber.objects.update(updated_at=timezone.now() - 2 * SETTLING)


def url(name: str, number: PhoneNumber) -> str:
    return reverse(f"admin:calls_phonenumber_{name}", args=[number.pk])


def assign(client: Client, number: PhoneNumber, config: TwilioConfig, **more: str) -> Any:
    return client.post(url("assign", number), {"config_id": str(config.pk), **more}, follow=True)


@pytest.mark.parametrize("role", ROLES)
def test_numbers_are_assigned_by_whom_the_api_would_let(
    as_: Login, number: PhoneNumber, config: TwilioConfig, at_twilio: Resource, role: str
) -> None:
    answer = assign(as_(config.account, role), number, config)
    assert answer.status_code == (200 if role in WRITERS else 403)
    assert (at_twilio.settings["VoiceUrl"] != DEMO) is (role in WRITERS)


@pytest.mark.parametrize("act", ["assign", "unassign", "repair"])
def test_a_viewer_sees_the_number_and_no_way_to_change_it(
    as_: Login, answered: PhoneNumber, act: str
) -> None:
    client = as_(answered.account, "viewer")
    page = text(client.get(url("change", answered)))
    assert "+14155550100" in page
    assert url(act, answered) not in page
    assert client.post(url(act, answered)).status_code == 403


@pytest.mark.parametrize("act", ["change", "assign", "unassign", "repair", "check_now"])
def test_another_accounts_number_is_not_there(
    as_: Login, number: PhoneNumber, stranger: Account, act: str
) -> None:
    client = as_(stranger, "owner")
    ask = client.get if act == "change" else client.post
    assert ask(url(act, number)).status_code == 404
    assert "+14155550100" not in text(client.get(LIST))


def test_another_accounts_bot_is_no_choice(
    as_: Login, number: PhoneNumber, config: TwilioConfig, stranger: Account
) -> None:
    theirs = config_create(account=stranger, draft=draft_read(BODY), actor=Actor())
    answer = assign(as_(number.account, "owner"), number, theirs)
    assert "Select a valid choice" in text(answer)
    number.refresh_from_db()
    assert number.config_id is None


def test_an_assignment_is_told_and_noted_under_ones_name(
    as_: Login, number: PhoneNumber, config: TwilioConfig
) -> None:
    page = text(assign(as_(config.account, "operator"), number, config))
    assert "Front desk answers +14155550100 now." in page
    entry = AuditEntry.objects.get(action="phone_number.assign")
    assert entry.actor_name.startswith("operator")


def test_what_differs_is_shown_member_by_member(
    as_: Login, answered: PhoneNumber, at_twilio: Resource, account: Account
) -> None:
    at_twilio.settings["VoiceUrl"] = THEIRS
    client = as_(account, "viewer")
    settled()
    client.post(url("check_now", answered))
    page = text(client.get(url("change", answered)))
    row = page.partition('class="bc-differs"')[2].partition("</tr>")[0]
    assert answered.wanted["voice_url"] in row
    assert THEIRS in row
    assert page.count('class="bc-differs"') == 1
    assert "differs" in text(client.get(f"{LIST}?state=drifted"))


def test_a_repair_sets_what_differs(
    as_: Login, answered: PhoneNumber, at_twilio: Resource, account: Account
) -> None:
    at_twilio.settings["VoiceUrl"] = THEIRS
    answer = as_(account, "operator").post(url("repair", answered), follow=True)
    assert "Twilio has what we want again." in text(answer)
    assert at_twilio.settings["VoiceUrl"] == answered.wanted["voice_url"]


def test_an_application_in_the_way_is_named_at_its_box_and_taken_away_when_it_is_ticked(
    as_: Login, number: PhoneNumber, config: TwilioConfig, at_twilio: Resource
) -> None:
    at_twilio.settings["VoiceApplicationSid"] = APPLICATION
    client = as_(config.account, "operator")
    page = text(assign(client, number, config))
    assert f"voice_application_sid ({APPLICATION})" in page
    assert "Tick the box" in page
    assert "replace_application: true" not in page
    assign(client, number, config, replace_application="on")
    assert at_twilio.settings["VoiceApplicationSid"] == ""


def test_taking_a_bot_away_offers_to_assign_it_again(
    as_: Login, answered: PhoneNumber, at_twilio: Resource, account: Account
) -> None:
    client = as_(account, "operator")
    answer = client.post(url("unassign", answered), {"restore": "on"}, follow=True)
    assert at_twilio.settings["VoiceUrl"] == DEMO
    page = text(answer)
    assert "Undo: have Front desk answer again" in page
    bot = page.partition('name="config_id" value="')[2].partition('"')[0]
    client.post(url("assign", answered), {"config_id": bot})
    answered.refresh_from_db()
    assert str(answered.config_id) == bot


def test_letting_go_of_a_number_need_not_ask_twilio(
    as_: Login, answered: PhoneNumber, at_twilio: Resource, twilio: TwilioStandIn
) -> None:
    before = len(twilio.requests)
    as_(answered.account, "operator").post(url("unassign", answered), {})
    assert len(twilio.requests) == before
    answered.refresh_from_db()
    assert answered.config_id is None
    assert at_twilio.settings["VoiceUrl"] != DEMO


def test_what_twilio_refuses_is_said_in_words(
    as_: Login, number: PhoneNumber, config: TwilioConfig, twilio: TwilioStandIn
) -> None:
    twilio.account.auth_token = "0" * 32
    page = text(assign(as_(config.account, "operator"), number, config))
    assert "The SID and the auth token or API key do not fit" in page
    number.refresh_from_db()
    assert number.config_id is None


def test_a_number_that_twilio_lists_no_more_is_gone(
    as_: Login, answered: PhoneNumber, twilio: TwilioStandIn, account: Account
) -> None:
    twilio.world.numbers.clear()
    settled()
    client = as_(account, "viewer")
    client.post(url("check_now", answered))
    page = text(client.get(url("change", answered)))
    assert "gone" in page
    assert "Twilio does not list this number any more." in page


def test_without_a_bot_the_page_says_to_make_one(as_: Login, number: PhoneNumber) -> None:
    page = text(as_(number.account, "operator").get(url("change", number)))
    assert "There is no bot yet." in page


def test_the_list_costs_the_same_for_many(
    as_: Login, number: PhoneNumber, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for count in range(20):
        PhoneNumber.objects.create(
            account=number.account, connection=number.connection, sid=f"PN{count}", number="+1"
        )
    client = as_(number.account, "viewer")
    with django_assert_max_num_queries(10):
        client.get(LIST)
    with django_assert_max_num_queries(10):
        client.get(url("change", number))
