"""Stand-in of Anthropic's Messages API and its event stream.

Written on 26 November 2026 from platform.claude.com/docs (streaming, errors, thinking:
troubleshooting, what's new in Sonnet 5.5 and Haiku 5.5, prompt caching) and from the types of
Anthropic's Python SDK 2.14 (message_create_params and what it uses). Which model refuses which kind
of thinking is taken from these pages' summaries where the tables themselves were not to be had. The
key may stand in ``x-api-key`` (as the pages say) or behind ``Authorization: Bearer`` (as the SDK
sends it since 2.x).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.vendors.chat_rules import Refused
from tests.vendors.kinds import ModelStandIn
from tests.vendors.openai_chat import held_or_gone
from tests.vendors.serving import KEY, Cut, Exchange, FaultKind, Gone

Body = dict[str, Any]

_FIELDS = frozenset(
    ("model", "messages", "max_tokens", "system", "tools", "tool_choice", "stream", "temperature")
    + ("top_p", "top_k", "stop_sequences", "metadata", "thinking", "output_config", "service_tier")
    + ("cache_control",)
)
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_BLOCK_FIELDS = {
    "text": {"type", "text", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
THOUGHT = {"type": "thinking", "thinking": "SECRET-THOUGHT.", "signature": "c2lnbmVk"}


def _error(status: int, why: str) -> Body:
    named = _ERRORS.get(status, "api_error")
    told = {"type": named, "message": why}
    return {"type": "error", "error": told, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


class AnthropicStandIn(ModelStandIn):
    """Anthropic. thinks: whether a block of thinking comes before the answer.

    stop: the stop_reason; empty for what fits. breaks_with: an error event in mid-stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thinks = False
        self.stop = ""
        self.breaks_with = ""
        self.written_tokens = 0
        self.arguments: list[str] | None = None

    async def http(self, exchange: Exchange) -> None:
        seen = exchange.seen
        await self.break_if_asked(exchange)
        try:
            _check_headers(seen.headers)
            if (seen.method, seen.path) == ("GET", "/v1/models"):
                await exchange.answer(200, {"data": [], "has_more": False})
                return
            if (seen.method, seen.path) != ("POST", "/v1/messages"):
                raise Refused(f"no such path: {seen.path}", 404)
            body = _checked(seen.json())
        except Refused as refused:
            why = self.refuse(str(refused))
            await exchange.answer(refused.status, _error(refused.status, why))
        else:
            await self._answer(exchange, body, self.next_fault())

    async def _answer(self, exchange: Exchange, body: Body, fault: FaultKind) -> None:
        if fault == "status":
            await exchange.answer(self.fault.status, _error(self.fault.status, "Not now."))
        elif fault == "mute":
            await exchange.until_gone()
            raise Gone
        elif fault == "error_body":
            await exchange.answer(200, _error(529, "Overloaded"))
        else:
            await self.before_first()
            await exchange.start(200, content_type="text/event-stream; charset=utf-8")
            if fault == "garbage":
                await exchange.piece(b"event: message_start\ndata: {not json\n\n")
            else:
                await self._stream(exchange, body, fault)
            await exchange.end()

    async def _stream(self, exchange: Exchange, body: Body, fault: FaultKind) -> None:
        await exchange.piece(_event("message_start", message=self._opening(body)))
        await exchange.piece(_event("ping"))
        first = True
        for event in self._events() if fault != "empty" else ():
            await exchange.piece(event)
            if first and b"text_delta" in event:
                first = False
                if fault == "cut":
                    raise Cut
                await held_or_gone(self, exchange)
                if self.breaks_with:
                    told = {"type": self.breaks_with, "message": "Overloaded"}
                    await exchange.piece(_event("error", error=told))
                if self.breaks_with or self.ends_early:
                    return
        stop = self.stop or ("tool_use" if self.calls else "end_turn")
        delta = {"stop_reason": stop, "stop_sequence": None}
        usage = {"output_tokens": self.completion_tokens}
        await exchange.piece(_event("message_delta", delta=delta, usage=usage))
        await exchange.piece(_event("message_stop"))

    def _opening(self, body: Body) -> Body:
        new = self.prompt_tokens - self.cached_tokens - self.written_tokens
        usage = {
            "input_tokens": new,
            "cache_read_input_tokens": self.cached_tokens,
            "cache_creation_input_tokens": self.written_tokens,
            "output_tokens": 1,
        }
        made = {"id": "msg_01", "type": "message", "role": "assistant", "model": body["model"]}
        return {**made, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}

    def _events(self) -> Iterator[bytes]:
        index = 0
        if self.thinks:
            yield from self._thinking(index)
            index += 1
        if self.answer:
            yield _start(index, {"type": "text", "text": ""})
            for piece in self.answer:
                yield _delta(index, {"type": "text_delta", "text": piece})
            yield _event("content_block_stop", index=index)
            index += 1
        for n, (name, arguments) in enumerate(self.calls):
            used = {"type": "tool_use", "id": f"toolu_{n:02d}", "name": name, "input": {}}
            yield _start(index + n, used)
            text = json.dumps(arguments) if arguments else ""
            for splinter in self.arguments or ["", text[:3], text[3:7], text[7:]]:
                yield _delta(index + n, {"type": "input_json_delta", "partial_json": splinter})
            yield _event("content_block_stop", index=index + n)

    def _thinking(self, index: int) -> Iterator[bytes]:
        yield _start(index, {"type": "thinking", "thinking": "", "signature": ""})
        half = len(THOUGHT["thinking"]) // 2
        for part in (THOUGHT["thinking"][:half], THOUGHT["thinking"][half:]):
            yield _delta(index, {"type": "thinking_delta", "thinking": part})
        yield _delta(index, {"type": "signature_delta", "signature": THOUGHT["signature"]})
        yield _event("content_block_stop", index=index)


