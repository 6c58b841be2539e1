"""Turns the chunks of a Chat Completions answer into what a conversation knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.providers import failures
from apps.providers.dialogue import ToolNames
from apps.providers.spoken_text import SpokenText
from apps.voice.ports import ModelEvent, ProviderError, TextDelta, ToolCall, Usage

Chunk = Mapping[str, Any]

_WITHHELD = frozenset(("content_filter", "safety", "recitation", "refusal"))


@dataclass(slots=True)
class _Call:
    """A tool call as far as it has arrived."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: Any = None


class Answer:
    """One answer. Text goes out as it comes; tool calls and usage when all is there.

    after_tool: whether a tool's result was the last that the model was told.
    """

    def __init__(self, provider: str, names: ToolNames, *, after_tool: bool) -> None:
        self._provider = provider
        self._names = names
        self._after_tool = after_tool
        self._text = SpokenText()
        self._said = False
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._finish = ""
        self.signatures: dict[str, Any] = {}

    def take(self, chunk: Chunk) -> Iterator[ModelEvent]:
        """Take the next chunk; yield what of it may be spoken."""
        self._usage = usage_of(chunk) or self._usage  # some tell it so far with every chunk
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self._finish = choice.get("finish_reason") or self._finish
            for part in delta.get("tool_calls") or ():
                self._collect(part)
            spoken = self._text.push(_content(delta))
            if spoken:
                yield self._delta(spoken)

    def finished(self, *, complete: bool, calls_before: int) -> Iterator[ModelEvent]:
        """Yield what stood out. complete: whether the vendor said that this was the end.

        calls_before: how many calls were made earlier, to name those that come without an id.
        Raises ProviderError for an answer that broke off, was withheld, or says nothing.
        """
        if not complete and not self._finish:
            raise failures.lost(self._provider)
        if rest := self._text.flush():
            yield self._delta(rest)
        self._judge()
        calls = [self._tool_call(c, calls_before + n) for n, c in enumerate(self._calls, start=1)]
        yield from calls
        if self._usage is not None:
            yield self._usage

    def _delta(self, text: str) -> TextDelta:
        self._said = self._said or bool(text.strip())
        return TextDelta(text)

    def _judge(self) -> None:
        finish = self._finish.lower().partition(":")[0]  # Google adds why
        if finish in _WITHHELD:
            raise ProviderError(
                self._provider, f"withheld the answer ({finish})", reason="bad_request"
            )
        if finish == "error":
            raise failures.status_error(self._provider, 500)
        if self._said or self._calls or self._after_tool:
            return
        if finish == "length":
            message = "used up max_tokens before it said a word"
            raise ProviderError(self._provider, message, reason="bad_request")
        raise ProviderError(
            self._provider, "answered nothing", reason="unavailable", retryable=True
        )

    def _collect(self, part: Chunk) -> None:
        """Add a splinter of a call to those before it.

        Some vendors number every call 0, and tell them apart by their ids alone.
        """
        index, call_id = part.get("index") or 0, part.get("id") or ""
        function = part.get("function") or {}
        call = self._at.get(index)
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._at[index] = _Call()
            self._calls.append(call)
        call.id = call_id or call.id
        name = function.get("name") or ""
        call.name += name if name != call.name else ""
        call.arguments += _text(function.get("arguments"))
        call.signature = part.get("extra_content") or call.signature

    def _tool_call(self, call: _Call, number: int) -> ToolCall:
        try:
            arguments = orjson.loads(call.arguments.strip() or "{}")
        except ValueError:
            arguments = None
        if not call.name or not isinstance(arguments, dict):
            raise failures.unreadable(self._provider)
        call_id = call.id or f"call_{number}"
        if call.signature:
            self.signatures[call_id] = call.signature
        return ToolCall(call_id, self._names.own(call.name), arguments)


def _text(arguments: Any) -> str:
    """Some servers send a call's arguments as the object itself."""
    if isinstance(arguments, dict):
        return orjson.dumps(arguments).decode()
    return arguments if isinstance(arguments, str) else ""


def _content(delta: Chunk) -> str:
    """Return a delta's words; not its reasoning. A refusal is the model's own words, too."""
    content = delta.get("content") or delta.get("refusal") or ""
    if isinstance(content, list):  # Mistral's reasoning models
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def usage_of(chunk: Chunk) -> Usage | None:
    """Read a chunk's usage, if it has one. What a vendor does not tell is not made up.

    xAI and Google count reasoning in the total alone.
    """
    told = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
    if not isinstance(told, dict):
        return None
    went_in, came_out = told.get("prompt_tokens"), told.get("completion_tokens")
    if not isinstance(went_in, int) or not isinstance(came_out, int):
        return None
    details = told.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached = (
        _count(details, "cached_tokens")
        or _count(told, "prompt_cache_hit_tokens")  # DeepSeek
        or _count(told, "cached_tokens")  # Together
    )
    return Usage(
        prompt_tokens=went_in,
        completion_tokens=max(came_out, _count(told, "total_tokens") - went_in),
        cached_tokens=cached,
        cache_write_tokens=_count(details, "cache_write_tokens"),
    )


def _count(told: Chunk, name: str) -> int:
    found = told.get(name)
    return found if isinstance(found, int) else 0
