"""Several workers and gateways at one call in the same moment: PostgreSQL's locks, for real."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Account, TwilioConnection
from apps.accounts.twilio import ask
from apps.bots.models import TwilioConfig
from apps.calls.callbacks import callbacks_sweep
from apps.calls.models import Call, CallEvent, TwilioCallback
from apps.calls.reaping import calls_reap
from apps.calls.reaping_rules import RESUMES
from apps.calls.services import entries_write
from apps.telephony import rest
from apps.webhooks.models import Event
from tests.calls.test_call_ends import journal_of, listens
from tests.calls.test_calls_api import make_call
from tests.calls.test_reaping import Wakeful
from tests.calls.twilio_side import NOW, arrived, signs, tell
from tests.support.twilio import TwilioStandIn

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer"),
]

WORKERS = 8


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run these in threads that start together; return what came of them."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait(30)
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture
def calls(config: TwilioConfig) -> Iterator[list[Call]]:
    """Ten calls that are on."""
    listens(config.account_id)
    yield [make_call(config, f"CA{number}") for number in range(10)]


def test_a_callback_takes_effect_once_however_many_workers(calls: list[Call]) -> None:
    for call in calls:
        arrived(call, kind=TwilioCallback.Kind.AMD, AnsweredBy="machine_start")
        arrived(call, "completed", sequence=3, CallDuration="3")
    at_once(*[lambda: callbacks_sweep(now=NOW + timedelta(hours=1))] * WORKERS)
    assert CallEvent.objects.filter(kind="machine_detection").count() == len(calls)
    assert Event.objects.filter(kind="call.ended").count() == len(calls)
    assert set(Call.objects.values_list("status", "billed_s")) == {("completed", 3)}


def test_a_delivery_is_kept_once_however_often_it_comes_at_once(account: Account) -> None:
    signs(account)

    def post() -> int:
        answer = tell(Client(), account, "/twilio/status", CallSid="CA1", SequenceNumber="0")
        return int(answer.status_code)

    assert at_once(*[post] * WORKERS) == [204] * WORKERS
    assert TwilioCallback.objects.count() == 1


def test_a_call_ends_once_whoever_ends_it(config: TwilioConfig) -> None:
    listens(config.account_id)
    late = NOW + timedelta(hours=1)
    for number in range(10):
        call = make_call(config, f"CA{number}", stream_sid="MZ1", attempts=1)
        arrived(call, "completed", sequence=3, CallDuration="3")
        finished = journal_of(config, call.id)[2]
        at_once(
            lambda: callbacks_sweep(now=late),
            lambda entries=[finished]: entries_write(entries),  # type: ignore[misc]
            lambda: calls_reap(now=late, vigil=Wakeful()),
            lambda: callbacks_sweep(now=late),
        )
        call.refresh_from_db()
        assert call.status == "completed"
        told = Event.objects.filter(kind="call.ended", data__call__id=str(call.id))
        assert [event.data["call"]["end_reason"] for event in told] == [call.end_reason]


def test_gateways_that_write_of_the_same_calls_wait_for_each_other(config: TwilioConfig) -> None:
    calls = [make_call(config, f"CA{number}") for number in range(10)]

    def write(some: list[Call]) -> None:
        entries_write([entry for call in some for entry in journal_of(config, call.id)[:1]])

    for _ in range(5):
        at_once(lambda: write(calls), lambda: write(calls[::-1]), lambda: callbacks_sweep(now=NOW))
    assert set(Call.objects.values_list("status", flat=True)) == {"in-progress"}


def test_of_several_reapers_one_hangs_up(
    config: TwilioConfig, twilio: TwilioStandIn, settings: Settings
) -> None:
    settings.TWILIO_API_URL = twilio.url
    ours = TwilioConnection.objects.create(
        account_id=config.account_id, name="Ours", account_sid=twilio.sid, auth_token=twilio.token
    )
    twilio.add_number("+14155550100")
    twilio.account.limits.live = None
    values = {"stream_sid": "MZ1", "stream_ended_at": NOW, "end_reason": "connection_lost"}
    created = {"To": "+12025550143", "From": "+14155550100", "Url": "https://a.example/"}
    for _ in range(6):
        sid = ask(ours, rest.call_create(ours.account_sid, created))["sid"]
        twilio.moves(sid, "in-progress")
        make_call(config, sid, connection=ours, gateway=uuid.uuid4(), **values)

    done = at_once(*[lambda: calls_reap(now=NOW + RESUMES, vigil=Wakeful())] * WORKERS)
    assert sum(done) == 6
    assert len(twilio.asked("calls.update")) == 6
    assert {call.status for call in twilio.calls} == {"completed"}
    assert set(Call.objects.values_list("end_reason", flat=True)) == {"connection_lost"}
    assert CallEvent.objects.filter(kind="reaped").count() == 6
