"""The local responder: answers with the prompt's own sentences. It is no language model.

Deterministic, without a package or a key: it hears greetings, goodbyes, thanks, "say that again"
and "a human, please", calls tools by their description, and otherwise speaks the fact of the
prompt that fits best to what was said, or says what it can be asked about.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from apps.providers.base import ServiceSettings
from apps.providers.local_answers import Knowledge
from apps.providers.local_smalltalk import Reply, Turn, small_talk, welcome
from apps.providers.local_tools import (
    argument_answered,
    arguments_filled,
    is_silent,
    result_spoken,
    tool_chosen,
)
from apps.providers.local_words import content
from apps.voice.ports import ChatMessage, ModelEvent, TextDelta, Tool, ToolCall, Usage
from apps.voice.toolwords import NOTE

_FITS = 0.34  # of the question; below it, most of what was asked is not in the prompt
_SHORTEST_PROMPT = 80
_PROMPT = re.compile(r"you(?: are|'re|’re) ", re.IGNORECASE)
_PARTS = re.compile(r"[?!.]\s+|,?\s+and (?=(?:what|where|when|how|who|do|is|are|can)\b)", re.I)
_BACK_REFERENCE = re.compile(
    r"^(?:and|what about|how about|but)\b|\b(?:it|that|there|then|they)\b", re.I
)
_TOPICS = {
    "~hours": "our opening hours",
    "~price": "prices",
    "~place": "where to find us",
    "~parking": "parking",
    "~booking": "appointments",
    "~doctor": "our doctors",
    "~delivery": "delivery",
    "~payment": "payment",
    "~refund": "returns",
    "~food": "the menu",
    "~insurance": "insurance",
}


@dataclass(frozen=True, slots=True)
class _Question:
    """An argument that the caller was asked for."""

    tool: Tool
    found: dict[str, Any]
    name: str


# What is said where a tool's answer is an instruction for a model that can follow one.
_FAILED = "I'm sorry, that did not work just now. Is there anything else I can do for you?"
_NOBODY = "I'm sorry, nobody could be reached just now. How else can I help you?"
_NO_PERSON = "I'm sorry, that is not possible from here just now. How else can I help you?"


class LocalResponder:
    """Implements ``voice.ports.LanguageModel`` without a model. Token counts are words."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._prompt = ""
        self._known = Knowledge("")
        self._question: _Question | None = None
        self._calls = 0

    async def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        answer = self._answer(messages, tools)
        pieces = re.findall(r"\S+\s*", answer.text)
        for piece in pieces:
            yield TextDelta(piece)
            await asyncio.sleep(0)  # a long answer must not hold up other calls' audio
        if answer.call is not None:
            self._calls += 1
            yield ToolCall(f"local-{self._calls}", answer.call.name, answer.arguments or {})
        heard = sum(len(message.content.split()) for message in messages)
        yield Usage(prompt_tokens=heard, completion_tokens=len(pieces))

    async def aclose(self) -> None:
        """Nothing is held."""

    def _answer(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> Reply:
        self._learn(messages)
        last = messages[-1] if messages else ChatMessage("system", "")
        if last.role == "tool":
            return _after_tool(last, messages)
        if _is_note(last):  # the one there is: of a transfer that came to nothing
            return Reply(_NOBODY)
        said = last.content.strip() if last.role == "user" and not self._is_prompt(last) else ""
        turn = Turn(said, self._known, messages, tools)
        if not said:
            return Reply(welcome(turn))
        question, self._question = self._question, None
        if (answer := small_talk(turn)) is not None:
            return answer
        if question is not None:
            return self._continue(question, turn)
        return self._act(turn) or _tell(turn)

    def _learn(self, messages: Sequence[ChatMessage]) -> None:
        """Read the prompt again only when it has changed."""
        prompt = "\n".join(m.content for m in messages if m.role == "system" and not _is_note(m))
        if not prompt and messages and self._is_prompt(messages[0]):
            prompt = messages[0].content
        if prompt != self._prompt:
            self._prompt, self._known = prompt, Knowledge(prompt)

    @staticmethod
    def _is_prompt(message: ChatMessage) -> bool:
        """Whether a user's message is really the prompt: some clients send it that way."""
        is_long = len(message.content) >= _SHORTEST_PROMPT
        return message.role == "user" and is_long and bool(_PROMPT.match(message.content))

    def _act(self, turn: Turn) -> Reply | None:
        """Call the tool that was asked for, unless the prompt answers better."""
        tool, fit = tool_chosen(turn.said, turn.tools)
        if tool is None or turn.known.answer(turn.said).score > fit + 0.2:
            return None
        found, absent = arguments_filled(turn.said, tool)
        return self._ready(tool, found, absent)

    def _continue(self, question: _Question, turn: Turn) -> Reply:
        value = argument_answered(turn.said, question.name, question.tool)
        more, _ = arguments_filled(turn.said, question.tool)
        found = {**more, **question.found}
        if value is not None:
            found[question.name] = value
        elif turn.known.answer(turn.said).score > _FITS:
            return _tell(turn)
        required = question.tool.parameters.get("required") or ()
        return self._ready(question.tool, found, [name for name in required if name not in found])

    def _ready(self, tool: Tool, found: dict[str, Any], absent: Sequence[str]) -> Reply:
        if not absent:
            return Reply("One moment, please.", tool, found)
        self._question = _Question(tool, found, absent[0])
        return Reply(f"Sure. What {_argument_name(absent[0])} should I put down?")


def _is_note(message: ChatMessage) -> bool:
    return message.role == "system" and message.content.startswith(NOTE)


def _argument_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower().removeprefix("customer ")


def _after_tool(result: ChatMessage, messages: Sequence[ChatMessage]) -> Reply:
    calls = (call for message in reversed(messages) for call in message.tool_calls)
    name = next((call.name for call in calls if call.id == result.tool_call_id), "")
    if NOTE in result.content:
        return Reply(_NO_PERSON if is_silent(name) else _FAILED)
    return Reply("" if is_silent(name) else result_spoken(result.content))


def _tell(turn: Turn) -> Reply:
    """Speak what fits, each part of a double question by itself."""
    parts = [part for part in _PARTS.split(turn.said) if content(part)] or [turn.said]
    whole = turn.known.answer(turn.said, context=_asked_before(turn))
    told = [turn.known.answer(part) for part in parts] if len(parts) > 1 else [whole]
    fitting = list(dict.fromkeys(answer.text for answer in told if answer.score >= _FITS))
    if not fitting and whole.score >= _FITS:
        fitting = [whole.text]
    return Reply(" ".join(fitting[:3]) or _ask_back(turn))


def _asked_before(turn: Turn) -> str:
    """Return the question before, where this one points back at it."""
    if not _BACK_REFERENCE.search(turn.said):
        return ""
    asked = [m.content for m in turn.messages[:-1] if m.role == "user"]
    return asked[-1] if asked else ""


def _ask_back(turn: Turn) -> str:
    named = [_TOPICS[idea] for idea in turn.known.ideas() if idea in _TOPICS][:3]
    if not named:
        return "I'm sorry, I don't know about that. Could you tell me a little more?"
    listed = f"{', '.join(named[:-1])} or {named[-1]}" if len(named) > 1 else named[0]
    return f"I'm sorry, I don't know about that. I can tell you about {listed}."
