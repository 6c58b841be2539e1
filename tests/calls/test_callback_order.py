"""What callbacks do to a call: in order, late, twice, early, lost; and what ends it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from apps.accounts.audit import Actor
from apps.accounts.models import Account, TwilioConnection
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.callback_effects import EFFECTS
from apps.calls.callback_orphans import orphans_adopt
from apps.calls.callbacks import GRACE, callbacks_apply, callbacks_sweep
from apps.calls.models import Call, CallEvent, PhoneNumber, TwilioCallback, call_id
from apps.calls.news import machine_verdict
from tests.calls.test_calls_api import make_call
from tests.calls.twilio_side import NOW, SID, arrived
from tests.conftest import BODY

Kind = TwilioCallback.Kind


@pytest.fixture
def dialled(config: TwilioConfig) -> Call:
    """A call that we have posted, and of which Twilio has not said a word."""
    assert config.current is not None
    return Call.objects.create(
        account_id=config.account_id,
        config=config,
        version=config.current,
        direction=Call.Direction.OUTBOUND,
        status=Call.Status.DIALING,
        from_number="+14155550100",
        to_number="+14155550101",
        started_at=NOW,
        posted_at=NOW,
    )


def seen(call: Call) -> Call:
    """Let what has arrived take effect, long after."""
    callbacks_sweep(now=NOW + timedelta(hours=1))
    call.refresh_from_db()
    return call


WHOLE = ("initiated", "ringing", "in-progress", "completed")


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_whatever_the_order_a_call_ends_the_same(dialled: Call, order: tuple[int, ...]) -> None:
    for number in order:
        at = NOW + timedelta(seconds=number)
        arrived(dialled, WHOLE[number], sequence=number, at=at, CallDuration="9")
        seen(dialled)
    assert (dialled.status, dialled.twilio_status) == ("completed", "completed")
    assert (dialled.end_reason, dialled.billed_s) == ("twilio_completed", 9)
    assert dialled.answered_at == NOW + timedelta(seconds=2)
    assert dialled.ended_at == NOW + timedelta(seconds=3)
    assert not TwilioCallback.objects.filter(applied_at=None).exists()


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("queued", "dialing"),
        ("initiated", "dialing"),
        ("ringing", "ringing"),
        ("in-progress", "in-progress"),
    ],
)
def test_a_call_follows_what_twilio_says(dialled: Call, told: str, status: str) -> None:
    arrived(dialled, told, sequence=0)
    assert (seen(dialled).status, dialled.twilio_status) == (status, told)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "twilio_failed"),
        ("canceled", "canceled"),
    ],
)
def test_a_call_that_nobody_took_says_why(dialled: Call, told: str, reason: str) -> None:
    arrived(dialled, told, sequence=3, SipResponseCode="486", ErrorCode="13227", CallDuration="0")
    seen(dialled)
    assert (dialled.status, dialled.end_reason) == (told, reason)
    assert (dialled.error, dialled.error_code, dialled.billed_s) == ("SIP 486", "13227", 0)


def test_a_status_never_goes_back(dialled: Call) -> None:
    arrived(dialled, "in-progress", sequence=2)
    seen(dialled)
    arrived(dialled, "ringing", sequence=1)
    assert (seen(dialled).status, dialled.twilio_status) == ("in-progress", "in-progress")


def test_a_status_without_a_number_goes_no_way_back_either(dialled: Call) -> None:
    for status in ("in-progress", "ringing"):
        arrived(dialled, status)
        seen(dialled)
    assert dialled.status == "in-progress"


def test_nothing_leaves_its_end(dialled: Call) -> None:
    arrived(dialled, "no-answer", sequence=2)
    seen(dialled)
    arrived(dialled, "completed", sequence=3, CallDuration="7")
    arrived(dialled, "in-progress", sequence=4)
    seen(dialled)
    assert (dialled.status, dialled.twilio_status, dialled.end_reason) == (
        *("no-answer", "no-answer"),
        "no_answer",
    )


def test_what_comes_after_our_own_end_fills_gaps(config: TwilioConfig) -> None:
    call = make_call(config, status="failed", end_reason="provider_failure", ended_at=NOW)
    arrived(call, "completed", sequence=3, CallDuration="12", SipResponseCode="200")
    seen(call)
    assert (call.status, call.end_reason, call.ended_at) == ("failed", "provider_failure", NOW)
    assert (call.twilio_status, call.billed_s, call.error) == ("completed", 12, "")


def test_a_call_whose_create_was_never_answered_learns_its_sid(dialled: Call) -> None:
    Call.objects.update(status=Call.Status.UNKNOWN)
    arrived(dialled, "ringing", sequence=1, CallSid="CA9", From="anonymous", To="x")
    seen(dialled)
    assert (dialled.status, dialled.call_sid) == ("ringing", "CA9")
    assert dialled.twilio_account_sid == SID
    assert (dialled.from_number, dialled.to_number) == ("+14155550100", "+14155550101")


def test_a_callback_of_another_call_is_passed_over(dialled: Call) -> None:
    Call.objects.update(call_sid="CA9")
    arrived(dialled, "failed", sequence=1)
    assert seen(dialled).status == "dialing"


def test_a_stranger_cannot_end_our_call(dialled: Call, stranger: Account) -> None:
    row = arrived(dialled, "failed", sequence=1)
    TwilioCallback.objects.filter(pk=row.pk).update(account=stranger)
    assert seen(dialled).status == "dialing"


def test_a_sid_that_another_row_has_is_not_taken_twice(dialled: Call, config: TwilioConfig) -> None:
    make_call(config, "CA1")
    arrived(dialled, "ringing", sequence=1)
    assert (seen(dialled).status, dialled.call_sid) == ("ringing", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"CallStatus": "exploded"},
        {"CallStatus": ""},
        {"CallStatus": "busy", "Timestamp": "never", "CallDuration": "long", "ErrorCode": "<b>"},
        {"CallStatus": "busy", "Timestamp": "Fri, 02 Jan 99999 03:04:05 +0000"},
        {"CallStatus": "busy", "Timestamp": "2099-01-01T00:00:00Z"},
    ],
)
def test_fields_that_make_no_sense_say_nothing(dialled: Call, fields: dict[str, str]) -> None:
    arrived(dialled, sequence=1, **fields)
    seen(dialled)
    assert dialled.status in ("dialing", "busy")
    assert dialled.ended_at in (None, NOW)
    assert (dialled.billed_s, dialled.error_code) == (None, "")


def test_a_callback_takes_effect_once(dialled: Call) -> None:
    arrived(dialled, kind=Kind.AMD, AnsweredBy="machine_start")
    assert [callbacks_apply(dialled.id, now=NOW), callbacks_apply(dialled.id, now=NOW)] == [1, 0]
    assert CallEvent.objects.count() == 1


def test_one_calls_fault_holds_up_no_other(
    dialled: Call, config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_call(config, "CA2")
    for call in (dialled, other):
        arrived(call, "ringing", sequence=1, **{"poison": "x"} if call == dialled else {})

    def effect(call: Call, callback: TwilioCallback) -> None:
        if "poison" in callback.fields:
            raise ValueError("poison")
        call.answered_by = "reached"

    monkeypatch.setitem(EFFECTS, "status", effect)
    assert callbacks_sweep(now=NOW) == 1
    other.refresh_from_db()
    assert other.answered_by == "reached"


def test_a_call_costs_few_queries_however_many_callbacks(
    dialled: Call, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        arrived(dialled, "ringing", sequence=number)
    with django_assert_max_num_queries(8):  # with the savepoint's two, and one about the SID
        callbacks_sweep(now=NOW)


# --- machines -------------------------------------------------------------------------------------


@pytest.fixture
def verdicts() -> Any:
    """What a conversation would be told."""
    found: list[str] = []

    def hear(sender: object, call: Call, **_: Any) -> None:
        found.append(call.answered_by)

    machine_verdict.connect(hear, weak=False)
    yield found
    machine_verdict.disconnect(hear)


def test_a_machine_in_mid_stream_is_told_to_the_conversation(
    dialled: Call,
    verdicts: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    arrived(dialled, kind=Kind.AMD, AnsweredBy="machine_start", MachineDetectionDuration="4200")
    with django_capture_on_commit_callbacks(execute=True):
        seen(dialled)
    assert dialled.answered_by == "machine_start"
    event = CallEvent.objects.get()
    assert (event.kind, event.data) == (
        "machine_detection",
        {"answered_by": "machine_start", "duration_ms": 4200},
    )
    assert verdicts == ["machine_start"]


def test_a_verdict_after_the_end_is_kept_and_told_to_nobody(
    dialled: Call,
    verdicts: list[str],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    arrived(dialled, "busy", sequence=2)
    arrived(dialled, kind=Kind.AMD, AnsweredBy="fax")
    with django_capture_on_commit_callbacks(execute=True):
        seen(dialled)
    assert (dialled.answered_by, verdicts) == ("fax", [])


def test_a_verdict_that_comes_with_the_status_counts_too(dialled: Call) -> None:
    arrived(dialled, "in-progress", sequence=2, AnsweredBy="human")
    assert seen(dialled).answered_by == "human"


# --- streams and recordings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code", "name"),
    [
        ("31920 - Stream - WebSocket - Handshake Error", 31920, "handshake_error"),
        ("Error code: 31931.", 31931, "media_discarded"),
        ("WebSocket broke", 0, "unknown"),
        ("", 0, "unknown"),
        ("131920 31999", 0, "unknown"),
    ],
)
def test_what_went_wrong_with_a_stream_is_said(
    config: TwilioConfig, said: str, code: int, name: str
) -> None:
    call = make_call(config)
    arrived(call, kind=Kind.STREAM, StreamEvent="stream-error", StreamError=said, StreamSid="MZ1")
    seen(call)
    event = CallEvent.objects.get()
    assert event.kind == "stream.error"
    assert (event.data["code"], event.data["name"], event.data["said"]) == (code, name, said)
    assert event.data["meaning"]


def test_a_stream_that_begins_or_stops_is_no_event(config: TwilioConfig) -> None:
    call = make_call(config)
    for event in ("stream-started", "stream-stopped", "stream-"):
        arrived(call, kind=Kind.STREAM, StreamEvent=event)
    seen(call)
    assert not CallEvent.objects.exists()
    assert call.status == "in-progress"


def test_twilios_own_recording_is_noted(config: TwilioConfig) -> None:
    call = make_call(config)
    arrived(call, kind=Kind.RECORDING, RecordingSid="RE1", RecordingDuration="9", RecordingUrl="u")
    seen(call)
    assert CallEvent.objects.get().data == {
        **{"recording_sid": "RE1", "status": "", "url": "u"},
        **{"duration_s": 9, "channels": None},
    }


# --- the end of a conversation, and the end of its call -------------------------------------------


def streaming(call: Call) -> None:
    Call.objects.update(stream_sid="MZ1")


def passed(call: Call) -> None:
    Call.objects.update(attempts=1)


def started(call: Call) -> None:
    arrived(call, kind=Kind.STREAM, StreamEvent="stream-started")
    seen(call)


@pytest.mark.parametrize("evidence", [streaming, passed, started])
def test_a_calls_end_waits_for_its_conversations(
    dialled: Call, evidence: Callable[[Call], None]
) -> None:
    evidence(dialled)
    arrived(dialled, "completed", sequence=3, CallDuration="9")
    callbacks_sweep(now=NOW + GRACE / 2)
    dialled.refresh_from_db()
    assert (dialled.status, dialled.billed_s) == ("dialing", None)
    callbacks_sweep(now=NOW + GRACE)
    dialled.refresh_from_db()
    assert (dialled.status, dialled.billed_s) == ("completed", 9)


def test_a_call_without_a_conversation_ends_at_once(dialled: Call) -> None:
    arrived(dialled, "completed", sequence=3)
    callbacks_sweep(now=NOW)
    dialled.refresh_from_db()
    assert dialled.status == "completed"


def test_a_strangers_stream_holds_nothing_up(dialled: Call, stranger: Account) -> None:
    started(dialled)
    TwilioCallback.objects.update(account=stranger)
    arrived(dialled, "completed", sequence=3)
    callbacks_sweep(now=NOW)
    dialled.refresh_from_db()
    assert dialled.status == "completed"


# --- calls that only Twilio knows -----------------------------------------------------------------


@pytest.fixture
def number(config: TwilioConfig) -> PhoneNumber:
    """A number of ours, with a bot."""
    connection = TwilioConnection.objects.create(
        account_id=config.account_id, name="Ours", account_sid=SID
    )
    return PhoneNumber.objects.create(
        account_id=config.account_id,
        connection=connection,
        sid="PN1",
        number="+14155550100",
        config=config,
    )


def unknown_call(config: TwilioConfig, sid: str = "CA7") -> Call:
    """A call without a row."""
    made = call_id(account_id=config.account_id, call_sid=sid)
    return Call(id=made, account_id=config.account_id, call_sid=sid)


def test_a_caller_who_gave_up_while_it_rang_leaves_a_call(
    config: TwilioConfig, number: PhoneNumber
) -> None:
    call = unknown_call(config)
    told = {"Direction": "inbound", "From": "+14155550199", "To": number.number}
    arrived(call, "no-answer", CallDuration="0", **told)
    assert orphans_adopt(now=NOW) == 1
    callbacks_sweep(now=NOW)
    found = Call.objects.get()
    assert (found.id, found.status, found.config_id) == (call.id, "no-answer", config.id)
    assert (found.direction, found.from_number, found.to_number) == (
        *("inbound", "+14155550199"),
        number.number,
    )
    assert found.connection_id == number.connection_id


def test_an_unknown_call_is_adopted_once(config: TwilioConfig, number: PhoneNumber) -> None:
    for status in ("in-progress", "completed"):
        arrived(unknown_call(config), status, To=number.number, CallDuration="60")
    orphans_adopt(now=NOW)
    orphans_adopt(now=NOW)
    callbacks_sweep(now=NOW)
    assert Call.objects.get().status == "completed"


@pytest.mark.parametrize("to", ["+14155550111", ""])
def test_a_call_of_no_bot_is_kept_for_a_day(
    config: TwilioConfig, number: PhoneNumber, to: str
) -> None:
    arrived(unknown_call(config), "completed", To=to)
    assert orphans_adopt(now=NOW + timedelta(hours=23)) == 0
    assert orphans_adopt(now=NOW + timedelta(hours=25)) == 1
    assert not TwilioCallback.objects.exists()
    assert not Call.objects.exists()


def test_a_strangers_number_adopts_nothing(
    config: TwilioConfig, number: PhoneNumber, stranger: Account
) -> None:
    row = arrived(unknown_call(config), "completed", To=number.number)
    TwilioCallback.objects.filter(pk=row.pk).update(account=stranger)
    assert orphans_adopt(now=NOW) == 0


def test_a_number_that_a_stranger_has_too_is_ours_for_our_calls(
    config: TwilioConfig, stranger: Account, number: PhoneNumber
) -> None:
    theirs = config_create(account=stranger, draft=draft_read(BODY), actor=Actor())
    PhoneNumber.objects.create(
        id=uuid.UUID(int=0),
        account=stranger,
        connection=number.connection,
        sid="PN0",
        number=number.number,
        config=theirs,
    )
    arrived(unknown_call(config), "no-answer", To=number.number)
    orphans_adopt(now=NOW)
    assert Call.objects.get().config_id == config.id


def test_a_row_that_is_gone_is_not_made_again(config: TwilioConfig, number: PhoneNumber) -> None:
    arrived(Call(id=uuid.uuid4(), account_id=config.account_id), "completed", To=number.number)
    assert orphans_adopt(now=NOW) == 0


def test_a_callback_that_is_early_waits_for_its_call(config: TwilioConfig) -> None:
    arrived(unknown_call(config, "CA1"), "completed", CallDuration="5")
    assert callbacks_sweep(now=NOW) == 0
    call = make_call(config, "CA1")
    assert (seen(call).status, call.billed_s) == ("completed", 5)


def test_a_sweep_looks_at_no_call_that_has_no_news(
    dialled: Call, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        callbacks_sweep(now=NOW)
