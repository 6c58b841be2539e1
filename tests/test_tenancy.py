"""What is another account's does not exist: for every operation of the OpenAPI document.

An operation that reads or changes something must have a maker here of a stranger's something.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.connections import connection_create
from apps.accounts.credentials import credential_put
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.accounts.services import api_key_create
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_create, config_patch
from apps.calls import control
from apps.calls.models import PhoneNumber, Recording
from apps.calls.recordings.files import recordings_storage
from apps.simulator.twilio.state import Call, Times
from apps.webhooks.endpoints import endpoint_create
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import event_publish
from tests.calls.test_calls_api import NOW, make_call
from tests.conftest import ApiFor
from tests.support.openapi import Operation, examples, operations
from tests.support.twilio import TwilioStandIn

GATEWAY = uuid.UUID(int=77)
# The stranger's account at Twilio's stand-in.
TWILIO_SID = "AC" + "9" * 32
TWILIO_TOKEN = "strangers-token"
NUMBER_SID = "PN" + "9" * 32


@dataclass(frozen=True, slots=True)
class Thing:
    """Something of an account. parameters: of its path. marks: what lists show of it. home: where
    it is read, if that is not what the path of an action begins with."""

    parameters: dict[str, str]
    marks: tuple[str, ...] = field(default=())
    home: str = ""


def a_config(account: Account) -> Thing:
    config = _config(account)
    return Thing({"id": str(config.id)}, marks=(str(config.id), config.name))


def a_call(account: Account) -> Thing:
    call = make_call(_config(account), sid="CAstranger")
    return Thing({"id": str(call.id)}, marks=(str(call.id), call.call_sid))


def a_recording(account: Account) -> Thing:
    call = make_call(_config(account), sid="CArecorded", status="completed", ended_at=NOW)
    path = recordings_storage().save(f"{call.id}.wav", ContentFile(b"RIFFsound"))
    Recording.objects.create(
        call=call, status="ready", started_at=NOW, path=path, bytes=9, duration_s=0.0, parts=1
    )
    return Thing({"id": str(call.id)})


def a_call_that_is_on(account: Account) -> Thing:
    _connection(account)
    values = {"status": "in-progress", "gateway": GATEWAY, "twilio_account_sid": TWILIO_SID}
    call = make_call(_config(account), sid="CAstranger", **values)
    return Thing({"id": str(call.id)})


def a_call_to_come(account: Account) -> Thing:
    values = {"direction": "outbound", "status": "scheduled", "scheduled_at": timezone.now()}
    call = make_call(_config(account), sid="", **values)
    return Thing({"id": str(call.id)})


def _config(account: Account) -> TwilioConfig:
    body = {"name": "Of a stranger", "config": {"llm": {"prompt": "You are a stranger's."}}}
    return config_create(account=account, draft=draft_read(body), actor=Actor())


def a_version(account: Account) -> Thing:
    config = _config(account)
    write = Write(account, config.id, Actor(), publish=False)
    draft = config_patch(write, {"name": "Draft of a stranger"}).version
    return Thing({"id": str(config.id), "number": str(draft.number)})


def a_tool(account: Account) -> Thing:
    llm = {"prompt": "You are a stranger's.", "tools": [{"name": "book"}]}
    # Nobody is asked: no request leaves for a private address.
    tools = {"book": {"url": "http://127.0.0.1:9/book"}}
    draft = draft_read({"config": {"llm": llm}, "webhook_tools": tools})
    config = config_create(account=account, draft=draft, actor=Actor())
    path = f"/twilio-config/{config.id}"
    return Thing({"id": str(config.id), "name": "book"}, home=path)


def a_key(account: Account) -> Thing:
    key, _ = api_key_create(account=account, name="Key of a stranger", actor=Actor())
    return Thing({"id": str(key.id)}, marks=(str(key.id), key.name))


def a_credential(account: Account) -> Thing:
    # No free call to this vendor is known, so testing it asks nobody.
    credential_put(account=account, provider="rime", api_key="strangers-key-9876", actor=Actor())
    return Thing({"provider": "rime"}, marks=("9876",))


def an_endpoint(account: Account) -> Thing:
    endpoint = _endpoint(account)
    return Thing({"id": str(endpoint.id)}, marks=(str(endpoint.id), endpoint.url))


def a_delivery(account: Account) -> Thing:
    endpoint = _endpoint(account)
    event_publish(account_id=account.id, kind="call.ended", data={"call": {"id": "a stranger's"}})
    delivery = Delivery.objects.get(endpoint=endpoint)
    return Thing({"id": str(endpoint.id), "delivery_id": str(delivery.id)})


def _endpoint(account: Account) -> Endpoint:
    # Pings of it end here: no request leaves for a private address.
    url = "https://127.0.0.1:9/a-stranger"
    return endpoint_create(account=account, actor=Actor(), url=url)[0]


def an_entry(account: Account) -> Thing:
    _config(account)
    entry = AuditEntry.objects.filter(account=account, action="config.create").get()
    return Thing({}, marks=(str(entry.id),))


def an_account(account: Account) -> Thing:
    return Thing({}, marks=(str(account.id),))


def a_connection(account: Account) -> Thing:
    made = str(_connection(account).id)
    return Thing({"id": made}, marks=(made, TWILIO_SID))


def a_number(account: Account) -> Thing:
    number = {"sid": NUMBER_SID, "number": "+12025550199"}
    PhoneNumber.objects.create(account=account, connection=_connection(account), **number)
    return Thing({"sid": NUMBER_SID}, marks=(NUMBER_SID, "+12025550199"))


def _connection(account: Account) -> TwilioConnection:
    given = {"account_sid": TWILIO_SID, "auth_token": TWILIO_TOKEN}
    return connection_create(account=account, given=given, actor=Actor(), check=False).connection


MAKERS: dict[str, Callable[[Account], Thing]] = {
    "/twilio-config": a_config,
    "/twilio-config/{id}": a_config,
    "/twilio-config/{id}/render": a_config,
    "/twilio-config/{id}/rotate-token": a_config,
    "/twilio-config/{id}/tools/{name}/test": a_tool,
    "/twilio-config/{id}/versions": a_config,
    "/twilio-config/{id}/versions/{number}": a_version,
    "/twilio-config/{id}/versions/{number}/publish": a_version,
    "/twilio-config/{id}/versions/{number}/restore": a_version,
    "/v1/twilio-config": a_config,
    "/v1/twilio-config/{id}": a_config,
    "/calls": a_call,
    "/calls/{id}": a_call,
    "/calls/{id}/recording": a_recording,
    "/calls/{id}/hangup": a_call_to_come,
    "/calls/{id}/say": a_call_that_is_on,
    "/calls/{id}/dtmf": a_call_that_is_on,
    "/calls/{id}/transfer": a_call_that_is_on,
    "/api-keys": a_key,
    "/api-keys/{id}": a_key,
    "/api-keys/{id}/rotate": a_key,
    "/credentials": a_credential,
    "/credentials/{provider}": a_credential,
    "/credentials/{provider}/test": a_credential,
    "/audit-log": an_entry,
    "/account": an_account,
    "/webhooks": an_endpoint,
    "/webhooks/{id}": an_endpoint,
    "/webhooks/{id}/rotate-secret": an_endpoint,
    "/webhooks/{id}/ping": an_endpoint,
    "/webhooks/{id}/replay": an_endpoint,
    "/webhooks/{id}/deliveries": an_endpoint,
    "/webhooks/{id}/deliveries/{delivery_id}": a_delivery,
    "/webhooks/{id}/deliveries/{delivery_id}/replay": a_delivery,
    "/twilio-connections": a_connection,
    "/twilio-connections/{id}": a_connection,
    "/twilio-connections/{id}/check": a_connection,
    "/twilio-connections/{id}/subaccounts": a_connection,
    "/phone-numbers": a_number,
    "/phone-numbers/{sid}": a_number,
    "/phone-numbers/{sid}/repair": a_number,
}
# Lists that are the server's, not an account's.
OF_EVERYBODY = {"/providers", "/webhooks/kinds"}
# What another account may do under a name that both may use, and its answer.
OUR_OWN: dict[tuple[str, str], int] = {("put", "/credentials/{provider}"): 200}

OF_TWILIO = ("/twilio-connections", "/phone-numbers", "/calls/{id}/dtmf", "/calls/{id}/transfer")

LISTS = [
    operation
    for operation in operations()
    if operation.method == "get"
    and not operation.takes_parameters
    and operation.path not in OF_EVERYBODY
]
THINGS = [operation for operation in operations() if operation.takes_parameters]


@pytest.fixture(autouse=True)
def _twilio_is_there(request: pytest.FixtureRequest, settings: Settings) -> None:
    """For those operations alone that ask it."""
    if request.node.callspec.params["operation"].path.startswith(OF_TWILIO):
        twilio: TwilioStandIn = request.getfixturevalue("twilio")
        settings.TWILIO_API_URL = twilio.url
        theirs = twilio.world.account_add()
        theirs.sid, theirs.auth_token, theirs.owner_sid = TWILIO_SID, TWILIO_TOKEN, TWILIO_SID
        twilio.world.accounts[TWILIO_SID] = theirs
        number = twilio.world.number_add(theirs, "+12025550199")
        number.sid = NUMBER_SID
        twilio.world.numbers = {NUMBER_SID: number}
        times = Times(timezone.now(), timezone.now())
        ends = ("+12025550143", "+12025550199", "inbound")
        call = Call("CAstranger", TWILIO_SID, *ends, times, history=["in-progress"])
        twilio.world.calls["CAstranger"] = call


@pytest.fixture(autouse=True)
def _a_gateway_is_there() -> Iterator[None]:
    """One that does all that it is asked."""
    deaf = control.listen(GATEWAY, lambda order, done: done.set_result({"ok": True}))
    yield
    deaf()


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_a_list_shows_its_account_alone(
    api: APIClient, api_for: ApiFor, stranger: Account, operation: Operation
) -> None:
    thing = _made(operation, stranger)
    theirs = api_for(stranger).get(operation.path).content.decode()
    assert all(mark in theirs for mark in thing.marks)
    answer = api.get(operation.path)
    assert answer.status_code == 200
    assert not any(mark in answer.content.decode() for mark in thing.marks)


@pytest.mark.parametrize("operation", THINGS, ids=str)
def test_a_strangers_thing_does_not_exist(
    api: APIClient, api_for: ApiFor, stranger: Account, operation: Operation
) -> None:
    made = _made(operation, stranger)
    path = operation.path.format_map(made.parameters)
    # An action is done to a thing; the thing is what can be read.
    begun = operation.path[: operation.path.rindex("}") + 1].format_map(made.parameters)
    home = made.home or begun
    theirs = api_for(stranger)
    before = _read(theirs, home)
    assert before[0] == 200
    expected = OUR_OWN.get((operation.method, operation.path), 404)
    for content_type, body in _bodies(operation):
        answer = api.generic(operation.method, path, body, content_type=content_type)
        assert answer.status_code == expected, answer.content
    assert _read(theirs, home) == before
    # The same requests of its owner find it: it was there to be found.
    content_type, body = _bodies(operation)[0]
    answer = theirs.generic(operation.method, path, body, content_type=content_type)
    assert answer.status_code < 400, answer.content


def _made(operation: Operation, account: Account) -> Thing:
    maker = MAKERS.get(operation.path)
    assert maker is not None, f"MAKERS makes nothing of a stranger's for {operation}."
    return maker(account)


def _bodies(operation: Operation) -> list[tuple[str, str]]:
    """Return the documented examples, by content type: what is refused is refused for its owner."""
    found = [
        (content_type, json.dumps(example))
        for content_type, said in operation.bodies().items()
        for example in examples(said)
    ]
    return found or [("application/json", "")]


def _read(client: APIClient, path: str) -> tuple[int, bytes]:
    answer = client.get(path)
    return answer.status_code, answer.content
