"""``POST /twilio-config/{id}/tools/{name}/test``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import AuditEntry
from apps.bots import tooltrials
from apps.bots.arguments import arguments_check
from apps.bots.models import TwilioConfig
from tests.conftest import BODY
from tests.support.webhooks import KEY, Answers, WebhookStandIn, action, says, streams, webhooks
from tests.vendors.serving import Exchange

PARAMETERS = {
    "type": "object",
    "properties": {"day": {"type": "string"}, "guests": {"type": "integer", "minimum": 1}},
    "required": ["day"],
}
DAY = {"arguments": {"day": "Monday"}}


class Served:
    """Webhooks on a loop of their own: the view runs one of its own, too."""

    def __init__(self, **answers: Answers) -> None:
        self.stand_in: WebhookStandIn
        self._answers = answers
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> WebhookStandIn:
        self._thread.start()
        assert self._ready.wait(5)
        return self.stand_in

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with webhooks(**self._answers) as self.stand_in:
            self._ready.set()
            await self._over.wait()


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    yield


def made(api: APIClient, url: str, **hook: Any) -> str:
    """Make a bot with a tool; return the path of its trial."""
    llm = {**BODY["config"]["llm"], "tools": [{"name": "book", "parameters": PARAMETERS}]}
    tool = {"url": url, "custom_headers": {"X-Key": KEY}, **hook}
    body = {"config": {**BODY["config"], "llm": llm}, "webhook_tools": {"book": tool}}
    answer = api.post("/twilio-config", body)
    assert answer.status_code == 201, answer.content
    return f"/twilio-config/{answer.json()['id']}/tools/book/test"


def test_it_shows_request_answer_and_what_the_model_would_be_told(api: APIClient) -> None:
    with Served(book=says({"table": 7})) as stand_in:
        answer = api.post(made(api, f"{stand_in.url}/book"), DAY)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["ok"], found["error"], found["result"]) == (True, "", '{"table":7}')
    assert found["request"]["method"] == "POST"
    assert found["request"]["headers"]["x-key"] == "…"
    assert found["request"]["body"]["arguments"] == {"day": "Monday"}
    assert found["response"]["status"] == 200
    assert found["response"]["body"] == '{"table": 7}'
    assert found["duration_ms"] >= 0
    assert stand_in.seen[0].headers["x-key"] == KEY
    assert stand_in.seen[0].json() == found["request"]["body"]


def test_a_webhook_that_quotes_its_headers_does_not_give_them_away(api: APIClient) -> None:
    async def echo(exchange: Exchange) -> None:
        await exchange.answer(200, dict(exchange.seen.headers), x_echo=KEY)

    with Served(book=echo) as stand_in:
        answer = api.post(made(api, f"{stand_in.url}/book"), DAY)
    assert answer.json()["ok"]
    assert KEY not in answer.content.decode()


def test_a_stream_shows_its_actions(api: APIClient) -> None:
    answer = streams(action("tts", "say", text="Hello."), b"nonsense\n")
    with Served(book=answer) as stand_in:
        found = api.post(made(api, f"{stand_in.url}/book", streaming=True), DAY).json()
    assert [one["done"] for one in found["response"]["actions"]] == [True, False]
    assert found["result"] == "The tool has told the caller: Hello."


def test_a_failure_is_an_answer(api: APIClient) -> None:
    with Served(book=says(b"no", 500)) as stand_in:
        found = api.post(made(api, f"{stand_in.url}/book"), DAY).json()
    assert (found["ok"], found["error"]) == (False, "HTTP 500.")
    assert found["response"]["status"] == 500


def test_a_private_address_is_an_answer_too(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVATE_ADDRESSES")
    found = api.post(made(api, "http://127.0.0.1:9/book"), DAY).json()
    assert (found["ok"], found["response"]) == (False, None)
    assert "PRIVATE_ADDRESSES" in found["error"]


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "arguments", "required"),
        ({"arguments": []}, "arguments", "dictionary"),
        ({"arguments": {}}, "arguments.day", "required"),
        ({"arguments": {"day": 7}}, "arguments.day", "string"),
        ({"arguments": {"day": "Monday", "guests": 0}}, "arguments.guests", "at least 1"),
        ({"arguments": {"day": "Mon\x00day"}}, "arguments.day", "Null"),
        ({"argument": {}}, "argument", "arguments"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    api: APIClient, body: dict[str, Any], field: str, said: str
) -> None:
    answer = api.post(made(api, "http://127.0.0.1:9/book"), body)
    assert answer.status_code == 400
    assert said in answer.json()["fields"][field][0]


def test_an_unknown_tool_is_a_404_that_names_those_that_there_are(api: APIClient) -> None:
    path = made(api, "http://127.0.0.1:9/book").replace("/book/", "/look/")
    answer = api.post(path, DAY)
    assert answer.status_code == 404
    assert "book" in answer.json()["info"]


def test_a_draft_is_tried_where_it_is_asked_for(api: APIClient) -> None:
    path = made(api, "http://127.0.0.1:9/book")
    config = path.rpartition("/tools")[0]
    patch = {"webhook_tools": {"book": {"url": "http://127.0.0.1:9/new"}}}
    assert api.patch(f"{config}?draft=true", patch).status_code == 200
    assert api.post(path, DAY).json()["request"]["url"].endswith("/book")
    assert api.post(f"{path}?draft=true", DAY).json()["request"]["url"].endswith("/new")


def test_not_all_threads_are_given_to_slow_webhooks(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(api, "http://127.0.0.1:9/book")
    monkeypatch.setattr(tooltrials, "_TRIALS", threading.BoundedSemaphore(1))
    assert api.post(path, DAY).status_code == 200
    assert api.post(path, DAY).status_code == 200  # it was given back
    tooltrials._TRIALS.acquire()
    answer = api.post(path, DAY)
    assert (answer.status_code, answer["Retry-After"]) == (429, "1")


def test_the_log_says_who_tried_what(api: APIClient) -> None:
    api.post(made(api, "http://127.0.0.1:9/book"), DAY)
    entry = AuditEntry.objects.get(action="config.try_tool")
    assert entry.target_id == str(TwilioConfig.objects.get().id)
    assert entry.after == {"tool": "book", "ok": False}


@pytest.mark.parametrize(
    ("schema", "arguments", "wrong"),
    [
        ({}, {"anything": 1}, {}),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": None}, {}),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, {"a": "z"}, {"arguments.a"}),
        ({"properties": {"a": {"type": "boolean"}}}, {"a": 1}, {"arguments.a"}),
        ({"properties": {"a": {"type": "number"}}}, {"a": True}, {"arguments.a"}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 2.0}, {}),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 2.5}, {"arguments.a"}),
        ({"properties": {"a": {"maximum": 2}}}, {"a": 3}, {"arguments.a"}),
        ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": [1]}, {"arguments.a.0"}),
        ({"additionalProperties": False}, {"a": 1}, {"arguments.a"}),
        (
            {"properties": {"a": {"required": ["b"], "properties": {"b": {"type": "string"}}}}},
            {"a": {}},
            {"arguments.a.b"},
        ),
        # What would send us somewhere, or keep us busy, is not looked at.
        ({"properties": {"a": {"$ref": "http://169.254.169.254/"}}}, {"a": 1}, {}),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, {"a": "a" * 50 + "!"}, {}),
        # What is no schema complains of nothing.
        ({"properties": 7, "required": 7}, {"a": 1}, {}),
        ({"properties": {"a": 7}, "required": [7]}, {"a": 1}, {}),
        ({"properties": {"a": {"type": "word", "enum": 7, "minimum": "x"}}}, {"a": 1}, {}),
    ],
)
def test_arguments_are_checked_by_what_tools_use_of_json_schema(
    schema: dict[str, Any], arguments: dict[str, Any], wrong: set[str]
) -> None:
    assert set(arguments_check(schema, arguments)) == set(wrong)
