"""What every vendor of Chat Completions refuses in a history and in tools."""

from __future__ import annotations

import json
import re
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAY_HOLD = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal"},
    "tool": {"role", "content", "tool_call_id"},
}


class Refused(Exception):
    """The vendor refuses a request; the text says why."""

    def __init__(self, why: str, status: int = 400, code: str | None = "invalid_value") -> None:
        super().__init__(why)
        self.status, self.code = status, code


def check_messages(messages: Any) -> None:
    """Refuse messages that are malformed, or tools' answers that do not follow their calls."""
    if not isinstance(messages, list) or not messages:
        raise Refused("messages must not be empty")
    open_calls: set[str] = set()
    for message in messages:
        role = message.get("role")
        if role not in _MAY_HOLD or message.keys() - _MAY_HOLD[role]:
            raise Refused(f"unknown role or field in a message of {role!r}")
        if role == "tool":
            _check_answer(message, open_calls)
        elif open_calls:
            raise Refused("an assistant message with tool_calls must be followed by tool messages")
        else:
            open_calls = _checked_calls(message)
    if open_calls:
        raise Refused("tool calls without an answer")


def check_turns(messages: list[dict[str, Any]]) -> None:
    """Refuse what chat templates of open models, Mistral and Google refuse."""
    roles = [message["role"] for message in messages]
    while roles and roles[0] == "system":
        roles.pop(0)
    if "system" in roles:
        raise Refused("a system message must stand at the beginning")
    if not roles or roles[0] != "user":
        raise Refused("the conversation must begin with the user")
    if roles[-1] not in ("user", "tool"):
        raise Refused("the last message must be of the user or a tool")
    if any(a == b and a != "tool" for a, b in zip(roles, roles[1:], strict=False)):
        raise Refused("roles must alternate")


def check_tools(tools: Any) -> None:
    """Refuse tools that are not in OpenAI's schema."""
    if not isinstance(tools, list) or not tools:
        raise Refused("tools must not be empty")
    for tool in tools:
        function = tool.get("function", {})
        if tool.keys() != {"type", "function"} or tool["type"] != "function":
            raise Refused("a tool is {type: function, function: {…}}")
        if function.keys() - {"name", "description", "parameters", "strict"}:
            raise Refused("unknown field in a function")
        _check_name(function.get("name"))
        schema = function.get("parameters", {"type": "object"})
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise Refused("a function's parameters must be a schema of type object")
    names = [tool["function"]["name"] for tool in tools]
    if len(set(names)) < len(names):
        raise Refused("tools must have names of their own")


def _check_answer(message: dict[str, Any], open_calls: set[str]) -> None:
    call_id = message.get("tool_call_id")
    if call_id not in open_calls:
        raise Refused("a tool message must follow the assistant's call")
    if not isinstance(message.get("content"), str):
        raise Refused("a tool's content must be a string")
    open_calls.discard(call_id)


def _checked_calls(message: dict[str, Any]) -> set[str]:
    calls = {_checked_call(call) for call in message.get("tool_calls", ())}
    if "tool_calls" in message and not calls:
        raise Refused("tool_calls must not be empty")
    content = message.get("content")
    if not isinstance(content, str) and not (content is None and calls):
        raise Refused("content must be a string")
    return calls


def _checked_call(call: dict[str, Any]) -> str:
    if call.keys() - {"id", "type", "function", "extra_content"} or call.get("type") != "function":
        raise Refused("a tool call is {id, type: function, function: {…}}")
    _check_name(call["function"].get("name"))
    arguments = call["function"].get("arguments")
    if not isinstance(arguments, str) or not isinstance(json.loads(arguments), dict):
        raise Refused("a call's arguments must be a JSON object, as a string")
    if not isinstance(call.get("id"), str) or not call["id"]:
        raise Refused("a tool call must have an id")
    return str(call["id"])


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused("a function's name must match ^[a-zA-Z0-9_-]{1,64}$")
