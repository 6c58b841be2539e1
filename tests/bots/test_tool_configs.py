"""How tools and transfers stand in a bot: their forms, their limits, what is warned of."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.bots.dailybots import native_from
from apps.bots.dailybots_form import body_of
from apps.bots.document import draft_read
from apps.bots.toolruns import webhooks_of
from tests.conftest import BODY

FLAT = {
    "name": "book",
    "description": "Book a table.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
}
OPENAI = {"type": "function", "function": {**FLAT, "strict": True}}
ANTHROPIC = {
    "name": FLAT["name"],
    "description": FLAT["description"],
    "input_schema": FLAT["parameters"],
}
HOOK = {"url": "https://t.example.com/book"}
SALES = {"to": "+4930123456", "description": "Orders.", "mode": "warm"}


def body_with(tools: list[Any], hooks: dict[str, Any] | None = None, **parts: Any) -> Any:
    llm = {**BODY["config"]["llm"], "tools": tools}
    return {"config": {**BODY["config"], "llm": llm, **parts}, "webhook_tools": hooks or {}}


@pytest.mark.parametrize("tool", [FLAT, OPENAI, ANTHROPIC, {**ANTHROPIC, "type": "custom"}])
def test_a_tool_may_come_in_every_vendors_form(api: APIClient, tool: dict[str, Any]) -> None:
    answer = api.post("/twilio-config", body_with([tool], {"book": HOOK}))
    assert answer.status_code == 201, answer.content
    assert answer.json()["config"]["llm"]["tools"] == [FLAT]


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ({"type": "function", "function": {"description": "x"}}, "name"),
        ({"type": "function", "function": {**FLAT, "color": "red"}}, "color"),
        ({**OPENAI, "color": "red"}, "color"),
        ({**ANTHROPIC, "parameters": {}}, "input_schema"),
        ({**FLAT, "type": "function"}, "type"),
        ({**FLAT, "parameters": {"type": "array"}}, "parameters.type"),
        ({"function": 7}, "function"),
    ],
)
def test_a_tool_of_no_form_is_refused_by_field(
    api: APIClient, tool: dict[str, Any], field: str
) -> None:
    answer = api.post("/twilio-config", body_with([tool]))
    assert answer.status_code == 400
    assert f"config.llm.tools.0.{field}" in answer.json()["fields"]


@pytest.mark.parametrize(
    ("hook", "field"),
    [
        ({"timeout_secs": 0.1}, "timeout_secs"),
        ({"timeout_secs": 121}, "timeout_secs"),
        ({"timeout_secs": "soon"}, "timeout_secs"),
        ({"filler": 7}, "filler"),
        ({"filler": "x" * 1_001}, "filler"),
        ({"method": "DELETE"}, "method"),
        ({"custom_headers": {"Host": "inside"}}, "custom_headers"),
        ({"custom_headers": {"Transfer-Encoding": "chunked"}}, "custom_headers"),
        ({"custom_headers": {"X-A": "a\x07b"}}, "custom_headers"),
        ({"custom_headers": {"X A": "a"}}, "custom_headers"),
        ({"url": "https://t.example.com:99999/"}, "url"),
        ({"patience": 7}, "patience"),
    ],
)
def test_a_webhook_is_checked_by_field(api: APIClient, hook: dict[str, Any], field: str) -> None:
    answer = api.post("/twilio-config", body_with([FLAT], {"book": {**HOOK, **hook}}))
    assert answer.status_code == 400
    assert f"webhook_tools.book.{field}" in answer.json()["fields"]


def test_a_webhook_has_its_defaults(api: APIClient) -> None:
    answer = api.post("/twilio-config", body_with([FLAT], {"book": HOOK}))
    assert answer.json()["webhook_tools"]["book"] == {
        **HOOK,
        "method": "POST",
        "streaming": False,
        "timeout_secs": 8.0,
        "filler": "",
    }


def test_a_document_from_before_there_were_times_is_read() -> None:
    document = {"webhook_tools": {"book": {**HOOK, "method": "GET", "streaming": False}}}
    hook = webhooks_of(document, {})["book"]
    assert (hook.timeout_s, hook.filler, hook.terms.acts) == (8.0, "", False)


def test_a_tool_that_nobody_answers_is_warned_of(api: APIClient) -> None:
    named = [FLAT, {"name": "look"}, {"name": "end_call"}]
    hooks = {"book": HOOK, "end_call": HOOK}
    warnings = " ".join(api.post("/twilio-config", body_with(named, hooks)).json()["warnings"])
    assert "config.llm.tools: look is not offered" in warnings
    assert "webhook_tools.end_call: end_call is built in" in warnings
    assert "book" not in warnings


# --- transfers ------------------------------------------------------------------------------------


def test_targets_are_stored_and_answered(api: APIClient) -> None:
    targets = {"sales": SALES, "desk": {"to": "sip:desk@example.com"}}
    answer = api.post("/twilio-config", body_with([], transfers=targets))
    assert answer.status_code == 201, answer.content
    desk = {"to": "sip:desk@example.com", "description": "", "mode": "cold"}
    expected = {"sales": SALES, "desk": desk}
    assert answer.json()["config"]["transfers"] == expected
    path = f"/twilio-config/{answer.json()['id']}"
    patched = api.patch(path, {"config": {"transfers": {"sales": None}}}).json()
    assert list(patched["config"]["transfers"]) == ["desk"]


@pytest.mark.parametrize(
    ("transfers", "field"),
    [
        ({"sales": {"to": "030 123456"}}, "sales.to"),
        ({"sales": {"to": "tel:+4930123456"}}, "sales.to"),
        ({"sales": {"to": "sip:a b"}}, "sales.to"),
        ({"sales": {}}, "sales.to"),
        ({"sales": {**SALES, "mode": "hot"}}, "sales.mode"),
        ({"a b": SALES}, "a b"),
        ({"sales": {**SALES, "name": "x"}}, "sales.name"),
        ({f"t{n}": SALES for n in range(51)}, ""),
    ],
)
def test_a_target_is_checked_by_field(
    api: APIClient, transfers: dict[str, Any], field: str
) -> None:
    answer = api.post("/twilio-config", body_with([], transfers=transfers))
    assert answer.status_code == 400
    assert f"config.transfers.{field}".rstrip(".") in answer.json()["fields"]


def test_a_tool_of_the_built_in_name_is_refused_beside_targets(api: APIClient) -> None:
    own = [{"name": "transfer_call"}]
    hooks = {"transfer_call": HOOK}
    assert api.post("/twilio-config", body_with(own, hooks)).status_code == 201
    answer = api.post("/twilio-config", body_with(own, hooks, transfers={"sales": SALES}))
    assert "built in" in answer.json()["fields"]["config.llm.tools"][0]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_tools_and_targets_go_from_one_face_to_the_other_and_back(provider: str) -> None:
    body = body_with([FLAT], {"book": HOOK}, transfers={"sales": SALES})
    body["config"]["llm"] = {"provider": provider, "prompt": "Hi.", "tools": [FLAT]}
    document = draft_read(body).document
    theirs = body_of(document, {})
    (llm,) = [item for item in theirs["config"] if item["service"] == "llm"]
    (tools,) = [option["value"] for option in llm["options"] if option["name"] == "tools"]
    expected = {"openai": {"type": "function", "function": FLAT}, "anthropic": ANTHROPIC}
    assert tools == [expected[provider]]
    assert draft_read(theirs).document == document
    assert native_from(theirs)[1].notes == []


def test_their_body_without_targets_leaves_them_as_they_were(api: APIClient) -> None:
    made = api.post("/twilio-config", body_with([], transfers={"sales": SALES})).json()
    path = f"/v1/twilio-config/{made['id']}"
    theirs = api.get(path).json()
    assert theirs["botsconfig"]["transfers"] == {"sales": SALES}
    del theirs["botsconfig"]
    assert api.post(path, theirs).status_code == 200
    after = api.get(f"/twilio-config/{made['id']}").json()
    assert after["config"]["transfers"] == {"sales": SALES}
