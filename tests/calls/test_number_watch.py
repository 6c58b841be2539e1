"""The reconciler: what differs at Twilio is flagged within a minute, once, and never falsely."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.audit import Actor
from apps.accounts.connections import connection_create
from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import NumberWatch, PhoneNumber
from apps.calls.number_settings import GONE
from apps.calls.number_watch import EVERY, LEASE, LONGEST_PAUSE, SETTLING, numbers_sweep
from apps.calls.numbers import Change, number_assign, number_repair, number_unassign
from apps.calls.sweeps import numbers
from apps.core.periodic import sweeps
from apps.simulator.twilio.state import Resource
from apps.telephony import rest
from apps.webhooks.models import Endpoint, Event
from tests.support.twilio import TwilioStandIn

THEIRS = "https://theirs.example.com/"


class Clock:
    """The worker's time: now, and how far it has been turned on."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def sweep(self, after: timedelta = EVERY) -> int:
        self.now += after
        return numbers_sweep(now=self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def number(
    connection: TwilioConnection, twilio: TwilioStandIn, config: TwilioConfig, clock: Clock
) -> Resource:
    """A number of ours that a bot answers."""
    made = twilio.add_number("+14155550100", VoiceUrl="https://demo.twilio.com/")
    clock.sweep(timedelta())
    number_assign(Change(config.account, made.sid, Actor()), config)
    return made


@pytest.fixture
def endpoint(account: Account) -> Endpoint:
    """Somebody who wants to know."""
    return Endpoint.objects.create(account=account, url="https://hooks.example.com/")


def row() -> PhoneNumber:
    return PhoneNumber.objects.get(number="+14155550100")


def told() -> list[str]:
    return list(Event.objects.order_by("created_at").values_list("kind", flat=True))


def test_drift_is_flagged_within_a_minute_whatever_the_worker_is_at() -> None:
    every_s = next(sweep.every_s for sweep in sweeps() if sweep.work is numbers)
    assert EVERY.total_seconds() + every_s + 15 < 60


def test_what_differs_is_flagged_and_what_was_put_right_is_not(
    number: Resource, clock: Clock
) -> None:
    clock.sweep()
    assert (row().drift, row().drifted_at) == ([], None)
    number.settings["VoiceUrl"] = THEIRS
    clock.sweep()
    assert row().drift == ["voice_url"]
    assert row().actual["voice_url"] == THEIRS
    assert row().drifted_at is not None
    number.settings["VoiceUrl"] = row().wanted["voice_url"]
    clock.sweep()
    assert (row().drift, row().drifted_at) == ([], None)


def test_the_flag_repairs_nothing(number: Resource, clock: Clock, twilio: TwilioStandIn) -> None:
    number.settings["VoiceUrl"] = THEIRS
    clock.sweep()
    assert number.settings["VoiceUrl"] == THEIRS
    assert len(twilio.asked("numbers.update")) == 1


def test_an_application_that_takes_the_calls_is_drift(number: Resource, clock: Clock) -> None:
    number.settings["VoiceApplicationSid"] = "AP" + "1" * 32
    clock.sweep()
    assert row().drift == ["voice_application_sid"]


def test_other_settings_of_the_number_are_none_of_ours(number: Resource, clock: Clock) -> None:
    number.settings |= {"SmsUrl": THEIRS, "FriendlyName": "Berlin"}
    clock.sweep()
    assert (row().drift, row().friendly_name) == ([], "Berlin")


def test_each_drift_is_told_once_and_its_repair(
    number: Resource, clock: Clock, endpoint: Endpoint, config: TwilioConfig
) -> None:
    for _ in range(2):
        number.settings["VoiceUrl"] = THEIRS
        clock.sweep()
        number.settings["VoiceMethod"] = "GET"
        clock.sweep()
        number_repair(Change(config.account, number.sid, Actor()))
    assert told() == ["number.drifted", "number.repaired"] * 2
    first = Event.objects.order_by("created_at")[0].data
    assert first["fields"] == ["voice_url"]
    assert (first["number"], first["phone_number_sid"]) == ("+14155550100", number.sid)
    assert first["actual"] == {"voice_url": THEIRS}
    assert first["wanted"] == {"voice_url": row().wanted["voice_url"]}


def test_a_number_that_nobody_answers_any_more_was_not_repaired(
    number: Resource, clock: Clock, endpoint: Endpoint, config: TwilioConfig
) -> None:
    number.settings["VoiceUrl"] = THEIRS
    clock.sweep()
    number_unassign(Change(config.account, number.sid, Actor()))
    assert told() == ["number.drifted"]
    assert row().drift == []


def test_another_public_url_is_drift_everywhere(
    number: Resource, clock: Clock, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://new.example.com"
    clock.sweep()
    assert row().drift == ["voice_url", "voice_fallback_url", "status_callback"]
    assert row().wanted["voice_url"].startswith("https://new.example.com/")


def test_a_number_that_twilio_lists_no_more_is_flagged_and_comes_back(
    number: Resource, clock: Clock, twilio: TwilioStandIn, endpoint: Endpoint
) -> None:
    twilio.world.numbers.pop(number.sid)
    clock.sweep()
    assert row().drift == [GONE]
    gone_at = row().gone_at
    assert gone_at is not None
    clock.sweep()
    assert row().gone_at == gone_at
    twilio.world.numbers[number.sid] = number
    clock.sweep()
    assert (row().drift, row().gone_at) == ([], None)
    assert told() == ["number.drifted", "number.repaired"]


def test_a_gone_number_without_a_bot_is_forgotten(
    connection: TwilioConnection, clock: Clock, twilio: TwilioStandIn
) -> None:
    made = twilio.add_number("+12025550143")
    clock.sweep()
    twilio.world.numbers.pop(made.sid)
    clock.sweep()
    assert not PhoneNumber.objects.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda twilio: twilio.drills.fails(503, operation="numbers.list"),
        lambda twilio: twilio.drills.resets(operation="numbers.list"),
        lambda twilio: twilio.drills.refuses(20429, operation="numbers.list"),
    ],
)
def test_twilio_out_of_reach_flags_nothing(
    number: Resource,
    clock: Clock,
    twilio: TwilioStandIn,
    connection: TwilioConnection,
    spoil: Callable[[TwilioStandIn], None],
) -> None:
    before = row().checked_at
    twilio.world.numbers.pop(number.sid)
    spoil(twilio)
    assert clock.sweep() == 1
    assert (row().drift, row().gone_at, row().checked_at) == ([], None, before)
    connection.refresh_from_db()
    assert connection.check_error == ""


