"""What an operator does to a call: by the services of the API, and told what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls import control
from apps.calls.models import Call, Recording, Transfer
from tests.calls.test_control import GATEWAY, Holder
from tests.dashboard.calls.conftest import Login
from tests.support.recorded_call import recorded_call


@pytest.fixture
def live(config: TwilioConfig) -> Call:
    """A call of ours that a gateway of this process holds."""
    values: dict[str, Any] = {"status": "in-progress", "ended_at": None, "gateway": GATEWAY}
    return recorded_call(config, sound=False, end_reason="", **values)


@pytest.fixture
def gateway() -> Iterator[Holder]:
    """Takes orders, and does them."""
    found = Holder({"ok": True, "attempt": 1})
    deaf = control.listen(GATEWAY, found)
    yield found
    deaf()


@pytest.fixture
def operator(as_: Login, account: Account) -> Client:
    return as_("operator", account)


def do(client: Client, call: Call, what: str, **form: str) -> tuple[Any, str]:
    """Post one of the page's forms; returns the answer, and what the person is told."""
    answer = client.post(f"/admin/calls/call/{call.pk}/{what}/", form)
    return answer, " ".join(str(message) for message in get_messages(answer.wsgi_request))


def noted() -> list[tuple[str, str]]:
    """Return what the audit log says of calls and who it was, but for what the fixtures did."""
    entries = AuditEntry.objects.filter(target_kind="call").order_by("id")
    return [(entry.action, entry.actor_kind) for entry in entries]


def test_a_call_is_hung_up_by_its_gateway(operator: Client, live: Call, gateway: Holder) -> None:
    answer, told = do(operator, live, "hang-up")
    assert (answer.status_code, told) == (302, "The call is being hung up.")
    assert [order["kind"] for order in gateway.orders] == ["end"]
    assert noted() == [("call.hang_up", "user")]


def test_hanging_up_a_call_that_is_over_says_so(
    operator: Client, config: TwilioConfig, gateway: Holder
) -> None:
    _, told = do(operator, recorded_call(config, sound=False), "hang-up")
    assert (told, gateway.orders) == ("The call is over.", [])


def test_a_call_that_nobody_here_holds_says_where_to_go(operator: Client, live: Call) -> None:
    Call.objects.update(gateway=None)
    _, told = do(operator, live, "hang-up")
    assert "no connection is stored of" in told


def test_the_bot_is_told_what_to_say(operator: Client, live: Call, gateway: Holder) -> None:
    _, told = do(operator, live, "say", text="A moment, please.", interrupt="on")
    (order,) = gateway.orders
    assert (order["text"], order["interrupt"]) == ("A moment, please.", True)
    assert told.startswith("The bot says it")
    assert noted() == [("call.say", "user")]


def test_what_cannot_be_said_stands_at_its_field(
    operator: Client, live: Call, gateway: Holder
) -> None:
    answer, _ = do(operator, live, "say", text="…!")
    assert (answer.status_code, gateway.orders) == (200, [])
    page = answer.content.decode()
    assert "Nothing of this can be spoken." in page and "…!</textarea>" in page
    gateway.answer = {"ok": False, "reason": "full"}
    answer, _ = do(operator, live, "say", text="Hello.")
    assert "Too many sentences wait already." in answer.content.decode()


def test_a_caller_is_put_through_to_a_number(
    operator: Client, live: Call, gateway: Holder, connection: TwilioConnection
) -> None:
    Call.objects.update(twilio_account_sid=connection.account_sid, connection=connection)
    Transfer.objects.all().delete()
    answer, told = do(operator, live, "transfer", to="+4930999999", mode="warm", summary="Ann.")
    assert (answer.status_code, told) == (302, "The caller is being put through to +4930999999.")
    made = Transfer.objects.get()
    assert (made.to, made.mode, made.summary) == ("+4930999999", "warm", "Ann.")
    assert [order["kind"] for order in gateway.orders] == ["transfer"]
    assert noted() == [("call.transfer", "user")]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({}, "Either to or target."),
        ({"to": "a friend"}, "such as +4930123456"),
        ({"to": "+4930999999", "mode": "cold", "summary": "Ann."}, "Nobody hears it in a cold"),
        ({"to": "+4930999999", "mode": "odd"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_with_a_transfer_stands_at_its_field(
    operator: Client, live: Call, gateway: Holder, form: dict[str, str], says: str
) -> None:
    answer, _ = do(operator, live, "transfer", **form)
    assert (answer.status_code, gateway.orders) == (200, [])
    page = answer.content.decode()
    assert says in page
    assert '<details class="bc-control-more" open>' in page


def test_a_transfer_that_nobody_could_ask_twilio_for_says_why(
    operator: Client, live: Call, gateway: Holder
) -> None:
    Transfer.objects.all().delete()
    answer, _ = do(operator, live, "transfer", to="+4930999999")
    assert "add a connection of the call&#x27;s Twilio account" in answer.content.decode()
    assert not Transfer.objects.exists()


def test_a_recording_is_erased_for_good(operator: Client, call: Call) -> None:
    page = operator.get(f"/admin/calls/call/{call.pk}/change/").content.decode()
    assert "This cannot be undone." in page
    _, told = do(operator, call, "erase")
    assert told == "The recording is erased. It cannot be brought back."
    assert Recording.objects.get().status == "deleted"
    _, told = do(operator, call, "erase")
    assert told.endswith("There is no recording of this call any more.")
    assert noted() == [("recording.erase", "user")]


@pytest.mark.parametrize("what", ["hang-up", "transfer", "say", "erase"])
def test_looking_does_nothing(operator: Client, call: Call, what: str) -> None:
    assert operator.get(f"/admin/calls/call/{call.pk}/{what}/").status_code == 302
    assert noted() == []
