"""What is Anthropic's own: thinking, caching, turns of blocks, errors in mid-stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from apps.voice.ports import ChatMessage, Tool, ToolCall, Usage
from tests.vendors.anthropic import THOUGHT, AnthropicStandIn
from tests.vendors.histories import ASKED, BOOK, PROMPT
from tests.vendors.kinds import Subject
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import MODELS
from tests.vendors.test_every_model import events_of, failure_of, text_of

(SUBJECT,) = [subject for subject in MODELS if subject.provider == "anthropic"]
EPHEMERAL = {"type": "ephemeral"}


@pytest.fixture
async def vendor() -> AsyncIterator[AnthropicStandIn]:
    async with serving(AnthropicStandIn()) as stand_in:
        assert isinstance(stand_in, AnthropicStandIn)
        yield stand_in


def built(vendor: AnthropicStandIn, model: str = "claude-haiku-4-5", **options: Any) -> Any:
    subject: Subject = replace(SUBJECT, settings={"model": model, "options": options})
    return subject.build(subject.service(vendor.url))


def marks(body: Mapping[str, Any]) -> list[str]:
    """Say what is marked for the cache."""
    found = [f"tool {t['name']}" for t in body.get("tools", ()) if "cache_control" in t]
    found += [f"system {b['text']}" for b in body.get("system", ()) if "cache_control" in b]
    for message in body["messages"]:
        found += [
            f"{message['role']} {block['type']}"
            for block in message["content"]
            if "cache_control" in block
        ]
    return found


@pytest.mark.parametrize(
    ("model", "off", "samples"),
    [
        ("claude-haiku-4-5", {}, True),
        ("claude-haiku-4-5-20251001", {}, True),
        ("claude-3-5-sonnet-20241022", {}, True),
        ("claude-sonnet-4-6", {}, True),
        ("claude-opus-4-6", {}, True),
        ("claude-opus-4-7", {"thinking": {"type": "disabled"}}, False),
        ("claude-opus-4-8", {"thinking": {"type": "disabled"}}, False),
        ("claude-sonnet-5", {"thinking": {"type": "disabled"}}, False),
        ("claude-sonnet-5-5", {"thinking": {"type": "between_tools"}}, False),
        ("claude-haiku-5-5", {"thinking": {"type": "disabled"}}, False),
        ("claude-opus-5", {"thinking": {"type": "disabled"}}, False),
        ("claude-opus-5-5", {"output_config": {"effort": "low"}}, False),
        ("claude-fable-5-2", {"output_config": {"effort": "low"}}, False),
    ],
)
async def test_a_model_thinks_as_little_as_it_can(
    vendor: AnthropicStandIn, model: str, off: dict[str, Any], samples: bool
) -> None:
    await events_of(built(vendor, model, temperature=0.3, top_p=0.9, top_k=40), tools=[BOOK])
    assert not vendor.refusals
    body = vendor.seen[-1].json()
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == off
    assert ("temperature" in body) is samples


async def test_whoever_wants_thinking_gets_it(vendor: AnthropicStandIn) -> None:
    extra = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    await events_of(built(vendor, "claude-sonnet-5-5", extra=extra))
    assert vendor.seen[-1].json().items() >= extra.items()


async def test_thoughts_are_not_spoken_but_come_back_with_the_results(
    vendor: AnthropicStandIn,
) -> None:
    vendor.thinks, vendor.calls = True, [("book_table", {"guests": 2})]
    model = built(vendor, "claude-opus-5-5")
    first = await events_of(model, tools=[BOOK])
    assert text_of(first) == "".join(vendor.answer)
    (call,) = [event for event in first if isinstance(event, ToolCall)]
    turn = [
        ChatMessage("assistant", text_of(first), tool_calls=(call,)),
        ChatMessage("tool", "booked", tool_call_id=call.id),
    ]
    vendor.calls = []
    again = await events_of(model, [PROMPT, ASKED, *turn], [BOOK])
    assert vendor.seen[-1].json()["messages"][1]["content"][0] == THOUGHT
    later = [PROMPT, ASKED, *turn, ChatMessage("assistant", text_of(again)), ASKED]
    await events_of(model, later, [BOOK])
    assert "thinking" not in str(vendor.seen[-1].json()["messages"])
    assert not vendor.refusals


async def test_what_will_not_change_is_cached(vendor: AnthropicStandIn) -> None:
    tools = [BOOK, Tool("hang_up", "End the call.")]
    await events_of(built(vendor), (PROMPT, ASKED), tools)
    assert marks(vendor.seen[-1].json()) == [f"system {PROMPT.content}"]
    talk = (PROMPT, ASKED, ChatMessage("assistant", "For when?"), ASKED)
    await events_of(built(vendor), talk, tools)
    assert marks(vendor.seen[-1].json()) == [f"system {PROMPT.content}", "assistant text"]


async def test_nothing_is_cached_where_it_is_switched_off(vendor: AnthropicStandIn) -> None:
    talk = (PROMPT, ASKED, ChatMessage("assistant", "For when?"), ASKED)
    await events_of(built(vendor, enable_prompt_caching=False), talk, [BOOK])
    assert marks(vendor.seen[-1].json()) == []


async def test_several_results_stand_in_one_message(vendor: AnthropicStandIn) -> None:
    calls = tuple(ToolCall(f"toolu_{n}", "book_table", {"guests": n}) for n in (2, 3))
    told = [ChatMessage("tool", "ok", tool_call_id=call.id) for call in calls]
    history = [PROMPT, ASKED, ChatMessage("assistant", "", tool_calls=calls), *told, ASKED]
    await events_of(built(vendor), history, [BOOK])
    assert not vendor.refusals
    last = vendor.seen[-1].json()["messages"][-1]
    assert [block["type"] for block in last["content"]] == ["tool_result", "tool_result", "text"]


async def test_all_that_went_in_is_counted(vendor: AnthropicStandIn) -> None:
    vendor.written_tokens = 7
    events = await events_of(built(vendor))
    assert events[-1] == Usage(57, 11, cached_tokens=20, cache_write_tokens=7)


@pytest.mark.parametrize(
    ("kind", "reason", "retryable"),
    [
        ("overloaded_error", "unavailable", True),
        ("api_error", "unavailable", True),
        ("rate_limit_error", "quota", True),
        ("billing_error", "quota", False),
        ("something_new", "unavailable", True),
    ],
)
async def test_an_error_in_mid_stream_comes_after_what_was_said(
    vendor: AnthropicStandIn, kind: str, reason: str, retryable: bool
) -> None:
    vendor.breaks_with = kind
    heard: list[str] = []
    error = await failure_of(built(vendor), heard)
    assert heard == vendor.answer[:1]
    assert (error.reason, error.retryable) == (reason, retryable)
    assert kind in error.message


@pytest.mark.parametrize(
    ("stop", "answer"),
    [("refusal", ["I"]), ("refusal", []), ("max_tokens", [])]
    + [("model_context_window_exceeded", ["I"])],
)
async def test_an_answer_that_was_withheld_is_a_failure(
    vendor: AnthropicStandIn, stop: str, answer: list[str]
) -> None:
    vendor.stop, vendor.answer = stop, answer
    heard: list[str] = []
    error = await failure_of(built(vendor), heard)
    assert (error.reason, error.retryable, heard) == ("bad_request", False, answer)


async def test_nothing_of_the_servers_environment_goes_to_anthropic(
    vendor: AnthropicStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "BASE_URL"):
        monkeypatch.setenv(f"ANTHROPIC_{name}", "the-servers-own")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Gateway: the-servers-own")
    await events_of(built(vendor))
    headers = vendor.seen[-1].headers
    assert "the-servers-own" not in str(headers)
    assert KEY in str(headers)
    assert headers["anthropic-version"] == "2023-06-01"