def test_a_page_that_fails_flags_nothing_of_the_others(
    number: Resource, clock: Clock, twilio: TwilioStandIn
) -> None:
    for last in range(1_000):
        twilio.add_number(f"+1202555{last:04}")
    twilio.world.numbers[number.sid] = twilio.world.numbers.pop(number.sid)  # on the second page
    twilio.drills.late(0, operation="numbers.list")
    twilio.drills.fails(503, operation="numbers.list")
    clock.sweep()
    assert (row().drift, row().gone_at) == ([], None)
    clock.sweep(LONGEST_PAUSE)
    assert PhoneNumber.objects.count() == 1_001


def test_credentials_that_stop_working_are_said_and_so_is_that_they_work_again(
    number: Resource, clock: Clock, twilio: TwilioStandIn, connection: TwilioConnection
) -> None:
    token, twilio.account.auth_token = twilio.account.auth_token, "1" * 32
    clock.sweep()
    connection.refresh_from_db()
    text = f"{rest.MEANINGS[20003].hint} (Twilio 20003)"
    assert (connection.check_error, row().check_error, row().drift) == (text, text, [])
    twilio.account.auth_token = token
    clock.sweep(LONGEST_PAUSE)
    connection.refresh_from_db()
    assert (connection.check_error, row().check_error) == ("", "")


