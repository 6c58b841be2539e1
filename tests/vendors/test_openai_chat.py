"""What is one vendor's own among those that speak Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from apps.providers.chat_answers import Answer, usage_of
from apps.providers.dialogue import ToolNames
from apps.providers.event_stream import taken
from apps.voice.ports import ChatMessage, ProviderError, TextDelta, ToolCall, Usage
from tests.vendors import openai_chat as chat
from tests.vendors.histories import ASKED, BOOK, PROMPT
from tests.vendors.kinds import Subject
from tests.vendors.openai_chat import ChatStandIn
from tests.vendors.serving import KEY, Fault, StandIn, serving
from tests.vendors.subjects import MODELS
from tests.vendors.test_every_model import events_of, failure_of, text_of

SUBJECTS = {subject.provider: subject for subject in MODELS}
SAMPLED = {"temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.1}


def subject_of(provider: str, model: str = "", options: Mapping[str, Any] | None = None) -> Subject:
    found = SUBJECTS[provider]
    settings = {"model": model or found.settings["model"], "options": dict(options or {})}
    return replace(found, settings=settings)


def vendor_of(provider: str, **other: Any) -> AbstractAsyncContextManager[StandIn]:
    stand_in = SUBJECTS[provider].stand_in()
    return serving(ChatStandIn(replace(stand_in.vendor, **other)))


async def sent(vendor: StandIn, subject: Subject, tools: Any = ()) -> dict[str, Any]:
    assert text_of(await events_of(subject.build(subject.service(vendor.url)), tools=tools))
    assert not vendor.refusals
    return dict(vendor.seen[-1].json())


# --- OpenAI ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tools", [(), (BOOK,)], ids=["alone", "with tools"])
@pytest.mark.parametrize(
    ("model", "effort", "samples"),
    [
        ("gpt-4.1-mini", None, True),
        ("gpt-4o", None, True),
        ("gpt-5", "minimal", False),
        ("gpt-5-mini-2025-08-07", "minimal", False),
        ("gpt-5.1", None, True),
        ("gpt-5.2", None, True),
        ("gpt-5.4-mini", None, True),
        ("gpt-5.5", "none", True),
        ("gpt-5.6-luna", "none", True),
        ("gpt-6-luna", "none", True),
        ("gpt-6.2-astra", "none", True),
    ],
)
async def test_a_model_reasons_as_little_as_it_can(
    model: str, effort: str | None, samples: bool, tools: Any
) -> None:
    async with vendor_of("openai") as vendor:
        body = await sent(vendor, subject_of("openai", model, SAMPLED), tools)
    assert body.get("reasoning_effort") == effort
    assert (body.keys() >= SAMPLED.keys()) is samples
    assert bool(body.keys() & SAMPLED.keys()) is samples


async def test_whoever_wants_reasoning_gets_it_without_sampling() -> None:
    options = {**SAMPLED, "extra": {"reasoning_effort": "high"}}
    async with vendor_of("openai") as vendor:
        body = await sent(vendor, subject_of("openai", "gpt-5.4", options))
    assert body["reasoning_effort"] == "high"
    assert not body.keys() & SAMPLED.keys()


async def test_nothing_of_the_servers_environment_goes_to_a_vendor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "BASE_URL"):
        monkeypatch.setenv(f"OPENAI_{name}", "the-servers-own")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: the-servers-own")
    async with vendor_of("custom_llm") as vendor:
        subject = SUBJECTS["custom_llm"]
        await events_of(subject.build(subject.service(vendor.url, key="")))
        await events_of(subject.build(subject.service(vendor.url)))
    assert "the-servers-own" not in str([seen.headers for seen in vendor.seen])
    assert "authorization" not in vendor.seen[0].headers
    assert vendor.seen[1].headers["authorization"] == f"Bearer {KEY}"


# --- the others -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("groq", "openai/gpt-oss-20b", {"reasoning_effort": "low", "include_reasoning": False}),
        ("groq", "qwen/qwen3.6-27b", {"reasoning_effort": "none"}),
        ("groq", "llama-3.3-70b-versatile", {}),
        ("grok", "grok-4.3", {"reasoning_effort": "none"}),
        ("grok", "grok-4.20-0309-non-reasoning", {"presence_penalty": 0.1}),
        ("gemini", "gemini-2.5-flash", {"reasoning_effort": "none"}),
        ("gemini", "gemini-2.5-pro", {"reasoning_effort": "low"}),
        ("gemini", "gemini-3.8-flash", {"reasoning_effort": "minimal"}),
        ("gemini", "gemini-4-argon", {"reasoning_effort": "low"}),
        ("together", "openai/gpt-oss-20b", {"reasoning_effort": "low"}),
        ("together", "Qwen/Qwen3.5-9B", {"reasoning": {"enabled": False}}),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", {}),
        ("deepseek", "deepseek-flash", {"thinking": {"type": "disabled"}}),
        ("openrouter", "openai/gpt-5.4", {"reasoning": {"effort": "minimal", "exclude": True}}),
        ("openrouter", "anthropic/claude-haiku-4.5", {"reasoning": {"exclude": True}}),
        ("mistral", "mistral-small-latest", {"random_seed": 7}),
    ],
)
async def test_a_vendors_model_is_asked_in_its_own_words(
    provider: str, model: str, expected: dict[str, Any]
) -> None:
    options = {"presence_penalty": 0.1, "seed": 7}
    if provider == "deepseek":  # declares no seed
        del options["seed"]
    async with vendor_of(provider) as vendor:
        body = await sent(vendor, subject_of(provider, model, options), [BOOK])
    thinking = {"reasoning_effort", "include_reasoning", "reasoning", "thinking"}
    assert body.items() >= expected.items()
    assert body.keys() & thinking == expected.keys() & thinking


async def test_what_google_signed_comes_back_to_it() -> None:
    async with vendor_of("gemini") as vendor:
        assert isinstance(vendor, ChatStandIn)
        subject = SUBJECTS["gemini"]
        model = subject.build(subject.service(vendor.url))
        vendor.calls = [("book_table", {"guests": 2})]
        (call,) = [e for e in await events_of(model, tools=[BOOK]) if isinstance(e, ToolCall)]
        older = ToolCall("of another model", "book_table", {})
        history = [PROMPT, ASKED]
        for made in (older, call):
            history.append(ChatMessage("assistant", "", tool_calls=(made,)))
            history.append(ChatMessage("tool", "ok", tool_call_id=made.id))
        await events_of(model, history, [BOOK])
    calls = [c for m in vendor.seen[-1].json()["messages"] for c in m.get("tool_calls", ())]
    signed = [call["extra_content"]["google"]["thought_signature"] for call in calls]
    assert signed == ["skip_thought_signature_validator", "signature-0"]


async def test_thoughts_are_never_spoken() -> None:
    options = {"extra": {"thinking": {"type": "enabled"}}}
    async with vendor_of("deepseek") as vendor:
        subject = subject_of("deepseek", options=options)
        events = await events_of(subject.build(subject.service(vendor.url)))
    assert vendor.seen[-1].json()["thinking"] == {"type": "enabled"}
    assert text_of(events) == "Hello there. How can I help – today?"


async def test_thoughts_in_the_text_are_never_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    async with vendor_of("custom_llm") as vendor:
        assert isinstance(vendor, ChatStandIn)
        vendor.answer = ["<th", "ink>SECRET", "-THOUGHT</thi", "nk>", "\n\n", "Hello", " there."]
        subject = SUBJECTS["custom_llm"]
        events = await events_of(subject.build(subject.service(vendor.url)))
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["Hello", " there."]


# --- a server of one's own ------------------------------------------------------------------------


async def test_a_server_is_asked_where_the_option_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    async with vendor_of("custom_llm", prefix="/models/v2") as vendor:
        for given in ("/models/v2", "/models/v2/", "/models/v2/chat/completions"):
            subject = subject_of("custom_llm", options={"base_url": vendor.url + given})
            assert text_of(await events_of(subject.build(subject.service(""))))


@pytest.mark.parametrize(
    "given",
    ["", "models.example.com", "ftp://models.example.com", "https://", "http://[", "http://a b"],
)
async def test_without_a_good_url_the_option_is_named(given: str) -> None:
    subject = subject_of("custom_llm", options={"base_url": given})
    model = subject.build(subject.service(""))
    await model.warm()
    error = await failure_of(model)
    assert (error.reason, error.retryable) == ("bad_request", False)
    assert "base_url" in error.message


async def test_a_private_address_is_refused_with_the_name_that_allows_it() -> None:
    async with vendor_of("custom_llm") as vendor:
        subject = SUBJECTS["custom_llm"]
        error = await failure_of(subject.build(subject.service(vendor.url)))
        assert not vendor.seen
    assert (error.reason, error.retryable) == ("bad_request", False)
    assert "PRIVATE_ADDRESSES" in error.message


# --- answers --------------------------------------------------------------------------------------


async def test_a_usage_that_is_not_told_is_not_made_up() -> None:
    async with vendor_of("mistral", usage="never") as vendor:
        subject = SUBJECTS["mistral"]
        events = await events_of(subject.build(subject.service(vendor.url)))
    assert {type(event) for event in events} == {TextDelta}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"usage": None}, None),
        ({"usage": {"prompt_tokens": 5}}, None),
        ({"usage": {"prompt_tokens": "5", "completion_tokens": 2}}, None),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 2}}, Usage(5, 2)),
        ({"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 2}}}, Usage(5, 2)),
        (
            {"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 11}},
            Usage(5, 6),
        ),
        (
            {
                "usage": {
                    "prompt_tokens": 5,
                    "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
                }
            },
            Usage(5, 2, cached_tokens=3, cache_write_tokens=1),
        ),
    ],
)
def test_a_usage_is_read_in_every_vendors_form(told: dict[str, Any], usage: Usage | None) -> None:
    assert usage_of(told) == usage


@pytest.mark.parametrize(
    ("answer", "finish", "reason"),
    [([], "length", "bad_request"), ([], "content_filter", "bad_request")]
    + [(["I"], "content_filter", "bad_request"), (["I"], "error", "unavailable")],
)
async def test_an_answer_that_was_withheld_is_a_failure(
    answer: list[str], finish: str, reason: str
) -> None:
    async with vendor_of("openai") as vendor:
        assert isinstance(vendor, ChatStandIn)
        vendor.answer, vendor.finish = answer, finish
        subject = SUBJECTS["openai"]
        heard: list[str] = []
        error = await failure_of(subject.build(subject.service(vendor.url)), heard)
    assert (error.reason, heard) == (reason, answer)


async def test_an_answer_that_grew_too_long_is_spoken_as_far_as_it_came() -> None:
    async with vendor_of("openai") as vendor:
        assert isinstance(vendor, ChatStandIn)
        vendor.finish = "length"
        subject = SUBJECTS["openai"]
        events = await events_of(subject.build(subject.service(vendor.url)))
    assert text_of(events) == "".join(vendor.answer)
    assert isinstance(events[-1], Usage)


@pytest.mark.parametrize(
    ("told", "reason", "retryable"),
    [
        ({"code": 429, "message": "SECRET"}, "quota", True),
        ({"code": 402, "message": "SECRET"}, "quota", False),
        ({"code": "server_error", "message": "SECRET"}, "unavailable", True),
        ({"code": "insufficient_quota", "message": "SECRET"}, "quota", False),
        ({"type": "overloaded_error", "message": "SECRET"}, "unavailable", True),
        ("SECRET", "unavailable", True),
    ],
)
async def test_an_error_in_mid_answer_comes_after_what_was_said(
    told: Any, reason: str, retryable: bool
) -> None:
    async with vendor_of("openrouter") as vendor:
        assert isinstance(vendor, ChatStandIn)
        vendor.breaks_with = told
        subject = SUBJECTS["openrouter"]
        heard: list[str] = []
        error = await failure_of(subject.build(subject.service(vendor.url)), heard)
    assert heard == vendor.answer[:1]
    assert (error.reason, error.retryable) == (reason, retryable)
    assert "SECRET" not in str(error)


async def test_a_call_that_groq_could_not_make_may_be_tried_again() -> None:
    def failed(status: int, why: str, code: str | None) -> Any:
        return {"error": {"message": why, "code": "tool_use_failed", "failed_generation": "<f>"}}

    async with vendor_of("groq", error=failed) as vendor:
        vendor.fault = Fault("status", 400)
        subject = SUBJECTS["groq"]
        error = await failure_of(subject.build(subject.service(vendor.url)), tools=[BOOK])
    assert (error.reason, error.retryable) == ("unavailable", True)


# --- calls, as servers really send them -----------------------------------------------------------


def called(*parts: dict[str, Any]) -> list[ToolCall]:
    answer = Answer("custom_llm", ToolNames([BOOK]), after_tool=False)
    for part in parts:
        assert not list(answer.take({"choices": [{"delta": {"tool_calls": [part]}}]}))
    events = answer.finished(complete=True, calls_before=3)
    return [event for event in events if isinstance(event, ToolCall)]


def part(name: str = "", arguments: Any = "", **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def test_a_call_without_an_id_gets_one() -> None:
    found = called(part("book_table", "{}", index=0), part("book_table", "{}", index=1))
    assert [call.id for call in found] == ["call_4", "call_5"]


def test_arguments_may_come_as_an_object() -> None:
    (call,) = called(part("book_table", {"guests": 2}, id="a"))
    assert call == ToolCall("a", "book_table", {"guests": 2})


def test_calls_that_are_all_numbered_nought_are_told_apart_by_their_ids() -> None:
    found = called(
        part("book_table", '{"guests": 2}', id="a", index=0),
        part("book_table", '{"guests": 3}', id="b", index=0),
    )
    assert [call.arguments for call in found] == [{"guests": 2}, {"guests": 3}]


def test_a_name_that_is_said_again_with_every_splinter_is_said_once() -> None:
    (call,) = called(
        part("book_table", '{"guests"', id="a", index=0),
        part("book_table", ": 2}", id="a", index=0),
    )
    assert call == ToolCall("a", "book_table", {"guests": 2})


def test_one_unreadable_call_calls_none() -> None:
    with pytest.raises(ProviderError):
        called(part("book_table", "{}", id="a", index=0), part("book_table", "{", id="b", index=1))


@pytest.mark.parametrize(
    "chunk", [{"choices": [None]}, {"choices": 5}, {"choices": [{"delta": "Hi"}]}, {"choices": {}}]
)
async def test_what_no_vendor_documents_is_a_failure(chunk: dict[str, Any]) -> None:
    answer = Answer("custom_llm", ToolNames([]), after_tool=False)
    with pytest.raises(ProviderError):
        taken(answer, "custom_llm", json.dumps(chunk).encode())
        list(answer.finished(complete=False, calls_before=0))


async def test_half_a_character_does_not_break_a_call() -> None:
    async with vendor_of("openai") as vendor:
        subject = SUBJECTS["openai"]
        history = (PROMPT, ChatMessage("user", "half \ud83d of one"))
        assert text_of(await events_of(subject.build(subject.service(vendor.url)), history))
    assert not vendor.refusals


def test_every_vendor_is_tried_with_its_own_rules() -> None:
    tried = {subject.stand_in().vendor for subject in MODELS if subject.provider != "anthropic"}
    assert len(tried) == len(SUBJECTS) - 1
    assert chat.OPENAI in tried
