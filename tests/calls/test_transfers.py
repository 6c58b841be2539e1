"""What Twilio says of a transfer: in any order, twice, too late, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from django.http import QueryDict
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.callbacks import callbacks_apply
from apps.calls.endings import call_close
from apps.calls.models import Call, CallEvent, Transfer, TwilioCallback
from apps.calls.transfer_ends import transfer_note
from apps.calls.transfers import caller_shown
from apps.telephony.signatures import SIGNATURE_HEADER, webhook_signature
from apps.webhooks.endpoints import endpoint_create
from apps.webhooks.models import Event
from tests.calls.test_calls_api import make_call
from tests.calls.twilio_side import NOW, ORIGIN, SID, TOKEN, arrived, signs

LEG = "CAleg"


@pytest.fixture
def call(config: TwilioConfig, account: Account) -> Call:
    """One whose caller is being put through."""
    signs(account)
    endpoint_create(account=account, actor=Actor(), url="https://127.0.0.1:9/events")
    values: dict[str, Any] = {
        "status": "in-progress",
        "end_reason": "transferred",
        "stream_ended_at": NOW,
    }
    return make_call(config, twilio_account_sid=SID, attempts=1, stream_sid="MZ1", **values)


@pytest.fixture
def cold(call: Call) -> Transfer:
    return Transfer.objects.create(call=call, to="+14155550100", started_at=NOW)


@pytest.fixture
def warm(call: Call) -> Transfer:
    return Transfer.objects.create(
        call=call, to="+14155550100", mode="warm", summary="Ann calls.", started_at=NOW
    )


def leg(transfer: Transfer, status: str, sequence: int, **more: str) -> TwilioCallback:
    at = NOW + timedelta(seconds=sequence)
    return arrived(
        transfer.call,
        status,
        sequence=sequence,
        at=at,
        kind=TwilioCallback.Kind.LEG,
        leg=str(transfer.pk),
        **{"CallSid": LEG, "ParentCallSid": "CA1", **more},
    )


def apply(transfer: Transfer) -> Transfer:
    callbacks_apply(transfer.call_id, now=NOW + timedelta(minutes=1))
    transfer.refresh_from_db()
    return transfer


def published() -> list[str]:
    found = Event.objects.exclude(kind="call.ended").order_by("created_at", "id")
    return sorted(event.kind for event in found)


def asks(client: Client, transfer: Transfer, path: str, sid: str = "CA1", **fields: str) -> Any:
    """Ask as Twilio does, for the TwiML of a transfer."""
    said = fields.pop("said", "")
    query = {"account": str(transfer.call.account_id), "call": str(transfer.call_id)}
    query |= {"transfer": str(transfer.pk), **({"said": said} if said else {})}
    url = f"/twilio/{path}?{urlencode(query)}"
    body = urlencode({"AccountSid": SID, "CallSid": sid, **fields})
    signature = webhook_signature(auth_token=TOKEN, url=ORIGIN + url, fields=QueryDict(body))
    return client.post(
        url,
        body,
        content_type="application/x-www-form-urlencoded",
        headers={SIGNATURE_HEADER: signature},
    )


def verbs(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [verb.tag for verb in ElementTree.fromstring(answer.content)]


def over(client: Client, transfer: Transfer, status: str = "completed", **fields: str) -> Any:
    answered = {"DialBridged": "true", "DialCallDuration": "60", "DialCallSid": LEG}
    told = answered if status == "completed" else {}
    fields = {"CallStatus": "in-progress", "DialCallStatus": status, **told, **fields}
    return asks(client, transfer, "after-dial", **fields)


# --- the leg's callbacks --------------------------------------------------------------------------

STORY = [("initiated", 0), ("ringing", 1), ("in-progress", 2), ("completed", 20)]


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (0, 0, 2, 2, 3, 3, 1)], ids=str
)
def test_the_human_is_followed_in_any_order(cold: Transfer, order: Sequence[int]) -> None:
    for place in order:
        status, sequence = STORY[place]
        leg(cold, status, sequence, **({"CallDuration": "18"} if status == "completed" else {}))
        apply(cold)
    assert (cold.status, cold.leg_sid, cold.reason) == ("completed", LEG, "")
    assert cold.answered_at == NOW + timedelta(seconds=2)
    assert cold.ended_at == NOW + timedelta(seconds=20)
    assert cold.bridged_at == cold.answered_at
    assert published() == ["call.transferred"]


def test_of_what_is_lost_the_rest_makes_the_best(cold: Transfer) -> None:
    leg(cold, "completed", 3, CallDuration="30")
    assert apply(cold).bridged_at
    assert published() == ["call.transferred"]


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_a_leg_that_was_not_answered_is_told_once(cold: Transfer, status: str) -> None:
    for _ in range(2):
        leg(cold, status, 3)
        apply(cold)
    assert (cold.status, cold.reason, cold.bridged_at) == (status, status, None)
    assert published() == ["call.transfer_failed"]
    assert CallEvent.objects.filter(kind="call.transfer_failed").count() == 1


def test_one_that_ends_at_once_raises_an_event(cold: Transfer) -> None:
    leg(cold, "in-progress", 2)
    leg(cold, "completed", 3, CallDuration="1")
    assert apply(cold).reason == "ended_early"
    assert published() == ["call.transfer_failed", "call.transferred"]


def test_a_leg_of_another_call_changes_nothing(cold: Transfer, config: TwilioConfig) -> None:
    other = make_call(config, sid="CA2", status="in-progress")
    foreign = Transfer.objects.create(call=other, to="+14155550100", started_at=NOW)
    leg(cold, "in-progress", 2, ParentCallSid="CAother")
    row = leg(cold, "in-progress", 2)
    row.fields["leg"] = str(foreign.pk)
    row.save()
    apply(cold)
    foreign.refresh_from_db()
    assert (cold.answered_at, foreign.answered_at) == (None, None)


def test_a_leg_comes_by_the_status_callback(client: Client, cold: Transfer) -> None:
    query = {"account": str(cold.call.account_id), "call": str(cold.call_id), "leg": str(cold.pk)}
    url = f"/twilio/status?{urlencode(query)}"
    body = urlencode({"AccountSid": SID, "CallSid": LEG, "CallStatus": "ringing"})
    signature = webhook_signature(auth_token=TOKEN, url=ORIGIN + url, fields=QueryDict(body))
    answer = client.post(
        url,
        body,
        content_type="application/x-www-form-urlencoded",
        headers={SIGNATURE_HEADER: signature},
    )
    assert answer.status_code == 204
    assert apply(cold).status == "ringing"


# --- the end of the <Dial> ------------------------------------------------------------------------


def test_when_both_have_spoken_the_call_is_over(client: Client, cold: Transfer) -> None:
    for _ in range(2):
        assert verbs(over(client, cold)) == ["Hangup"]
    call = Call.objects.get()
    assert (call.status, call.end_reason) == ("completed", "transferred")
    cold.refresh_from_db()
    assert (cold.status, cold.leg_sid) == ("completed", LEG)
    assert published() == ["call.transferred"]


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_the_caller_is_brought_back_however_often_twilio_asks(
    client: Client, cold: Transfer, status: str
) -> None:
    Call.objects.update(cap_at=NOW + timedelta(hours=4))
    for _ in range(2):
        assert verbs(over(client, cold, status)) == ["Connect", "Hangup"]
    call = Call.objects.get()
    assert (call.status, call.end_reason, call.cap_at) == ("in-progress", "", None)
    assert published() == ["call.transfer_failed"]
    assert transfer_note(call)


def test_a_human_who_did_not_wait_for_the_caller_has_declined(
    client: Client, warm: Transfer
) -> None:
    assert verbs(asks(client, warm, "whisper", sid=LEG)) == ["Say", "Redirect"]
    assert verbs(over(client, warm, DialBridged="false", DialCallDuration="")) == [
        "Connect",
        "Hangup",
    ]
    warm.refresh_from_db()
    assert (warm.reason, warm.bridged_at) == ("declined", None)


def test_a_connection_that_ended_at_once_is_no_conversation(client: Client, cold: Transfer) -> None:
    assert "Connect" in verbs(over(client, cold, DialCallDuration="2"))
    cold.refresh_from_db()
    assert cold.reason == "ended_early"


def test_a_caller_who_left_is_not_brought_back(client: Client, cold: Transfer) -> None:
    answer = over(client, cold, "canceled", CallStatus="completed")
    assert verbs(answer) == ["Hangup"]
    assert Call.objects.get().end_reason == "caller_hung_up"


def test_without_a_known_transfer_the_call_is_hung_up(client: Client, cold: Transfer) -> None:
    cold.pk = cold.call_id
    assert verbs(over(client, cold)) == ["Hangup"]
    assert not Call.objects.get().is_over


def test_unsigned_questions_get_nothing(client: Client, cold: Transfer) -> None:
    query = urlencode({"account": str(cold.call.account_id), "call": str(cold.call_id)})
    for path in ("after-dial", "whisper"):
        assert client.post(f"/twilio/{path}?{query}").status_code == 403


def test_another_accounts_transfer_is_nobodys(
    client: Client, warm: Transfer, stranger: Account
) -> None:
    signs(stranger)
    warm.call.account_id = stranger.pk
    assert verbs(asks(client, warm, "whisper", sid=LEG, said="1")) == []
    assert verbs(over(client, warm)) == ["Hangup"]
    fresh = Transfer.objects.get()
    assert (fresh.answered_at, fresh.ended_at) == (None, None)
    assert not Call.objects.get().is_over


# --- the human of a warm transfer -----------------------------------------------------------------


def test_the_human_hears_the_summary_and_is_then_connected(client: Client, warm: Transfer) -> None:
    answer = asks(client, warm, "whisper", sid=LEG)
    say, redirect = ElementTree.fromstring(answer.content)
    assert say.text == "Ann calls."
    assert "said=1" in (redirect.text or "")
    warm.refresh_from_db()
    assert (bool(warm.answered_at), bool(warm.bridged_at)) == (True, False)
    for _ in range(2):
        assert verbs(asks(client, warm, "whisper", sid=LEG, said="1")) == []
    warm.refresh_from_db()
    assert warm.bridged_at
    assert published() == ["call.transferred"]


# --- ends that nobody told of ---------------------------------------------------------------------


def test_a_transfer_ends_with_its_call(cold: Transfer) -> None:
    call_close(cold.call, status="completed", reason="reaped_cap", at=NOW)
    cold.refresh_from_db()
    assert (cold.status, cold.ended_at) == ("canceled", NOW)


@pytest.mark.parametrize(("bridged", "reason"), [(NOW, "transferred"), (None, "caller_hung_up")])
def test_a_call_was_transferred_only_if_somebody_was_reached(
    cold: Transfer, bridged: Any, reason: str
) -> None:
    Transfer.objects.update(bridged_at=bridged)
    call_close(cold.call, status="completed", reason="transferred", at=NOW)
    assert Call.objects.get().end_reason == reason


def test_the_leg_is_applied_before_the_end_of_the_call(cold: Transfer) -> None:
    arrived(cold.call, "completed", sequence=0, at=NOW + timedelta(seconds=30))
    leg(cold, "in-progress", 2)
    apply(cold)
    assert Call.objects.get().end_reason == "transferred"


# --- who is shown ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "callee", "shown"),
    [
        ("+12025550143", "+14155550100", "+12025550143"),
        ("anonymous", "+14155550100", "+14155550100"),
        ("sip:ann@example.com", "sip:desk@example.com", ""),
    ],
)
def test_the_human_sees_the_caller_or_else_us(
    call: Call, caller: str, callee: str, shown: str
) -> None:
    call.from_number, call.to_number = caller, callee
    assert caller_shown(call) == shown
