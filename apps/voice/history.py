"""What the model is told was said: the caller's words, and the bot's as far as they were heard."""

from __future__ import annotations

from collections.abc import Sequence

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
    def unanswered(self) -> bool:
        """Whether the caller has asked something that no heard answer followed."""
        return bool(self._said) and self._said[-1].role == "user"

    def caller_said(self, text: str) -> None:
        """Add the caller's words; to a question that was never answered they are its rest."""
        if self.unanswered:
            text = f"{self._said.pop().content} {text}"
        self._add(ChatMessage("user", text))

    def bot_said(self, heard: str) -> None:
        """Add what the caller heard of the bot's words."""
        if heard:
            self._add(ChatMessage("assistant", heard))

    def tools_ran(self, exchange: Sequence[ChatMessage]) -> None:
        """Add a model's tool calls and their results, in order."""
        for message in exchange:
            self._add(message)

    def _add(self, message: ChatMessage) -> None:
        self._said.append(message)
        if len(self._said) <= LONGEST:
            return
        del self._said[: LONGEST // 4]
        # A tool's answer without its call is an error to most models.
        while self._said and self._said[0].role != "user":
            del self._said[0]
