"""The steps of ``life`` that are about phones, against the simulator as Twilio.

TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN name its account, which has numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from answers import Kind, typed
from botsconfig_client import AuthenticatedClient as Client
from botsconfig_client.api.account import account_get, account_patch
from botsconfig_client.api.calls import (
    calls_dial,
    calls_dtmf,
    calls_get,
    calls_hang_up,
    calls_list,
    calls_recording_delete,
    calls_recording_get,
    calls_say,
    calls_transfer,
)
from botsconfig_client.api.phone_numbers import (
    phone_number_assign,
    phone_number_get,
    phone_number_list,
    phone_number_repair,
)
from botsconfig_client.api.twilio_config import twilio_config_create
from botsconfig_client.api.twilio_connections import (
    twilio_connection_check,
    twilio_connection_create,
    twilio_connection_delete,
    twilio_connection_get,
    twilio_connection_list,
    twilio_connection_patch,
    twilio_connection_subaccounts,
)
from botsconfig_client.models import (
    Account,
    AssignmentRequest,
    Call,
    CallDetail,
    CallingHoursBodyRequest,
    CallTransfer,
    ConfigRequest,
    DialRequest,
    DtmfRequest,
    Error,
    LlmRequest,
    PaginatedCallList,
    PaginatedPhoneNumberList,
    PaginatedTwilioConnectionList,
    PatchedAccountBodyRequest,
    PatchedTwilioConnectionBodyRequest,
    PhoneNumber,
    RepairRequest,
    SayRequest,
    SubAccounts,
    TransferOrderRequest,
    TwilioConfig,
    TwilioConfigBodyRequest,
    TwilioConnection,
    TwilioConnectionBodyRequest,
)
from botsconfig_client.types import File, Response

# Of the simulator's people: one who answers after two seconds, and one to put them through to.
CALLEE, HUMAN = "+14155550108", "+14155550101"
PATIENCE_S = 30


def account(client: Client) -> None:
    """The account's settings, and hours that are none."""
    hours = CallingHoursBodyRequest(from_="09:00", until="20:00", timezone="callee")
    patch = PatchedAccountBodyRequest(calls_per_second=2, calling_hours=hours)
    changed = typed(account_patch.sync_detailed(client=client, body=patch), 200, Account)
    assert changed.calling_hours.until == "20:00"
    bad = PatchedAccountBodyRequest(calling_hours=CallingHoursBodyRequest(until="08:00"))
    refused = typed(account_patch.sync_detailed(client=client, body=bad), 400, Error)
    assert "calling_hours.until" in refused.fields
    always = PatchedAccountBodyRequest(calling_hours=None)
    typed(account_patch.sync_detailed(client=client, body=always), 200, Account)
    read = typed(account_get.sync_detailed(client=client), 200, Account)
    assert (read.calls_per_second, read.calling_hours.from_) == (2, read.calling_hours.until)


def phones(client: Client) -> None:
    """A connection that Twilio takes, and one that it does not; a bot answers a number, or none."""
    sid, token = os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"]
    wrong = TwilioConnectionBodyRequest(account_sid=sid, auth_token="0" * 32)
    refused = twilio_connection_create.sync_detailed(client=client, body=wrong)
    error = typed(refused, 400, Error)
    assert (error.error, error.twilio_code, [*error.fields.to_dict()]) == (
        "twilio-error",
        20003,
        ["auth_token"],
    )
    right = TwilioConnectionBodyRequest(account_sid=sid, auth_token=token)
    made = twilio_connection_create.sync_detailed(client=client, body=right)
    connection = typed(made, 201, TwilioConnection)
    assert connection.auth_token_last4 == f"…{token[-4:]}"
    name = PatchedTwilioConnectionBodyRequest(name="Main")
    patched = twilio_connection_patch.sync_detailed(connection.id, client=client, body=name)
    assert typed(patched, 200, TwilioConnection).name == "Main"
    checked = twilio_connection_check.sync_detailed(connection.id, client=client)
    assert typed(checked, 200, TwilioConnection).check_error == ""
    below = twilio_connection_subaccounts.sync_detailed(connection.id, client=client)
    assert typed(below, 200, SubAccounts).results == []
    page = twilio_connection_list.sync_detailed(client=client)
    assert len(typed(page, 200, PaginatedTwilioConnectionList).results) == 1
    read = twilio_connection_get.sync_detailed(connection.id, client=client)
    assert typed(read, 200, TwilioConnection).friendly_name

    _numbers(client)
    _call(client)
    deleted = twilio_connection_delete.sync_detailed(connection.id, client=client)
    assert deleted.status_code == 204


