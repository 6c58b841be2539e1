"""What the model is told was said: the caller's words, and the bot's as far as they were heard.

A model's tool call and its answer are written together and stay together, whatever happens in
between: most vendors refuse a call without its answer, or an answer without its call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from apps.voice.ports import ChatMessage

# A day-long call must not grow without end; what was said first matters least.
LONGEST = 400


class History:
    """The messages of one call, the configured ones first."""

    def __init__(self, opening: Sequence[ChatMessage]) -> None:
        self._opening = tuple(opening)
        self._said: list[ChatMessage] = []

    def messages(self) -> list[ChatMessage]:
        return [*self._opening, *self._said]

    @property
    def begun(self) -> bool:
        """Whether anything was said yet."""
        return bool(self._said)

    @property
    def unanswered(self) -> bool:
        """Whether the caller has asked something that no heard answer followed.

        Neither is a tool's answer heard before the bot has spoken of it.
        """
        return bool(self._said) and self._said[-1].role != "assistant"

    def caller_said(self, text: str) -> None:
        """Add the caller's words; to a question that was never answered they are its rest."""
        if self._said and self._said[-1].role == "user":
            text = f"{self._said.pop().content} {text}"
        self._add(ChatMessage("user", text))

    def bot_said(self, heard: str, *, before_tools: bool = False) -> None:
        """Add what the caller heard of the bot's words.

        before_tools: they led to the tool calls that stand at the end, whose answers the bot has
        not spoken of.
        """
        if not heard:
            return
        if before_tools and self._said and self._said[-1].role == "tool":
            at = max(n for n, message in enumerate(self._said) if message.tool_calls)
            self._said[at] = replace(self._said[at], content=heard)
        else:
            self._add(ChatMessage("assistant", heard))

    def tools_ran(self, exchange: Sequence[ChatMessage]) -> None:
        """Add a model's tool calls and their results, in order.

        Without the words before them: those come with ``bot_said``, as far as they are heard.
        """
        for message in exchange:
            self._add(message)

    def tool_answered(self, call_id: str, content: str) -> None:
        """Put a tool's answer, come late, in the place that was kept for it."""
        for at, message in enumerate(self._said):
            if message.role == "tool" and message.tool_call_id == call_id:
                self._said[at] = replace(message, content=content)

    def append(self, messages: Sequence[ChatMessage]) -> None:
        """Add what a tool wants the model to know."""
        for message in messages:
            self._add(message)

    def reset(self, messages: Sequence[ChatMessage]) -> None:
        """Forget everything, and begin with these: system messages first."""
        leading = next((n for n, found in enumerate(messages) if found.role != "system"), None)
        self._opening = tuple(messages[:leading])
        self._said = [] if leading is None else list(messages[leading:])

    def _add(self, message: ChatMessage) -> None:
        self._said.append(message)
        if len(self._said) <= LONGEST:
            return
        del self._said[: LONGEST // 4]
        # A tool's answer without its call is an error to most models.
        while self._said and self._said[0].role != "user":
            del self._said[0]
