"""The Messages API's form of a conversation, and its events. Source: as in ``anthropic``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.providers import failures
from apps.providers.dialogue import ToolNames, alternating, parameters
from apps.voice.ports import (
    ChatMessage,
    ModelEvent,
    ProviderError,
    TextDelta,
    Tool,
    ToolCall,
    Usage,
)

Fields = dict[str, Any]
# What the model thought before its tool calls, by the id of the first of them.
Blocks = dict[str, list[Fields]]

_CACHED = {"type": "ephemeral"}
_UNSAFE_ID = re.compile(r"[^a-zA-Z0-9_-]")


def conversation(
    messages: Sequence[ChatMessage], names: ToolNames, *, thoughts: Blocks, caches: bool
) -> Fields:
    """Return the request's ``system`` and ``messages``.

    thoughts: what the model thought in this turn; it wants that back beside the tools' results.
    caches: whether to mark what will not change any more: tools and system, and the last that the
    bot said. (The caller's last words may still grow: an unanswered question is continued.)
    """
    history = alternating(messages)
    system = [m.content for m in history if m.role == "system"]
    turns: list[Fields] = []
    for message in history:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, names, thoughts)
        if turns and turns[-1]["role"] == role:  # several results, or words behind one
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    found: Fields = {"messages": turns}
    if system:
        found["system"] = [{"type": "text", "text": text} for text in system]
    if caches:
        _mark(found)
    return found


def tool(found: Tool, names: ToolNames) -> Fields:
    """Return a tool in Anthropic's schema."""
    return {
        "name": names.safe(found.name),
        "description": found.description,
        "input_schema": parameters(found),
    }


def _blocks(message: ChatMessage, names: ToolNames, thoughts: Blocks) -> list[Fields]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": _safe_id(message.tool_call_id)}
        return [{**result, "content": message.content}]
    first = message.tool_calls[0].id if message.tool_calls else ""
    found = list(thoughts.get(first, ()))
    if message.content.strip():
        found.append({"type": "text", "text": message.content})
    for call in message.tool_calls:
        used = {"type": "tool_use", "id": _safe_id(call.id), "name": names.safe(call.name)}
        found.append({**used, "input": dict(call.arguments)})
    return found


def _safe_id(call_id: str) -> str:
    return _UNSAFE_ID.sub("_", call_id) or "_"


def _mark(request: Fields) -> None:
    """Mark what the cache may keep, with two of the four marks that there may be."""
    if "system" in request:
        request["system"][-1]["cache_control"] = _CACHED
    said = [turn for turn in request["messages"] if turn["role"] == "assistant"]
    if said:
        said[-1]["content"][-1]["cache_control"] = _CACHED


@dataclass(slots=True)
class _Block:
    """A content block as far as it has arrived."""

    start: Fields
    parts: list[str] = field(default_factory=list)
    signature: str = ""

    def thought(self) -> Fields | None:
        """Return the block as it must come back, if it is one of thinking."""
        match self.start.get("type"):
            case "thinking":
                text = str(self.start.get("thinking") or "") + "".join(self.parts)
                return {"type": "thinking", "thinking": text, "signature": self.signature}
            case "redacted_thinking":
                return {"type": "redacted_thinking", "data": self.start.get("data", "")}
        return None


class Answer:
    """One answer. Text goes out as it comes; tool calls and usage when all is there."""

    def __init__(self, provider: str, names: ToolNames, *, after_tool: bool) -> None:
        self._provider = provider
        self._names = names
        self._after_tool = after_tool
        self._said = False
        self._blocks: dict[int, _Block] = {}
        self._usage: Fields = {}
        self._stop = ""
        self.ended = False
        self.thoughts: Blocks = {}

    def take(self, event: Mapping[str, Any]) -> Iterator[ModelEvent]:
        """Take the next event; yield what of it may be spoken. Unknown kinds mean nothing."""
        match event.get("type"):
            case "content_block_delta":
                yield from self._grown(event.get("index", 0), event.get("delta") or {})
            case "content_block_start":
                block = _Block(event.get("content_block") or {})
                self._blocks[event.get("index", 0)] = block
                yield from self._text(block.start.get("text"))
            case "message_start":
                self._count((event.get("message") or {}).get("usage"))
            case "message_delta":
                self._stop = (event.get("delta") or {}).get("stop_reason") or self._stop
                self._count(event.get("usage"))
            case "message_stop":
                self.ended = True

    def finished(self) -> Iterator[ModelEvent]:
        """Yield what stood out. Raises ProviderError for an answer that broke off, was withheld,
        or says nothing."""
        if not self.ended:
            raise failures.lost(self._provider)
        blocks = [block for _, block in sorted(self._blocks.items())]
        used = [block for block in blocks if block.start.get("type") == "tool_use"]
        self._judge(bool(used))
        calls = [self._call(block) for block in used]
        if calls:
            found = [thought for block in blocks if (thought := block.thought()) is not None]
            self.thoughts = {calls[0].id: found}
        yield from calls
        if (usage := self._used()) is not None:
            yield usage

    def _grown(self, index: int, delta: Mapping[str, Any]) -> Iterator[ModelEvent]:
        block = self._blocks.setdefault(index, _Block({"type": "text"}))
        match delta.get("type"):
            case "text_delta":
                yield from self._text(delta.get("text"))
            case "input_json_delta":
                block.parts.append(delta.get("partial_json") or "")
            case "thinking_delta":
                block.parts.append(delta.get("thinking") or "")
            case "signature_delta":
                block.signature = delta.get("signature") or block.signature

    def _text(self, text: str | None) -> Iterator[ModelEvent]:
        if text:
            self._said = self._said or bool(text.strip())
            yield TextDelta(text)

    def _judge(self, used: bool) -> None:
        if self._stop == "refusal":
            message = "withheld the answer (refusal)"
            raise ProviderError(self._provider, message, reason="bad_request")
        if self._stop == "model_context_window_exceeded":
            message = "the conversation has become too long for the model"
            raise ProviderError(self._provider, message, reason="bad_request")
        if self._said or used or self._after_tool:
            return
        if self._stop == "max_tokens":
            message = "used up max_tokens before it said a word"
            raise ProviderError(self._provider, message, reason="bad_request")
        raise ProviderError(
            self._provider, "answered nothing", reason="unavailable", retryable=True
        )

    def _call(self, block: _Block) -> ToolCall:
        try:
            arguments = orjson.loads("".join(block.parts) or orjson.dumps(block.start.get("input")))
        except ValueError:
            arguments = None
        call_id, name = block.start.get("id"), block.start.get("name")
        if not call_id or not name or not isinstance(arguments, dict):
            raise failures.unreadable(self._provider)
        return ToolCall(call_id, self._names.own(name), arguments)

    def _count(self, usage: Any) -> None:
        if isinstance(usage, dict):
            self._usage |= {name: n for name, n in usage.items() if isinstance(n, int)}

    def _used(self) -> Usage | None:
        """Return the usage. Anthropic counts the cached apart; ours counts all that went in."""
        told = self._usage
        if "input_tokens" not in told or "output_tokens" not in told:
            return None
        read = told.get("cache_read_input_tokens", 0)
        written = told.get("cache_creation_input_tokens", 0)
        return Usage(
            prompt_tokens=told["input_tokens"] + read + written,
            completion_tokens=told["output_tokens"],
            cached_tokens=read,
            cache_write_tokens=written,
        )
