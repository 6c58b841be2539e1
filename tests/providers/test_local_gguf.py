"""llama.cpp behind its port. With a model (GGUF_FILE) for real; without one, its refusals."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from apps.providers import local_gguf, registry
from apps.providers.base import ServiceSettings
from apps.providers.local_gguf import LocalGguf, _Calls
from apps.providers.workers import GGUF
from apps.voice.ports import ChatMessage, ProviderError, TextDelta, ToolCall, Usage

FILE = os.environ.get("GGUF_FILE", "")
HISTORY = [ChatMessage("system", "You are kind."), ChatMessage("user", "Say hello.")]
with_model = pytest.mark.skipif(
    not (FILE and find_spec("xllamacpp")), reason="needs botsconfig[gguf] and GGUF_FILE"
)


def model(**options: float) -> LocalGguf:
    found = {"max_tokens": 20, "temperature": 0.0, **options}
    return LocalGguf(ServiceSettings("local_gguf", model=Path(FILE).name, options=found))


async def refused(name: str) -> ProviderError:
    """Ask for an answer of the model ``name`` and return the refusal."""
    with pytest.raises(ProviderError) as failure:
        await anext(LocalGguf(ServiceSettings("local_gguf", model=name)).reply(HISTORY, ()))
    return failure.value


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The operator's folder: the one with the real model in it, if there is one."""
    found = Path(FILE).parent if FILE else tmp_path
    monkeypatch.setenv("GGUF_FOLDER", str(found))
    monkeypatch.setenv("GGUF_CONTEXT", "512")
    return found


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a file that is no model, beside a file that is none of the models."""
    monkeypatch.setattr(local_gguf, "find_spec", lambda name: True)
    found = tmp_path / "models"
    found.mkdir()
    (found / "a.gguf").write_bytes(b"no model")
    (tmp_path / "secret.gguf").write_bytes(b"secret")
    monkeypatch.setenv("GGUF_FOLDER", str(found))
    return found


async def test_without_its_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_gguf, "find_spec", lambda name: None)
    failure = await refused("a.gguf")
    assert failure.reason == "missing_extra"
    assert "botsconfig[gguf]" in failure.message


async def test_without_a_folder_it_says_so(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.delenv("GGUF_FOLDER")
    failure = await refused("a.gguf")
    assert (failure.reason, failure.retryable) == ("unavailable", False)
    assert "GGUF_FOLDER" in failure.message


def test_the_catalogue_says_that_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = replace(registry.PROVIDERS["llm", "local_gguf"], modules=())
    assert declared.missing() == ""
    monkeypatch.setenv("GGUF_FOLDER", "")
    assert declared.missing() == "GGUF_FOLDER is not set on this server."


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".gguf",
        "..",
        "a.bin",
        "a.gguf\0",
        "/etc/passwd",
        "../secret.gguf",
        "..\\secret.gguf",
        "deeper/a.gguf",
        "./a.gguf",
        "absent.gguf",
        "deeper.gguf",
    ],
)
async def test_only_a_file_of_the_folder_is_a_model(name: str, models: Path) -> None:
    (models / "deeper").mkdir()
    (models / "deeper" / "a.gguf").touch()
    (models / "deeper.gguf").mkdir()
    failure = await refused(name)
    assert failure.reason == "bad_request"
    assert str(models) not in str(failure)


async def test_a_link_out_of_the_folder_is_no_model(models: Path) -> None:
    (models / "link.gguf").symlink_to(models.parent / "secret.gguf")
    failure = await refused("link.gguf")
    assert failure.reason == "bad_request"
    assert "secret" not in str(failure)


def test_a_link_within_the_folder_is_its_file(models: Path) -> None:
    (models / "latest.gguf").symlink_to("a.gguf")
    assert local_gguf._file("latest.gguf") == (models / "a.gguf").resolve()


def test_the_folder_itself_may_be_a_link(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    (models.parent / "current").symlink_to(models)
    monkeypatch.setenv("GGUF_FOLDER", str(models.parent / "current"))
    assert local_gguf._file("a.gguf") == (models / "a.gguf").resolve()


async def test_a_third_model_is_refused_and_not_loaded(
    monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    held = {models / "x.gguf": object(), models / "y.gguf": object()}
    monkeypatch.setattr(local_gguf, "_servers", held)
    failure = await refused("a.gguf")
    assert (failure.reason, failure.retryable) == ("unavailable", False)
    assert "2 models" in failure.message
    assert len(held) == 2


def test_a_tool_call_in_splinters_becomes_one() -> None:
    calls = _Calls()
    for part in (
        {"index": 0, "id": "a", "function": {"name": "book", "arguments": '{"day"'}},
        {"index": 0, "function": {"arguments": ': "Friday"}'}},
    ):
        assert calls.events({"choices": [{"delta": {"tool_calls": [part]}}]}) == []
    assert calls.finished() == [ToolCall("a", "book", {"day": "Friday"})]


def test_an_error_chunk_is_a_provider_error() -> None:
    with pytest.raises(ProviderError):
        _Calls().events({"error": {"message": "too long"}})


@with_model
@pytest.mark.local_models
async def test_it_streams_words_and_says_what_they_cost() -> None:
    events = [event async for event in model().reply(HISTORY, ())]
    assert len([event for event in events if isinstance(event, TextDelta)]) > 3
    assert isinstance(events[-1], Usage)
    assert 0 < events[-1].completion_tokens <= 20


@with_model
@pytest.mark.local_models
async def test_leaving_early_stops_the_model() -> None:
    stream = model(max_tokens=400).reply(HISTORY, ())
    await anext(stream)
    await stream.aclose()
    GGUF.shutdown()  # returns when the thread is free again
    assert GGUF.idle


@with_model
@pytest.mark.local_models
async def test_a_prompt_beyond_the_context_is_refused() -> None:
    history = [ChatMessage("user", "word " * 3000)]
    with pytest.raises(ProviderError) as failure:
        await anext(model().reply(history, ()))
    assert failure.value.reason == "bad_request"