def _numbers(client: Client) -> None:
    whole = TwilioConfigBodyRequest(config=ConfigRequest(llm=LlmRequest(prompt="Answer.")))
    created = twilio_config_create.sync_detailed(client=client, body=whole)
    config = typed(created, 201, TwilioConfig)
    listed = phone_number_list.sync_detailed(client=client, refresh=True)
    sid = typed(listed, 200, PaginatedPhoneNumberList).results[0].sid
    body = AssignmentRequest(config_id=config.id)
    assigned = phone_number_assign.sync_detailed(sid, client=client, body=body)
    number = typed(assigned, 200, PhoneNumber)
    assert number.actual["voice_url"] == config.voice_url
    assert number.drift == []
    filtered = phone_number_list.sync_detailed(client=client, config_id=config.id, drifted=False)
    assert len(typed(filtered, 200, PaginatedPhoneNumberList).results) == 1
    fine = phone_number_repair.sync_detailed(sid, client=client, body=RepairRequest())
    assert typed(fine, 200, PhoneNumber).drift == []
    body = AssignmentRequest(config_id=None)
    taken = phone_number_assign.sync_detailed(sid, client=client, body=body)
    assert typed(taken, 200, PhoneNumber).config_id is None
    read = phone_number_get.sync_detailed(sid, client=client)
    assert typed(read, 200, PhoneNumber).wanted.to_dict() == {}


def _call(client: Client) -> None:
    """A call that is dialled: words, keys, a transfer and its end; then what was recorded of it."""
    page = typed(calls_list.sync_detailed(client=client), 200, PaginatedCallList)
    wish = DialRequest(page.results[-1].config_id, CALLEE, from_="+12025550100", record=True)
    id_ = typed(calls_dial.sync_detailed(client=client, body=wish), 201, Call).id
    said = SayRequest(text="One moment.")
    _in_time(lambda: calls_say.sync_detailed(id_, client=client, body=said), 202, Call)
    keys = DtmfRequest(digits="1#")
    _in_time(lambda: calls_dtmf.sync_detailed(id_, client=client, body=keys), 202, Call)
    # The keys have left the stream for a moment.
    whom = TransferOrderRequest(to=HUMAN)
    _in_time(lambda: calls_transfer.sync_detailed(id_, client=client, body=whom), 202, CallTransfer)
    typed(calls_hang_up.sync_detailed(id_, client=client), 200, Call)
    sound = _in_time(lambda: calls_recording_get.sync_detailed(id_, client=client), 200, File)
    assert sound.payload.read(4) == b"RIFF"
    assert calls_recording_delete.sync_detailed(id_, client=client).status_code == 204
    read = typed(calls_get.sync_detailed(id_, client=client), 200, CallDetail)
    assert (read.to, read.direction) == (CALLEE, "outbound")


def _in_time(ask: Callable[[], Response[Any]], status: int, kind: type[Kind]) -> Kind:
    """Ask again while it is a conflict: the call, or its recording, is not that far yet."""
    end = time.monotonic() + PATIENCE_S
    while (answer := ask()).status_code == 409 and time.monotonic() < end:
        time.sleep(0.1)
    return typed(answer, status, kind)
