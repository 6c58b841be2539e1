"""What every language model's adapter must do, tried against a stand-in as strict as its vendor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.registry import PROVIDERS
from apps.voice.ports import (
    ChatMessage,
    ModelEvent,
    ProviderError,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
    Warmable,
)
from tests.vendors.histories import ASKED, BOOK, HISTORIES, PROMPT
from tests.vendors.kinds import ModelStandIn, Subject, tasks_running
from tests.vendors.serving import KEY, SECRET, WRONG_KEY, Fault, serving
from tests.vendors.subjects import MODELS


@pytest.fixture(params=MODELS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Subject:
    found: Subject = request.param
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
async def vendor(subject: Subject) -> AsyncIterator[ModelStandIn]:
    async with serving(subject.stand_in()) as stand_in:
        assert isinstance(stand_in, ModelStandIn)
        yield stand_in


def each(name: str, variants: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Try every subject with every variant, under the names of both."""
    tried = [
        pytest.param(subject, variant, id=f"{subject.id}:{label}")
        for subject in MODELS
        for label, variant in variants.items()
    ]
    return pytest.mark.parametrize(("subject", name), tried, indirect=["subject"])


def built(subject: Subject, vendor: ModelStandIn, **more: Any) -> Any:
    return subject.build(subject.service(vendor.url, **more))


def with_options(
    subject: Subject, vendor: ModelStandIn, options: Mapping[str, Any]
) -> ServiceSettings:
    return replace(subject.service(vendor.url), options=options)


async def events_of(
    model: Any, messages: Sequence[ChatMessage] = (PROMPT, ASKED), tools: Sequence[Tool] = ()
) -> list[ModelEvent]:
    async with aclosing(model.reply(messages, tools)) as events:
        return [event async for event in events]


