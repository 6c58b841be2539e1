"""What is another account's does not exist: for every operation of the OpenAPI document.

An operation that reads or changes something must have a maker here of a stranger's something.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from tests.calls.test_calls_api import make_call
from tests.conftest import ApiFor
from tests.support.openapi import Operation, examples, operations


@dataclass(frozen=True, slots=True)
class Thing:
    """Something of an account. parameters: of its path. marks: what lists show of it."""

    parameters: dict[str, str]
    marks: tuple[str, ...] = field(default=())


def a_config(account: Account) -> Thing:
    config = _config(account)
    return Thing({"id": str(config.id)}, marks=(str(config.id), config.name))


def a_call(account: Account) -> Thing:
    call = make_call(_config(account), sid="CAstranger")
    return Thing({"id": str(call.id)}, marks=(str(call.id), call.call_sid))


def _config(account: Account) -> TwilioConfig:
    body = {"name": "Of a stranger", "config": {"llm": {"prompt": "You are a stranger's."}}}
    return config_create(account=account, draft=draft_read(body), actor=Actor())


MAKERS: dict[str, Callable[[Account], Thing]] = {
    "/twilio-config": a_config,
    "/twilio-config/{id}": a_config,
    "/calls": a_call,
    "/calls/{id}": a_call,
}
# Lists that are the server's, not an account's.
OF_EVERYBODY = {"/providers"}
# What another account may do under a name that both may use, and its answer.
OUR_OWN: dict[tuple[str, str], int] = {}

LISTS = [
    operation
    for operation in operations()
    if operation.method == "get"
    and not operation.takes_parameters
    and operation.path not in OF_EVERYBODY
]
THINGS = [operation for operation in operations() if operation.takes_parameters]


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
    path = operation.path.format_map(_made(operation, stranger).parameters)
    theirs = api_for(stranger)
    before = _read(theirs, path)
    expected = OUR_OWN.get((operation.method, operation.path), 404)
    for content_type, body in _bodies(operation):
        answer = api.generic(operation.method, path, body, content_type=content_type)
        assert answer.status_code == expected, answer.content
    assert _read(theirs, path) == before
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
