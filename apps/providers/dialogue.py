"""A call's history in a form that language models take: repaired, and its tools' names made safe.

Interruptions, configured messages and trimming leave histories that strict vendors refuse: a tool's
answer without its call, the same role twice, a bot that speaks first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from apps.voice.ports import ChatMessage, Tool

# What stands for the caller where a vendor wants one to have spoken. In brackets, as a stage
# direction, so that it sways neither the language nor the subject.
OPENING = "[The call begins.]"
SILENCE = "[The caller says nothing.]"
NO_RESULT = "(no result)"

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 64


def repaired(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the history with every tool call answered, every answer called for, nothing empty.

    Neighbours of the same role become one message.
    """
    return _merged(message for message in _answered(messages) if _says_something(message))


def alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Return the history as ``repaired``, for vendors whose models know turns alone.

    System messages stand first, in one; later ones are spoken by the user. Then the user and the
    assistant take turns, the user first and last (or a tool's answer last).
    """
    begun = False
    turns: list[ChatMessage] = []
    for message in repaired(messages):
        begun = begun or message.role != "system"
        is_late = begun and message.role == "system"
        turns.append(replace(message, role="user") if is_late else message)
    first = next((n for n, m in enumerate(turns) if m.role != "system"), len(turns))
    if first == len(turns) or turns[first].role != "user":
        turns.insert(first, ChatMessage("user", OPENING))
    if turns[-1].role == "assistant":
        turns.append(ChatMessage("user", SILENCE))
    return _merged(turns)


def _says_something(message: ChatMessage) -> bool:
    return message.role == "tool" or bool(message.tool_calls) or bool(message.content.strip())


def _answered(messages: Sequence[ChatMessage]) -> Iterable[ChatMessage]:
    """Put each call's answer right behind it, and leave out answers that nobody called for."""
    answers = {m.tool_call_id: m for m in messages if m.role == "tool"}
    for message in messages:
        if message.role == "tool":
            continue
        yield message
        for call in message.tool_calls:
            found = answers.get(call.id)
            yield found or ChatMessage("tool", NO_RESULT, tool_call_id=call.id)


def _merged(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    found: list[ChatMessage] = []
    for message in messages:
        last = found[-1] if found else None
        if last is None or last.role != message.role or last.tool_calls or message.role == "tool":
            found.append(message)
            continue
        text = "\n".join(part for part in (last.content, message.content) if part)
        found[-1] = replace(last, content=text, tool_calls=message.tool_calls)
    return found


class ToolNames:
    """The tools' names as every vendor takes them, and back: letters, digits, ``_`` and ``-``."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._safe: dict[str, str] = {}
        self._own: dict[str, str] = {}
        for tool in tools:
            self._name(tool.name)

    def safe(self, name: str) -> str:
        """Return a tool's name for the vendor; also of a tool that there is no more."""
        return self._safe.get(name) or self._name(name)

    def own(self, name: str) -> str:
        """Return our name of what the model calls."""
        return self._own.get(name, name)

    def _name(self, name: str) -> str:
        stem = _UNSAFE.sub("_", name) or "tool"
        if not re.match(r"[a-zA-Z_]", stem):
            stem = f"_{stem}"
        safe = stem[:_LONGEST_NAME]
        turn = 2
        while safe in self._own:
            safe = f"{stem[: _LONGEST_NAME - 4]}_{turn}"
            turn += 1
        self._safe[name], self._own[safe] = safe, name
        return safe


def parameters(tool: Tool) -> dict[str, Any]:
    """Return a tool's JSON Schema: always of an object, as every vendor demands."""
    return {"type": "object", "properties": {}, **tool.parameters}


def as_json(value: Any) -> bytes:
    """Encode what a conversation holds: whatever text came in may be in it, half characters too."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