def test_what_a_check_noted_is_not_wiped_by_a_list(
    number: Resource, clock: Clock, connection: TwilioConnection
) -> None:
    TwilioConnection.objects.update(check_error="The auth token is another account's.")
    clock.sweep()
    connection.refresh_from_db()
    assert connection.check_error == "The auth token is another account's."


def test_one_that_fails_is_asked_less_often_but_once_a_minute(
    number: Resource, clock: Clock, twilio: TwilioStandIn
) -> None:
    twilio.drills.fails(503, operation="numbers.list", times=100)
    clock.sweep()
    assert clock.sweep() == 0
    assert clock.sweep() == 1
    for _ in range(4):
        assert clock.sweep(LONGEST_PAUSE) == 1


def test_a_list_from_before_a_change_judges_nothing(
    number: Resource, clock: Clock, config: TwilioConfig
) -> None:
    number.settings["VoiceUrl"] = THEIRS
    NumberWatch.objects.update(due_at=clock.now)
    clock.sweep(SETTLING / 2)
    assert row().drift == []
    clock.sweep()
    assert row().drift == ["voice_url"]


def test_a_number_that_is_being_changed_is_left_alone(number: Resource, clock: Clock) -> None:
    number.settings["VoiceUrl"] = THEIRS
    PhoneNumber.objects.update(changing_until=clock.now + timedelta(seconds=50))
    clock.sweep()
    assert row().drift == []


def test_of_two_workers_one_asks(number: Resource, clock: Clock, twilio: TwilioStandIn) -> None:
    asked = len(twilio.asked("numbers.list"))
    clock.sweep()
    assert clock.sweep(timedelta()) == 0
    assert len(twilio.asked("numbers.list")) == asked + 1


def test_a_killed_workers_lease_ends(number: Resource, clock: Clock) -> None:
    NumberWatch.objects.update(due_at=clock.now + LEASE)
    assert clock.sweep(LEASE - timedelta(seconds=1)) == 0
    assert clock.sweep(timedelta(seconds=1)) == 1


def test_a_connection_without_an_answer_does_not_hold_up_the_others(
    number: Resource, clock: Clock, twilio: TwilioStandIn, account: Account
) -> None:
    other = twilio.world.account_add()
    given = {"account_sid": other.sid, "auth_token": other.auth_token}
    connection_create(account=account, given=given, actor=Actor())
    twilio.world.number_add(other, "+12025550143")
    twilio.drills.fails(503, operation="numbers.list")
    number.settings["VoiceUrl"] = THEIRS
    clock.sweep()
    clock.sweep(LONGEST_PAUSE)
    assert row().drift == ["voice_url"]
    assert PhoneNumber.objects.count() == 2


def test_a_number_may_move_to_another_connection(
    number: Resource, clock: Clock, twilio: TwilioStandIn, account: Account
) -> None:
    child = twilio.world.account_add(owner=twilio.account)
    given = {"account_sid": child.sid, "auth_token": child.auth_token}
    made = connection_create(account=account, given=given, actor=Actor()).connection
    number.account_sid = child.sid
    clock.sweep()
    clock.sweep()
    assert (row().connection_id, row().drift, row().gone_at) == (made.id, [], None)


def test_a_sweep_without_news_costs_the_same_however_many_numbers(
    number: Resource,
    clock: Clock,
    connection: TwilioConnection,
    twilio: TwilioStandIn,
    config: TwilioConfig,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    def cost() -> Any:
        return django_assert_max_num_queries(8)

    clock.sweep()
    with cost():
        assert clock.sweep() == 1
    for last in range(20):
        sid = twilio.add_number(f"+120255501{last:02}").sid
        PhoneNumber.objects.create(
            account=config.account, connection=connection, sid=sid, config=config
        )
    clock.sweep()
    clock.sweep()
    asked = len(twilio.asked("numbers.list"))
    with cost():
        assert clock.sweep() == 1
    assert len(twilio.asked("numbers.list")) == asked + 1