def _event(kind: str, **values: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n".encode()


def _start(index: int, block: Body) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: Body) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


# --- what is refused ------------------------------------------------------------------------------


def _check_headers(headers: Mapping[str, str]) -> None:
    given = [headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")]
    if [key for key in given if key] != [KEY]:
        raise Refused("invalid x-api-key", 401)
    if headers.get("anthropic-version") != "2023-06-01":
        raise Refused("anthropic-version: header is required")


def _checked(body: Body) -> Body:
    if body.keys() - _FIELDS:
        raise Refused(f"{sorted(body.keys() - _FIELDS)}: Extra inputs are not permitted")
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise Refused("max_tokens: Field required")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("model: Field required")
    if body.get("stream") is not True:
        raise Refused("this stand-in streams")
    _check_model(body)
    _check_turns(body["messages"])
    for tool in body.get("tools", ()):
        _check_tool(tool)
    _check_marks(body)
    return body


def _check_model(body: Body) -> None:
    """Refuse sampling and kinds of thinking that a model does not have."""
    model = body["model"]
    thinking = body.get("thinking", {}).get("type")
    sampled = body.keys() & {"temperature", "top_p", "top_k"}
    if not re.search(r"-(?:3|4)-[0-6](?!\d)", model) and sampled:
        raise Refused("temperature, top_p and top_k are not supported on this model")
    if not 0 <= body.get("temperature", 0) <= 1 or {"temperature", "top_p"} <= sampled:
        raise Refused("temperature and top_p cannot both be specified")
    if thinking == "between_tools" and "sonnet-5-5" not in model:
        raise Refused("thinking.type.between_tools is not supported for this model")
    always = any(name in model for name in ("sonnet-5-5", "opus-5-5", "fable", "mythos"))
    if thinking == "disabled" and always:
        raise Refused("thinking.type.disabled is not supported for this model")
    if body.get("output_config") and re.search(r"-4-5|-3-", model):
        raise Refused("this model does not support the effort parameter")


def _check_turns(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refused("messages: at least one message is required")
    wanted: list[str] = []
    for n, message in enumerate(messages):
        if message.keys() != {"role", "content"} or message["role"] not in ("user", "assistant"):
            raise Refused("a message is {role, content}")
        if message["role"] != ("user", "assistant")[n % 2]:
            raise Refused("roles must alternate, the user first")
        wanted = _checked_blocks(message["content"], wanted)
    if messages[-1]["role"] != "user":
        raise Refused("this model does not support assistant message prefill")


def _checked_blocks(blocks: Any, wanted: list[str]) -> list[str]:
    """Check a message's blocks; wanted: the calls that it must answer. Returns its own calls."""
    if not isinstance(blocks, list) or not blocks:
        raise Refused("content must be a list of blocks that is not empty")
    for block in blocks:
        _check_block(block)
    results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
    if sorted(results) != sorted(wanted):
        raise Refused("each tool_use must have its tool_result in the next message")
    if any(b["type"] == "tool_result" for b in blocks[len(results) :]):
        raise Refused("tool_result blocks stand first")
    return [b["id"] for b in blocks if b["type"] == "tool_use"]


def _check_block(block: Body) -> None:
    kind = block.get("type", "")
    if block.keys() - _BLOCK_FIELDS.get(kind, set()):
        raise Refused(f"unknown block or field: {kind}")
    if kind == "text" and not block["text"].strip():
        raise Refused("text content blocks must contain non-whitespace text")
    if kind == "tool_use" and not isinstance(block["input"], dict):
        raise Refused("tool_use.input must be an object")
    ids = [block[name] for name in ("id", "tool_use_id") if name in block]
    if any(not re.fullmatch(r"[a-zA-Z0-9_-]+", found) for found in ids):
        raise Refused("tool_use ids must match ^[a-zA-Z0-9_-]+$")
    if kind == "thinking" and block != THOUGHT:
        raise Refused("thinking blocks must come back unchanged")


def _check_tool(tool: Body) -> None:
    if tool.keys() - {"name", "description", "input_schema", "cache_control", "type", "strict"}:
        raise Refused("unknown field in a tool")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name", "")):
        raise Refused("tools.name must match ^[a-zA-Z0-9_-]{1,128}$")
    if tool.get("input_schema", {}).get("type") != "object":
        raise Refused("tools.input_schema.type: Field required")


def _check_marks(body: Body) -> None:
    blocks = [*body.get("tools", ()), *(body.get("system") or ())]
    blocks += [block for message in body["messages"] for block in message["content"]]
    marks = [block["cache_control"] for block in blocks if "cache_control" in block]
    if len(marks) > 4 or any(mark.get("type") != "ephemeral" for mark in marks):
        raise Refused("at most four blocks with cache_control of type ephemeral")
    for block in body.get("system") or ():
        if block.get("type") != "text" or not block["text"].strip():
            raise Refused("system is a list of text blocks")
