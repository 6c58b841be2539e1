"""What somebody should look at, and who is told of it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import CallEvent, CountedHour, GatewayProcess, PhoneNumber
from apps.calls.statistics.alarms import Alarm, AlarmKind, alarms
from apps.calls.statistics.counting import hours_count
from apps.webhooks.models import Delivery, Endpoint, Event
from apps.webhooks.signing import secret_new
from tests.calls.test_calls_api import make_call

NOW = datetime(2026, 1, 2, 15, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(account: Account) -> list[Alarm]:
    return alarms([account.id], now=NOW)


def kinds(account: Account) -> list[AlarmKind]:
    return [alarm.kind for alarm in told(account)]


def happened(config: TwilioConfig, kind: str, data: Any, *ages: timedelta) -> None:
    call = make_call(config, f"CA{uuid.uuid4().hex}")
    for age in ages:
        CallEvent.objects.create(call=call, at=NOW - age, kind=kind, data=data)


@pytest.fixture
def twilio_project(account: Account) -> TwilioConnection:
    return TwilioConnection.objects.create(account=account, account_sid="AC1", name="Main")


def number(connection: TwilioConnection, config: TwilioConfig | None, **values: Any) -> PhoneNumber:
    return PhoneNumber.objects.create(
        account_id=connection.account_id,
        connection=connection,
        config=config,
        sid=f"PN{PhoneNumber.objects.count()}",
        number=f"+1415555010{PhoneNumber.objects.count()}",
        **values,
    )


def endpoint(account: Account, **values: Any) -> Endpoint:
    return Endpoint.objects.create(
        account=account, url="https://a.example", secret=secret_new(), **values
    )


def test_where_all_is_well_there_is_no_alarm(
    account: Account, config: TwilioConfig, twilio_project: TwilioConnection
) -> None:
    number(twilio_project, config)
    endpoint(account)
    assert told(account) == []


def test_vendors_that_fail_are_counted_by_name_and_reason(
    account: Account, config: TwilioConfig
) -> None:
    timeout = {"provider": "openai", "reason": "timeout"}
    happened(config, "provider.failed", timeout, MINUTE, 2 * MINUTE)
    happened(config, "provider.failed", {"provider": "cartesia", "reason": "x"}, 30 * MINUTE)
    happened(config, "provider.mute", {"phase": "thinking"}, MINUTE)
    happened(config, "provider.missing", {"provider": "llm openai"}, 50 * MINUTE)
    happened(config, "provider.failed", timeout, 61 * MINUTE)
    happened(config, "mark.lost", {}, MINUTE)
    assert [(a.kind, a.count, [*a.names], a.detail, a.is_going_on) for a in told(account)] == [
        (AlarmKind.PROVIDER_FAILED, 2, ["openai"], "timeout", True),
        (AlarmKind.PROVIDER_MUTE, 1, [], "thinking", True),
        (AlarmKind.PROVIDER_FAILED, 1, ["cartesia"], "x", False),
        (AlarmKind.PROVIDER_MISSING, 1, ["llm openai"], "", False),
    ]
    assert told(account)[0].latest == NOW - MINUTE


def test_a_vendor_that_a_fallback_serves_for_is_an_alarm_of_its_own(
    account: Account, config: TwilioConfig
) -> None:
    revoked = {"slot": "llm", "from": "openai/gpt", "to": "groq/llama", "reason": "auth"}
    happened(config, "provider.switched", revoked, MINUTE, 2 * MINUTE)
    happened(config, "provider.failed", {"provider": "deepgram", "reason": "timeout"}, MINUTE)
    # Told as provider.missing, too.
    missing = {"slot": "tts", "from": "cartesia", "to": "local", "reason": "missing"}
    happened(config, "provider.switched", missing, MINUTE)
    assert [(a.kind, a.count, [*a.names], a.detail, a.is_going_on) for a in told(account)] == [
        (AlarmKind.PROVIDER_FAILED, 1, ["deepgram"], "timeout", True),
        (AlarmKind.PROVIDER_SWITCHED, 2, ["openai/gpt"], "auth", True),
    ]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="an empty table is read as a whole")
def test_what_vendors_did_not_do_is_looked_for_in_an_index(account: Account) -> None:
    with CaptureQueriesContext(connection) as seen, connection.cursor() as cursor:
        told(account)
        (asked,) = [one["sql"] for one in seen if "provider.switched" in one["sql"]]
        cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
        assert "events_by_kind" in str(cursor.fetchall())


def test_a_connection_whose_check_failed_says_why(
    account: Account, twilio_project: TwilioConnection
) -> None:
    TwilioConnection.objects.update(check_error="Twilio knows no such token.")
    (alarm,) = told(account)
    assert (alarm.kind, alarm.names) == (AlarmKind.CONNECTION_FAILED, ("Main",))
    assert alarm.detail == "Twilio knows no such token."


def test_numbers_that_lead_elsewhere_are_named(
    account: Account, config: TwilioConfig, twilio_project: TwilioConnection
) -> None:
    for _ in range(4):
        number(twilio_project, config, drifted_at=NOW)
    gone = number(twilio_project, config, drifted_at=NOW, gone_at=NOW)
    number(twilio_project, config, check_error="x")
    # Nobody wants anything of it.
    number(twilio_project, None, check_error="x")
    found = {alarm.kind: alarm for alarm in told(account)}
    assert found[AlarmKind.NUMBER_DRIFTED].count == 4
    assert len(found[AlarmKind.NUMBER_DRIFTED].names) == 3
    assert [*found[AlarmKind.NUMBER_GONE].names] == [gone.number]
    assert found[AlarmKind.NUMBER_UNCHECKED].count == 1


def test_an_endpoint_that_is_gone_is_an_alarm_and_one_that_was_switched_off_is_not(
    account: Account,
) -> None:
    endpoint(account, enabled=False, disabled_reason="request")
    assert told(account) == []
    endpoint(account, enabled=False, disabled_reason="gone")
    assert kinds(account) == [AlarmKind.ENDPOINT_DISABLED]


def test_deliveries_that_were_given_up_lately_are_an_alarm(account: Account) -> None:
    event = Event.objects.create(account=account, kind="call.ended")
    delivery = Delivery.objects.create(
        event=event, endpoint=endpoint(account), due_at=NOW, created_at=NOW, status="dead"
    )
    assert kinds(account) == [AlarmKind.DELIVERIES_DEAD]
    Delivery.objects.filter(pk=delivery.pk).update(created_at=NOW - timedelta(hours=25))
    assert told(account) == []


def test_a_stranger_is_told_of_nothing_of_ours(
    account: Account, stranger: Account, config: TwilioConfig, twilio_project: TwilioConnection
) -> None:
    happened(config, "provider.failed", {"provider": "openai", "reason": "timeout"}, MINUTE)
    number(twilio_project, config, drifted_at=NOW)
    endpoint(account, disabled_reason="gone")
    TwilioConnection.objects.update(check_error="x")
    assert len(told(account)) == 4
    assert told(stranger) == []
    assert alarms([], now=NOW) == []


def test_the_servers_processes_are_the_business_of_who_sees_all(account: Account) -> None:
    assert told(account) == []
    assert [alarm.kind for alarm in alarms(None, now=NOW)] == [
        AlarmKind.NO_GATEWAY,
        AlarmKind.NO_WORKER,
    ]


def test_a_worker_that_counted_the_hours_is_at_work(db: None) -> None:
    hours_count(now=NOW)
    GatewayProcess.objects.create(started_at=Now(), beat_at=Now())
    assert alarms(None, now=NOW + 4 * MINUTE) == []
    (alarm,) = alarms(None, now=NOW + 6 * MINUTE)
    assert (alarm.kind, alarm.latest) == (AlarmKind.NO_WORKER, NOW)
    assert CountedHour.objects.exists()


def test_a_gateway_that_is_silent_among_others_is_told(db: None) -> None:
    hours_count(now=NOW)
    GatewayProcess.objects.create(started_at=Now(), beat_at=Now())
    GatewayProcess.objects.create(started_at=NOW, beat_at=NOW)
    (alarm,) = alarms(None, now=NOW)
    assert (alarm.kind, alarm.count, alarm.latest) == (AlarmKind.GATEWAY_SILENT, 1, NOW)


def test_it_takes_few_queries(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(5):
        told(account)
    with django_assert_num_queries(7):
        alarms(None, now=NOW)
