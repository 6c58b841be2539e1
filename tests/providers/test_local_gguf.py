"""llama.cpp behind its port. With a model (GGUF_FILE) for real; without one, its refusals."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from apps.providers import local_gguf
from apps.providers.base import ServiceSettings
from apps.providers.local_gguf import LocalGguf, _Calls
from apps.providers.workers import GGUF
from apps.voice.ports import ChatMessage, ProviderError, TextDelta, ToolCall, Usage

FILE = os.environ.get("GGUF_FILE", "")
HISTORY = [ChatMessage("system", "You are kind."), ChatMessage("user", "Say hello.")]
with_model = pytest.mark.skipif(
    not (FILE and find_spec("xllamacpp")), reason="needs botsconfig[gguf] and GGUF_FILE"
)


def model(**options) -> LocalGguf:
    found = {"path": FILE, "context": 512, "max_tokens": 20, "temperature": 0.0, **options}
    return LocalGguf(ServiceSettings("local_gguf", options=found))


async def test_without_its_package_it_names_the_extra(monkeypatch):
    monkeypatch.setattr(local_gguf, "find_spec", lambda name: None)
    with pytest.raises(ProviderError, match=r"botsconfig\[gguf\]") as failure:
        await anext(model().reply(HISTORY, ()))
    assert failure.value.reason == "missing_extra"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "/nowhere/model.gguf"])
async def test_only_a_gguf_file_is_opened(monkeypatch, path):
    monkeypatch.setattr(local_gguf, "find_spec", lambda name: object())
    with pytest.raises(ProviderError) as failure:
        await anext(model(path=path).reply(HISTORY, ()))
    assert failure.value.reason == "bad_request"


def test_a_tool_call_in_splinters_becomes_one():
    calls = _Calls()
    for part in (
        {"index": 0, "id": "a", "function": {"name": "book", "arguments": '{"day"'}},
        {"index": 0, "function": {"arguments": ': "Friday"}'}},
    ):
        assert calls.events({"choices": [{"delta": {"tool_calls": [part]}}]}) == []
    assert calls.finished() == [ToolCall("a", "book", {"day": "Friday"})]


def test_an_error_chunk_is_a_provider_error():
    with pytest.raises(ProviderError):
        _Calls().events({"error": {"message": "too long"}})


@with_model
@pytest.mark.local_models
async def test_it_streams_words_and_says_what_they_cost():
    events = [event async for event in model().reply(HISTORY, ())]
    assert len([event for event in events if isinstance(event, TextDelta)]) > 3
    assert isinstance(events[-1], Usage)
    assert 0 < events[-1].completion_tokens <= 20


@with_model
@pytest.mark.local_models
async def test_leaving_early_stops_the_model():
    stream = model(max_tokens=400).reply(HISTORY, ())
    await anext(stream)
    await stream.aclose()
    local_gguf.GGUF.shutdown()  # returns when the thread is free again
    assert GGUF.idle


@with_model
@pytest.mark.local_models
async def test_a_prompt_beyond_the_context_is_refused():
    history = [ChatMessage("user", "word " * 3000)]
    with pytest.raises(ProviderError) as failure:
        await anext(model().reply(history, ()))
    assert failure.value.reason == "bad_request"
