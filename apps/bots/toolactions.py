"""What a streaming webhook makes the bot do, while its answer arrives.

One JSON object a line: ``{"service", "action", "arguments": [{"name", "value"}]}``, as Daily Bots
had it. What is no such object, or names an action that is not known here, is noted and skipped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from rest_framework import serializers

from apps.bots.dailybots import messages_read
from apps.voice.ports import ChatMessage, Controls, ToolResult

# Of one line, of the whole stream, and of what one action may say.
LINE_BYTES = 65_536
STREAM_BYTES = 1_048_576
SAY_CHARACTERS = 4_000
ACTIONS = 500
MESSAGES = 50

# What the model is told of what the tool has said.
SAID = "The tool has told the caller: {text}"
UNSAID = "The caller spoke first, so this of the tool was not said: {text}"


class ActionRefused(Exception):
    """An action cannot be done. The text says why, and nothing of what it holds."""


@dataclass(slots=True)
class Drive:
    """One stream's way to the bot.

    asks: the model is to speak when the stream is over, though the caller was told something.
    actions: all that came, each with what became of it.
    """

    controls: Controls
    actions: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    asks: bool = False
    ends: bool = False

    async def follow(self, stream: AsyncIterator[bytes]) -> None:
        """Do what the stream says, line by line, as it comes."""
        async with aclosing(lines_of(stream)) as lines:
            await self._follow(lines)

    async def _follow(self, lines: AsyncIterator[bytes | None]) -> None:
        async for line in lines:
            if len(self.actions) >= ACTIONS:
                self._note({}, f"More than {ACTIONS} actions.")
                return
            if line is None:
                self._note({}, f"A line of more than {LINE_BYTES} bytes, or the stream's end.")
            elif line.strip():
                await self._act(line)

    def result(self, outcome: ToolResult) -> ToolResult:
        """Tell the model what was said and done. outcome: how the exchange itself ended."""
        told = [SAID.format(text=" ".join(self.said))] if self.said else []
        told += [UNSAID.format(text=" ".join(self.unsaid))] if self.unsaid else []
        if outcome.outcome != "ok" or not told:
            told.append(outcome.content)
        return replace(
            outcome,
            content="\n".join(told),
            told=bool(self.said) and not self.unsaid and not self.asks and outcome.outcome == "ok",
            ends_call=self.ends,
        )

    async def _act(self, line: bytes) -> None:
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            self._note({}, "No JSON.")
            return
        if isinstance(found, dict) and isinstance(found.get("data"), dict):
            found = found["data"]  # in the envelope that RTVI's clients send
        names = _names(found)
        try:
            action = _ACTIONS.get((names["service"], names["action"]))
            if action is None:
                raise ActionRefused("No such action here.")
            await action(self, _arguments(found))
        except ActionRefused as exc:
            self._note(names, str(exc))
        else:
            self.actions.append({**names, "done": True, "why": ""})

    def _note(self, names: Mapping[str, str], why: str) -> None:
        self.actions.append({"service": "", "action": "", **names, "done": False, "why": why})


async def lines_of(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes | None, None]:
    """Yield lines as they are complete, the last one without its end too; None for one that is too
    long, and for all that follows after too much."""
    pending = bytearray()
    total = 0
    async for piece in stream:
        total += len(piece)
        *whole, rest = piece.split(b"\n")
        for part in whole:
            pending += part
            yield bytes(pending) if len(pending) <= LINE_BYTES else None
            pending.clear()
        pending += rest
        if total > STREAM_BYTES:
            yield None
            return
    if pending:
        yield bytes(pending) if len(pending) <= LINE_BYTES else None


def _names(found: Any) -> dict[str, str]:
    given = found if isinstance(found, dict) else {}
    return {name: str(given.get(name, ""))[:60] for name in ("service", "action")}


def _arguments(found: Mapping[str, Any]) -> dict[str, Any]:
    given = found.get("arguments", [])
    if isinstance(given, dict):
        return given
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise ActionRefused('Arguments are a list of {"name", "value"}.')
    return {str(one.get("name")): one.get("value") for one in given}


async def _say(drive: Drive, arguments: Mapping[str, Any]) -> None:
    text = arguments.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ActionRefused("Needs a text.")
    text = text[:SAY_CHARACTERS].replace("\x00", "")
    if await drive.controls.say(text):
        drive.said.append(text)
    else:
        drive.unsaid.append(text)
        raise ActionRefused("The caller has the turn.")


async def _append(drive: Drive, arguments: Mapping[str, Any]) -> None:
    drive.controls.append(_messages(arguments))
    drive.asks |= arguments.get("run_immediately") is not False


async def _set_context(drive: Drive, arguments: Mapping[str, Any]) -> None:
    drive.controls.set_context(_messages(arguments))


async def _end(drive: Drive, arguments: Mapping[str, Any]) -> None:
    drive.ends = True


def _messages(arguments: Mapping[str, Any]) -> list[ChatMessage]:
    given = arguments.get("messages")
    try:
        read = messages_read(given)
    except serializers.ValidationError:
        raise ActionRefused("Needs messages: a list, each with a role and text.") from None
    if not read or len(read) > MESSAGES:
        raise ActionRefused(f"Needs 1 to {MESSAGES} messages.")
    return [ChatMessage(one["role"], one["content"].replace("\x00", "")) for one in read]


_ACTIONS: Mapping[tuple[str, str], Callable[[Drive, Mapping[str, Any]], Awaitable[None]]] = {
    ("tts", "say"): _say,
    ("llm", "append_to_messages"): _append,
    ("llm", "set_context"): _set_context,
    ("system", "end"): _end,
}
