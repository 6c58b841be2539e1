"""The reaper: which calls it takes for lost, how it ends them, and that it does so once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.models import TwilioConnection
from apps.accounts.twilio import ask
from apps.bots.models import TwilioConfig
from apps.calls import reaping
from apps.calls.callbacks import callbacks_sweep
from apps.calls.models import Call, CallEvent, GatewayProcess, StreamPass, TwilioCallback
from apps.calls.processes import LOST_AFTER, process_beat, process_end, pulse_take
from apps.calls.reaping import GIVE_UP, LEASE, Vigil, calls_reap
from apps.calls.reaping_rules import LONGEST, LOOK_EVERY, RESUMES, RINGS, TRANSFER
from apps.calls.retention import traces_purge
from apps.telephony import rest
from tests.calls.test_calls_api import make_call
from tests.calls.twilio_side import NOW, arrived
from tests.support.twilio import TwilioStandIn

SECOND = timedelta(seconds=1)


class Wakeful(Vigil):
    """A vigil that has lasted long enough."""

    def watch(self, look: Callable[[], Any]) -> Any:
        return look()


def reap(at: datetime = NOW) -> int:
    return calls_reap(now=at, vigil=Wakeful())


@pytest.fixture
def connection(config: TwilioConfig, twilio: TwilioStandIn, settings: Settings) -> TwilioConnection:
    """Our Twilio, which the stand-in is."""
    settings.TWILIO_API_URL = twilio.url
    return TwilioConnection.objects.create(
        account_id=config.account_id,
        name="Ours",
        account_sid=twilio.sid,
        auth_token=twilio.token,
    )


MakeCall = Callable[..., Call]


@pytest.fixture
def at_twilio(
    config: TwilioConfig, connection: TwilioConnection, twilio: TwilioStandIn
) -> MakeCall:
    """A call that is live at Twilio's too; the arguments are its row's."""

    def make(twilio_status: str = "in-progress", /, **values: Any) -> Call:
        twilio.add_number(f"+1415555{len(twilio.calls):04}")
        created = {
            "To": "+12025550143",
            "From": f"+1415555{len(twilio.calls):04}",
            "Url": "https://voice.example.com/twilio/voice/1",
        }
        sid = ask(connection, rest.call_create(connection.account_sid, created))["sid"]
        if twilio_status != "queued":
            twilio.moves(sid, twilio_status)
        row = {"connection": connection, "answered_at": NOW, "started_at": NOW, **values}
        return make_call(config, sid, **row)

    return make


def alive(process: uuid.UUID, at: datetime = NOW) -> uuid.UUID:
    GatewayProcess.objects.update_or_create(
        pk=process, defaults={"host": "a", "started_at": NOW, "beat_at": at}
    )
    return process


def hung_up(twilio: TwilioStandIn) -> int:
    return len(twilio.asked("calls.update"))


def shown(call: Call) -> tuple[str, str]:
    call.refresh_from_db()
    return call.status, call.end_reason


# --- who is looked after --------------------------------------------------------------------------


def test_a_call_with_a_living_gateway_is_left_alone(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    call = at_twilio(gateway=alive(uuid.uuid4()), stream_sid="MZ1", cap_at=NOW + 600 * SECOND)
    assert reap(NOW + LOST_AFTER) == 0
    assert shown(call) == ("in-progress", "")
    assert hung_up(twilio) == 0


def test_a_call_whose_gateway_is_gone_is_hung_up(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    call = at_twilio(gateway=alive(uuid.uuid4()), stream_sid="MZ1")
    assert reap(NOW + LOST_AFTER + SECOND) == 1
    assert shown(call) == ("completed", "gateway_lost")
    assert twilio.call.status == "completed"
    event = CallEvent.objects.get()
    assert (event.kind, event.data) == ("reaped", {"reason": "gateway_lost", "asked_twilio": True})


def test_a_call_whose_gateway_nobody_knows_is_hung_up(at_twilio: MakeCall) -> None:
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    assert reap() == 1
    assert shown(call) == ("completed", "gateway_lost")


def test_a_caller_who_is_back_at_another_gateway_stays(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    alive(uuid.uuid4(), NOW - timedelta(minutes=1))
    call = at_twilio(gateway=alive(uuid.uuid4()), stream_sid="MZ2", attempts=2)
    assert reap() == 0
    assert shown(call) == ("in-progress", "")


@pytest.mark.parametrize("reason", ["connection_lost", "shutdown", "line_stuck", "internal_error"])
def test_a_caller_who_does_not_come_back_is_given_up(
    at_twilio: MakeCall, twilio: TwilioStandIn, reason: str
) -> None:
    call = at_twilio(stream_sid="MZ1", stream_ended_at=NOW, end_reason=reason)
    assert reap(NOW + RESUMES - SECOND) == 0
    assert reap(NOW + RESUMES) == 1
    assert shown(call) == ("completed", reason)
    assert twilio.call.status == "completed"


@pytest.mark.parametrize(
    ("asked", "patience_s"), [({}, 30), ({"machine_detection": {"mode": "sync"}}, 60)]
)
def test_an_answered_call_without_a_stream_is_hung_up(
    at_twilio: MakeCall, twilio: TwilioStandIn, asked: dict[str, str], patience_s: int
) -> None:
    call = at_twilio(asked=asked)
    assert reap(NOW + (patience_s - 1) * SECOND) == 0
    assert reap(NOW + patience_s * SECOND) == 1
    assert shown(call) == ("completed", "reaped_no_stream")
    assert twilio.call.status == "completed"


def test_a_call_past_its_cap_is_hung_up(at_twilio: MakeCall, twilio: TwilioStandIn) -> None:
    gateway = alive(uuid.uuid4())
    call = at_twilio(gateway=gateway, stream_sid="MZ1", cap_at=NOW + SECOND)
    assert reap(NOW) == 0
    assert reap(NOW + SECOND) == 1
    assert shown(call) == ("completed", "reaped_cap")
    assert twilio.call.status == "completed"


def test_no_call_lives_longer_than_a_day_and_an_hour(at_twilio: MakeCall) -> None:
    call = at_twilio(gateway=alive(uuid.uuid4(), NOW + LONGEST), stream_sid="MZ1")
    assert reap(NOW + LONGEST - SECOND) == 0
    assert reap(NOW + LONGEST) == 1
    assert shown(call) == ("completed", "reaped_cap")


def transferred(at_twilio: MakeCall) -> Call:
    return at_twilio(
        stream_sid="MZ1", stream_ended_at=NOW, end_reason="transferred", cap_at=NOW + 600 * SECOND
    )


def test_two_humans_who_talk_are_not_disturbed(at_twilio: MakeCall, twilio: TwilioStandIn) -> None:
    call = transferred(at_twilio)
    assert reap(NOW + timedelta(hours=1)) == 0
    assert shown(call) == ("in-progress", "transferred")
    assert hung_up(twilio) == 0
    assert call.reap_at == NOW + timedelta(hours=1) + LOOK_EVERY


def test_the_end_of_a_transfer_that_nobody_told_is_found_out(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    call = transferred(at_twilio)
    twilio.moves(twilio.call, "completed")
    assert reap(NOW + LOOK_EVERY) == 1
    assert shown(call) == ("completed", "transferred")


def test_a_transfer_ends_with_twilios_own_limit(at_twilio: MakeCall, twilio: TwilioStandIn) -> None:
    call = transferred(at_twilio)
    assert reap(NOW + TRANSFER) == 1
    assert shown(call) == ("completed", "reaped_cap")
    assert twilio.call.status == "completed"


@pytest.mark.parametrize("status", ["dialing", "ringing"])
def test_a_dialled_call_that_nobody_answers_is_asked_about_and_not_ended(
    at_twilio: MakeCall, twilio: TwilioStandIn, status: str
) -> None:
    # It may have waited in Twilio's queue till now.
    call = at_twilio("queued", status=status, direction="outbound", posted_at=NOW, answered_at=None)
    assert reap(NOW + RINGS) == 0
    assert shown(call)[0] == status
    twilio.moves(twilio.call, "no-answer")
    assert reap(NOW + RINGS + LOOK_EVERY) == 1
    assert shown(call) == ("no-answer", "no_answer")


def test_an_answer_that_nobody_told_is_found_out(at_twilio: MakeCall) -> None:
    call = at_twilio(status="ringing", direction="outbound", posted_at=NOW, answered_at=None)
    reap(NOW + RINGS)
    assert shown(call)[0] == "in-progress"
    assert call.answered_at == NOW + RINGS


def test_a_call_that_came_in_and_never_streamed_is_closed(at_twilio: MakeCall) -> None:
    call = at_twilio("ringing", status="ringing", answered_at=None)
    assert reap(NOW + timedelta(seconds=59)) == 0
    assert reap(NOW + timedelta(seconds=60)) == 1
    assert shown(call) == ("canceled", "reaped_no_stream")


@pytest.mark.parametrize("status", ["scheduled", "queued"])
def test_a_call_that_is_not_dialled_yet_is_the_diallers(at_twilio: MakeCall, status: str) -> None:
    at_twilio("queued", status=status, direction="outbound", answered_at=None)
    assert reap(NOW + 2 * LONGEST) == 0


def test_a_dialled_call_without_a_sid_is_the_diallers(config: TwilioConfig) -> None:
    call = make_call(config, "", status="unknown", direction="outbound", posted_at=NOW)
    assert reap(NOW + RINGS) == 0
    assert reap(NOW + LONGEST) == 1
    assert shown(call) == ("canceled", "reaped_cap")


# --- how it ends ----------------------------------------------------------------------------------


def test_a_call_that_is_over_at_twilios_takes_its_status(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    twilio.moves(twilio.call, "completed")
    assert reap() == 1
    assert shown(call) == ("completed", "gateway_lost")
    assert call.twilio_status == "completed"
    assert call.billed_s is not None
    assert hung_up(twilio) == 0


def test_a_call_that_ends_between_look_and_hang_up_is_done(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    twilio.drills.refuses(21220, operation="calls.update")
    assert reap() == 1
    assert shown(call) == ("completed", "gateway_lost")


def test_a_call_that_twilio_does_not_know_is_done(at_twilio: MakeCall) -> None:
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    Call.objects.update(call_sid="CA" + "0" * 32)
    assert reap() == 1
    assert shown(call) == ("completed", "gateway_lost")


@pytest.mark.parametrize("operation", ["calls.get", "calls.update"])
def test_a_twilio_that_fails_is_asked_again(
    at_twilio: MakeCall, twilio: TwilioStandIn, operation: str
) -> None:
    call = at_twilio(stream_sid="MZ1", stream_ended_at=NOW, end_reason="connection_lost")
    twilio.drills.fails(503, done=False, operation=operation)
    due = NOW + RESUMES
    assert reap(due) == 0
    assert shown(call)[0] == "in-progress"
    assert call.reap_at == due + 5 * SECOND
    assert reap(due + 4 * SECOND) == 0
    assert reap(due + 5 * SECOND) == 1
    assert shown(call) == ("completed", "connection_lost")
    assert twilio.call.status == "completed"


def test_it_asks_less_and_less_often(at_twilio: MakeCall, twilio: TwilioStandIn) -> None:
    call = at_twilio(stream_sid="MZ1", stream_ended_at=NOW, end_reason="connection_lost")
    twilio.drills.fails(503, done=False, operation="*", times=99)
    at, waits = NOW + RESUMES, []
    while shown(call)[0] == "in-progress":
        reap(at)
        call.refresh_from_db()
        waits.append(((call.reap_at or at) - at).total_seconds())
        at = call.reap_at or at
    assert waits == [5, 5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 0]
    assert at - NOW - RESUMES > GIVE_UP
    assert CallEvent.objects.get().data == {"reason": "connection_lost", "asked_twilio": False}


def test_a_call_that_nobody_can_hang_up_is_closed(config: TwilioConfig) -> None:
    call = make_call(config, gateway=uuid.uuid4(), stream_sid="MZ1")
    assert reap() == 1
    assert shown(call) == ("completed", "gateway_lost")


def test_the_token_of_a_bins_account_opens_the_api_too(
    config: TwilioConfig, at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    values = {"connection": None, "twilio_account_sid": twilio.sid}
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1", **values)
    TwilioConnection.objects.all().delete()
    config.account.twilio_auth_token = twilio.token
    config.account.save()
    assert reap() == 1
    assert twilio.call.status == "completed"
    assert shown(call) == ("completed", "gateway_lost")


def test_a_caller_who_is_back_while_twilio_is_asked_is_not_hung_up(
    at_twilio: MakeCall, twilio: TwilioStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = at_twilio(stream_sid="MZ1", stream_ended_at=NOW, end_reason="connection_lost")

    def and_resume(*args: Any) -> Any:
        Call.objects.update(
            stream_sid="MZ2", stream_ended_at=None, end_reason="", gateway=alive(uuid.uuid4())
        )
        return ask(*args)

    monkeypatch.setattr(reaping, "ask", and_resume)
    assert reap(NOW + RESUMES) == 0
    assert shown(call) == ("in-progress", "")
    assert hung_up(twilio) == 0


def test_what_is_claimed_is_left_to_whoever_claimed_it(
    at_twilio: MakeCall, twilio: TwilioStandIn
) -> None:
    at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1", reap_at=NOW + LEASE)
    assert reap(NOW + LEASE - SECOND) == 0
    assert reap(NOW + LEASE) == 1


def test_a_callback_in_between_ends_it_for_our_reason(at_twilio: MakeCall) -> None:
    call = at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    Call.objects.update(reap_at=NOW, end_reason="gateway_lost")
    arrived(call, "completed", sequence=3)
    callbacks_sweep(now=NOW + LEASE)
    assert shown(call) == ("completed", "gateway_lost")


def test_one_calls_fault_holds_up_no_other(
    at_twilio: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (at_twilio(gateway=uuid.uuid4(), stream_sid=f"MZ{n}") for n in range(2))

    def poisoned(connection: TwilioConnection, request: rest.Request) -> Any:
        if bad.call_sid in request.path:
            raise ValueError("poison")
        return ask(connection, request)

    monkeypatch.setattr(reaping, "ask", poisoned)
    assert reap() == 1
    assert (shown(bad)[0], shown(good)[0]) == ("in-progress", "completed")


# --- heartbeats -----------------------------------------------------------------------------------


def test_a_beat_is_by_the_databases_clock(db: None) -> None:
    process = uuid.uuid4()
    for _ in range(2):
        process_beat(process, host="a" * 300)
    assert pulse_take().alive == {process}
    assert pulse_take(now=GatewayProcess.objects.get().beat_at + LOST_AFTER + SECOND).alive == set()
    process_end(process)
    assert pulse_take().alive == set()


def test_a_reaper_that_has_just_come_believes_no_silence(at_twilio: MakeCall) -> None:
    at_twilio(gateway=uuid.uuid4(), stream_sid="MZ1")
    clock = [100.0]
    vigil = Vigil(lambda: clock[0])
    for at, closed in ((100, 0), (108, 0), (114, 0), (115, 1)):
        clock[0] = at
        assert calls_reap(now=NOW, vigil=vigil) == closed


def test_after_an_outage_of_the_database_silence_proves_nothing() -> None:
    clock = [100.0]
    vigil = Vigil(lambda: clock[0])

    def watch(at: float, look: Any = lambda: "pulse") -> Any:
        clock[0] = at
        return vigil.watch(look)

    def gone() -> Any:
        raise OSError("gone")

    assert [watch(at) for at in (100, 110, 115)] == [None, None, "pulse"]
    with pytest.raises(OSError, match="gone"):
        watch(116, gone)
    assert [watch(at) for at in (117, 127, 131.9, 132)] == [None, None, None, "pulse"]
    # A worker that stood still has not watched either.
    assert [watch(at) for at in (143, 150, 158)] == [None, None, "pulse"]


# --- what is removed ------------------------------------------------------------------------------


def test_what_nobody_needs_any_more_is_removed(config: TwilioConfig, settings: Settings) -> None:
    settings.CALLBACK_DAYS = 30
    call = make_call(config)
    for days in (29, 31):
        arrived(call, "ringing", at=NOW - timedelta(days=days), sequence=days)
    for number, days in enumerate((1, 3)):
        row = StreamPass.objects.create(call_id=call.id, attempt=number)
        StreamPass.objects.filter(pk=row.pk).update(used_at=NOW - timedelta(days=days))
    alive(uuid.uuid4(), NOW - timedelta(days=2))
    living = alive(uuid.uuid4(), NOW)
    assert traces_purge(now=NOW) == 3
    assert TwilioCallback.objects.get().sequence == 29
    assert StreamPass.objects.get().attempt == 0
    assert GatewayProcess.objects.get().id == living


def test_callbacks_are_removed_batch_by_batch(
    config: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.calls.retention.BATCH", 2)
    call = make_call(config)
    for number in range(5):
        arrived(call, "ringing", at=NOW - timedelta(days=40), sequence=number)
    arrived(call, "ringing", at=NOW, sequence=5)
    assert traces_purge(now=NOW) == 5