def text_of(events: Sequence[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def failure_of(model: Any, heard: list[str] | None = None, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        async with aclosing(model.reply((PROMPT, ASKED), more.get("tools", ()))) as events:
            async for event in events:
                if heard is not None and isinstance(event, TextDelta):
                    heard.append(event.text)
    return caught.value


# --- answers --------------------------------------------------------------------------------------


async def test_the_first_piece_comes_before_the_rest_exists(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.hold = asyncio.Event()
    async with aclosing(built(subject, vendor).reply((PROMPT, ASKED), ())) as events:
        assert await anext(events) == TextDelta(vendor.answer[0])
        vendor.hold.set()
        rest = [event async for event in events]
    assert text_of(rest) == "".join(vendor.answer[1:])
    assert not vendor.refusals


async def test_the_usage_comes_once_and_last(subject: Subject, vendor: ModelStandIn) -> None:
    events = await events_of(built(subject, vendor))
    assert [event for event in events if isinstance(event, Usage)] == [events[-1]]
    assert events[-1] == Usage(
        vendor.prompt_tokens, vendor.completion_tokens, cached_tokens=vendor.cached_tokens
    )


async def test_a_tool_is_called_and_told_of(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.calls = [("book_table", {"guests": 2})]
    model = built(subject, vendor)
    first = await events_of(model, tools=[BOOK])
    (call,) = [event for event in first if isinstance(event, ToolCall)]
    assert (call.name, dict(call.arguments)) == ("book_table", {"guests": 2})
    vendor.calls = []
    asked = ChatMessage("assistant", text_of(first), tool_calls=(call,))
    done = ChatMessage("tool", '{"booked": true}', tool_call_id=call.id)
    again = await events_of(model, (PROMPT, ASKED, asked, done), [BOOK])
    assert text_of(again) == "".join(vendor.answer)
    assert not vendor.refusals


async def test_two_tools_are_called_at_once(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.answer = []
    vendor.calls = [("book_table", {"guests": 2}), ("book_table", {"guests": 5})]
    model = built(subject, vendor)
    calls = [e for e in await events_of(model, tools=[BOOK]) if isinstance(e, ToolCall)]
    assert [call.arguments["guests"] for call in calls] == [2, 5]
    assert len({call.id for call in calls}) == 2
    vendor.answer, vendor.calls = ["Done."], []
    told = [ChatMessage("tool", "ok", tool_call_id=call.id) for call in calls]
    history = (PROMPT, ASKED, ChatMessage("assistant", "", tool_calls=tuple(calls)), *told)
    assert text_of(await events_of(model, history, [BOOK])) == "Done."
    assert not vendor.refusals


async def test_a_call_without_arguments_has_none(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.calls = [("hang_up", {})]
    events = await events_of(built(subject, vendor), tools=[Tool("hang_up", "End the call.")])
    (call,) = [event for event in events if isinstance(event, ToolCall)]
    assert dict(call.arguments) == {}


async def test_a_name_that_no_vendor_takes_is_found_again(
    subject: Subject, vendor: ModelStandIn
) -> None:
    odd = Tool("front desk/reserve a table – with all that belongs to it, sea view included", "")
    vendor.calls = [("x", {})]

    model = built(subject, vendor)
    await events_of(model, tools=[odd])
    sent = vendor.seen[-1].json()["tools"][0]
    vendor.calls = [(sent.get("name") or sent["function"]["name"], {})]
    (call,) = [e for e in await events_of(model, tools=[odd]) if isinstance(e, ToolCall)]
    assert call.name == odd.name
    assert not vendor.refusals


@each("history", HISTORIES)
async def test_every_history_is_taken(
    subject: Subject, vendor: ModelStandIn, history: Sequence[ChatMessage]
) -> None:
    events = await events_of(built(subject, vendor), history, [BOOK])
    assert text_of(events) == "".join(vendor.answer), vendor.refusals


async def test_every_declared_option_is_taken(subject: Subject, vendor: ModelStandIn) -> None:
    given = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 200,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "seed": 7,
        "enable_prompt_caching": True,
    }
    declared = {option.name for option in PROVIDERS["llm", subject.provider].options}
    options = {name: value for name, value in given.items() if name in declared}
    events = await events_of(subject.build(with_options(subject, vendor, options)), tools=[BOOK])
    assert text_of(events), vendor.refusals
    sent = vendor.seen[-1].json()
    assert 200 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


async def test_extra_is_passed_on_as_it_stands(subject: Subject, vendor: ModelStandIn) -> None:
    own: dict[str, dict[str, Any]] = {
        "anthropic": {"stop_sequences": ["\n"]},
        "grok": {"user": "u"},
    }
    extra = {**own.get(subject.provider, {"stop": ["\n"]}), "stream": False}
    await events_of(subject.build(with_options(subject, vendor, {"extra": extra})))
    sent = vendor.seen[-1].json()
    assert {name: sent[name] for name in extra} == {**extra, "stream": True}


# --- leaving --------------------------------------------------------------------------------------


async def test_closing_the_answer_tells_the_vendor(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.hold = asyncio.Event()
    events = built(subject, vendor).reply((PROMPT, ASKED), ())
    await anext(events)
    await events.aclose()
    await vendor.until(lambda: vendor.broken_off == 1)


async def test_cancelling_the_task_tells_the_vendor(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.hold = asyncio.Event()
    begun = asyncio.Event()
    model = built(subject, vendor)

    async def listen() -> None:
        async with aclosing(model.reply((PROMPT, ASKED), ())) as events:
            async for _ in events:
                begun.set()

    task = asyncio.create_task(listen())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await vendor.until(lambda: vendor.broken_off == 1)
    vendor.hold = None
    assert text_of(await events_of(model)) == "".join(vendor.answer)


async def test_cancelling_before_an_answer_tells_the_vendor(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.fault = Fault("mute")
    task = asyncio.create_task(events_of(built(subject, vendor)))
    await vendor.until(lambda: bool(vendor.seen))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await vendor.until(lambda: vendor.broken_off == 1)


async def test_closing_the_model_leaves_the_connections_to_others(
    subject: Subject, vendor: ModelStandIn
) -> None:
    model = built(subject, vendor)
    await model.aclose()
    await events_of(model)
    await model.aclose()
    await model.aclose()
    assert text_of(await events_of(built(subject, vendor))) == "".join(vendor.answer)
    assert len({seen.port for seen in vendor.seen}) == 1


# --- connections ----------------------------------------------------------------------------------


async def test_warming_up_saves_the_handshake(subject: Subject, vendor: ModelStandIn) -> None:
    model = built(subject, vendor)
    assert isinstance(model, Warmable)
    await model.warm()
    assert [seen.method for seen in vendor.seen] == ["GET"]
    assert not vendor.refusals
    await events_of(model)
    assert vendor.seen[0].port == vendor.seen[1].port


@each("why", {why: why for why in ("no key", "nobody there", "mute")})
async def test_warming_up_raises_nothing(subject: Subject, vendor: ModelStandIn, why: str) -> None:
    url = "http://127.0.0.1:9" if why == "nobody there" else vendor.url
    key = "" if why == "no key" else KEY
    if why == "mute":
        vendor.fault = Fault("mute")
    await subject.build(subject.service(url, key=key, patience_s=0.3)).warm()


async def test_a_stale_connection_is_survived(subject: Subject, vendor: ModelStandIn) -> None:
    model = built(subject, vendor)
    await events_of(model)
    vendor.stale = 1  # the vendor closes it at the very moment that we use it again
    assert text_of(await events_of(model)) == "".join(vendor.answer)
    assert len({seen.port for seen in vendor.seen}) == 2


async def test_a_vendor_that_hangs_up_on_a_new_connection_is_asked_once(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.stale = 1
    error = await failure_of(built(subject, vendor))
    assert (error.reason, error.retryable) == ("unavailable", True)
    assert len(vendor.seen) == 1


async def test_a_vendor_that_hangs_up_twice_is_asked_twice(
    subject: Subject, vendor: ModelStandIn
) -> None:
    model = built(subject, vendor)
    await events_of(model)
    vendor.stale = 5
    error = await failure_of(model)
    assert (error.reason, error.retryable) == ("unavailable", True)
    assert len(vendor.seen) == 3


async def test_nothing_is_left_after_a_hundred_answers(
    subject: Subject, vendor: ModelStandIn
) -> None:
    await events_of(built(subject, vendor))
    before = tasks_running()
    for n in range(100):
        model = built(subject, vendor)
        if n % 3:
            await events_of(model)
        else:
            async with aclosing(model.reply((PROMPT, ASKED), ())) as events:
                await anext(events)
        await model.aclose()
    await vendor.until(lambda: vendor.live == 0)
    await vendor.until(lambda: tasks_running() <= before)


# --- failures -------------------------------------------------------------------------------------


STATUSES = {
    400: ("bad_request", False),
    401: ("auth", False),
    402: ("quota", False),
    403: ("auth", False),
    404: ("bad_request", False),
    429: ("quota", True),
    500: ("unavailable", True),
    503: ("unavailable", True),
    529: ("unavailable", True),
}


@each("status", {str(status): status for status in STATUSES})
async def test_a_status_has_its_meaning(
    subject: Subject, vendor: ModelStandIn, status: int
) -> None:
    vendor.fault = Fault("status", status)
    error = await failure_of(built(subject, vendor))
    assert (error.reason, error.retryable) == STATUSES[status]
    assert error.provider == subject.provider
    assert "exceeded" not in str(error)
    assert len(vendor.seen) == 1


async def test_a_wrong_key_is_one(subject: Subject, vendor: ModelStandIn) -> None:
    error = await failure_of(built(subject, vendor, key=WRONG_KEY))
    assert (error.reason, error.retryable) == ("auth", False)


@each("key", {"none": "", "with a space": "with space", "two lines": "two\nlines"})
async def test_a_key_that_is_none_is_not_sent(
    subject: Subject, vendor: ModelStandIn, key: str
) -> None:
    if subject.provider == "custom_llm" and not key:
        pytest.skip("does without a key")
    error = await failure_of(built(subject, vendor, key=key))
    assert error.reason == "auth"
    assert not vendor.seen


async def test_a_cut_comes_after_what_was_said(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.fault = Fault("cut")
    heard: list[str] = []
    error = await failure_of(built(subject, vendor), heard)
    assert heard == vendor.answer[:1]
    assert (error.reason, error.retryable) == ("unavailable", True)


async def test_an_answer_without_its_end_is_a_failure(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.ends_early = True
    heard: list[str] = []
    error = await failure_of(built(subject, vendor), heard)
    assert heard == vendor.answer[:1]
    assert (error.reason, error.retryable) == ("unavailable", True)


@each("kind", {kind: kind for kind in ("empty", "error_body", "garbage")})
async def test_an_answer_that_is_none_is_a_failure(
    subject: Subject, vendor: ModelStandIn, kind: Any
) -> None:
    vendor.fault = Fault(kind)
    error = await failure_of(built(subject, vendor))
    assert (error.reason, error.retryable) == ("unavailable", True)


async def test_nothing_more_to_say_after_a_tool_is_no_failure(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.answer = []
    call = ToolCall("call00001", "book_table", {"guests": 2})
    asked = ChatMessage("assistant", "One moment.", tool_calls=(call,))
    done = ChatMessage("tool", "booked", tool_call_id=call.id)
    events = await events_of(built(subject, vendor), (PROMPT, ASKED, asked, done), [BOOK])
    assert [type(event) for event in events] == [Usage], vendor.refusals


async def test_a_mute_vendor_is_not_waited_for(subject: Subject, vendor: ModelStandIn) -> None:
    vendor.fault = Fault("mute")
    error = await failure_of(built(subject, vendor, patience_s=0.2))
    assert (error.reason, error.retryable) == ("timeout", True)
    await vendor.until(lambda: vendor.broken_off == 1)


async def test_a_vendor_that_stops_in_mid_answer_is_not_waited_for(
    subject: Subject, vendor: ModelStandIn
) -> None:
    vendor.hold = asyncio.Event()
    heard: list[str] = []
    error = await failure_of(built(subject, vendor, patience_s=0.3), heard)
    assert heard == vendor.answer[:1]
    assert error.reason == "timeout"
    await vendor.until(lambda: vendor.broken_off == 1)


async def test_nobody_there_is_said_so(subject: Subject) -> None:
    error = await failure_of(subject.build(subject.service("http://127.0.0.1:9")))
    assert (error.reason, error.retryable) == ("unavailable", True)


async def test_arguments_that_are_no_object_call_nothing(
    subject: Subject, vendor: ModelStandIn
) -> None:
    if subject.provider == "gemini":
        pytest.skip("sends a call in one piece, as JSON")
    vendor.calls = [("book_table", {"guests": 2})]
    for torn in (['{"gues', "ts: tw"], ["[1, ", "2]"], ['"guests"']):
        vendor.arguments = torn  # type: ignore[attr-defined]
        called: list[ModelEvent] = []
        with pytest.raises(ProviderError) as caught:
            async with aclosing(built(subject, vendor).reply((PROMPT, ASKED), (BOOK,))) as events:
                async for event in events:
                    called.append(event)
        assert not [event for event in called if isinstance(event, ToolCall)]
        assert (caught.value.reason, caught.value.retryable) == ("unavailable", True)


# --- secrets --------------------------------------------------------------------------------------


async def test_nothing_secret_is_logged_or_shown(
    subject: Subject, vendor: ModelStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    shown = []
    with caplog.at_level(logging.DEBUG):
        model = built(subject, vendor)
        await model.warm()
        await events_of(model, tools=[BOOK])
        for kind in ("status", "cut", "garbage", "error_body"):
            vendor.fault = Fault(kind, 400, times=1)
            shown.append(await failure_of(model))
        shown.append(await failure_of(built(subject, vendor, key=WRONG_KEY)))
    assert caplog.records
    told = caplog.text + "".join(f"{error!r}{error}{error.__cause__!r}" for error in shown)
    assert not SECRET.search(told)
    assert "SECRET" not in told
    assert KEY not in repr(subject.service(vendor.url))


# --- the real vendor ------------------------------------------------------------------------------
