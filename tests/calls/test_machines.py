"""A machine has answered: what the dialler wanted happens, whoever can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.bots.models import TwilioConfig
from apps.calls import control
from apps.calls.callbacks import callbacks_apply
from apps.calls.entries import CallBegan
from apps.calls.models import Call
from apps.calls.services import entries_write
from tests.calls.test_calls_api import make_call
from tests.calls.test_control import GATEWAY, Holder
from tests.calls.twilio_side import NOW, arrived

LEAVE = {"on_machine": "leave_message", "message": "Call us back.", "message_end": True}


@pytest.fixture
def holder() -> Iterator[Holder]:
    found = Holder({"ok": True})
    deaf = control.listen(GATEWAY, found)
    yield found
    deaf()


@pytest.fixture
def call(config: TwilioConfig) -> Call:
    return dialled(config)


def dialled(config: TwilioConfig, **detection: Any) -> Call:
    asked = {"machine_detection": {"mode": "async", **detection}}
    return make_call(config, direction="outbound", status="in-progress", asked=asked)


def verdict(call: Call, answered_by: str, capture: Any, **more: Any) -> None:
    arrived(call, AnsweredBy=answered_by, **{"kind": "amd", **more})
    with capture(execute=True):
        callbacks_apply(call.pk, now=NOW)


def orders(holder: Holder) -> list[tuple[str, str]]:
    return [(one["kind"], one.get("text") or one.get("reason", "")) for one in holder.orders]


@pytest.mark.parametrize("answered_by", ["machine_start", "machine_end_beep", "fax"])
def test_the_gateway_hangs_up(
    call: Call, holder: Holder, answered_by: str, django_capture_on_commit_callbacks: Any
) -> None:
    Call.objects.update(gateway=GATEWAY)
    verdict(call, answered_by, django_capture_on_commit_callbacks)
    assert orders(holder) == [("end", "machine")]
    assert "hang_up" not in Call.objects.get().asked


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
def test_a_human_is_left_alone(
    call: Call, holder: Holder, answered_by: str, django_capture_on_commit_callbacks: Any
) -> None:
    Call.objects.update(gateway=GATEWAY)
    verdict(call, answered_by, django_capture_on_commit_callbacks)
    assert orders(holder) == []
    assert "hang_up" not in Call.objects.get().asked


def test_where_nobody_holds_the_call_twilio_is_to_hang_up(
    call: Call, holder: Holder, django_capture_on_commit_callbacks: Any
) -> None:
    verdict(call, "machine_start", django_capture_on_commit_callbacks)
    assert Call.objects.get().asked["hang_up"] == "wanted"


def test_a_verdict_before_the_answer_counts_too(
    call: Call, holder: Holder, django_capture_on_commit_callbacks: Any
) -> None:
    Call.objects.update(gateway=GATEWAY)
    more = {"kind": "status", "status": "in-progress", "sequence": 2}
    verdict(call, "machine_start", django_capture_on_commit_callbacks, **more)
    assert orders(holder) == [("end", "machine")]


def test_a_message_waits_for_the_stream(
    config: TwilioConfig, holder: Holder, django_capture_on_commit_callbacks: Any
) -> None:
    call = dialled(config, **LEAVE)
    verdict(call, "machine_end_beep", django_capture_on_commit_callbacks)
    assert "hang_up" not in Call.objects.get().asked
    began = CallBegan(
        call_id=call.pk,
        account_id=str(call.account_id),
        config_id=str(call.config_id),
        version_id=call.version_id,
        call_sid="CA1",
        stream_sid="MZ1",
        at=NOW,
        attempt=1,
        gateway=GATEWAY,
    )
    with django_capture_on_commit_callbacks(execute=True):
        entries_write([began])
    assert orders(holder) == [("message", "Call us back.")]


@pytest.mark.parametrize(
    ("detection", "field"),
    [
        ({"on_machine": "dance"}, "on_machine"),
        ({"on_machine": "leave_message", "message_end": True}, "message"),
        ({"on_machine": "leave_message", "message": "Call us back."}, "message_end"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    api: APIClient, config: TwilioConfig, detection: dict[str, Any], field: str
) -> None:
    body = {"config_id": str(config.id), "to": "+14158675309", "from": "+12025550143"}
    wish = {**body, "machine_detection": {"mode": "async", **detection}}
    answer = api.post("/calls", wish, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [f"machine_detection.{field}"]
