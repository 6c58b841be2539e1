"""What a call's mind, ears and voice share: one session with OpenAI's Realtime API."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

import orjson

from apps.providers import failures
from apps.providers.base import ServiceSettings
from apps.providers.openai_realtime_answers import Answer, Answers
from apps.providers.openai_realtime_ears import Ears
from apps.providers.openai_realtime_form import MODEL, brief_of, line_of, session_of
from apps.providers.openai_realtime_items import Changes, Items, item_body
from apps.providers.openai_realtime_link import Link
from apps.providers.openai_realtime_wire import NAME, Event, Wire, error_of
from apps.voice.ports import ChatMessage, ModelEvent, ProviderError, Tool

logger = logging.getLogger(__name__)

# Refusals that follow from two sides talking at once, and mean nothing.
_CROSSED = frozenset(
    {"response_cancel_not_active", "item_delete_invalid_item_id", "item_truncate_invalid_item_id"}
)
_OVER = frozenset({"auth", "quota", "unavailable"})


class Session:
    """Implements ``Owner``. Keeps the vendor's conversation in line with the engine's history."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._brief = brief_of((), ())
        self._history: Sequence[ChatMessage] = ()
        self._behind = False  # the history was told while an answer was still being stopped
        self.items = Items()
        self.answers = Answers(self.items, self.send)
        self.answers.before_next = self._catch_up
        self.ears = Ears(self)
        self._link = Link(settings, settings.model or MODEL, self)

    @property
    def patience_s(self) -> float:
        return self._settings.patience_s

    # --- the connection -------------------------------------------------------------------------

    async def connected(self) -> None:
        """Wait for the connection. Raises ProviderError."""
        await self._link.connected()

    def connecting(self) -> bool:
        """Whether there is no connection yet; then one is being opened from now on."""
        return self._link.connecting()

    def send(self, event: Event) -> None:
        self.send_raw(orjson.dumps(event))

    def send_raw(self, message: bytes) -> None:
        """Send JSON text; without a connection it is dropped, for a new one starts afresh."""
        if self._link.wire is not None:
            self._link.wire.send(message)

    def distrust(self, error: ProviderError) -> None:
        """The vendor does not answer any more: go on with another connection."""
        self._link.give_up(error)

    async def aclose(self) -> None:
        await self.ears.aclose()
        await self._link.aclose()
        self.answers.fail(failures.lost(NAME))

    def opened(self) -> None:
        self._behind = False
        self._configure(session_of(self._settings, self._brief))
        self._apply(self.items.compare(self._history))
        self.ears.replay()

    def broken(self, error: ProviderError) -> None:
        self.items.clear()
        self.answers.fail(error)

    def unreachable(self, error: ProviderError) -> None:
        self.ears.fail(error)

    # --- what the engine wants ------------------------------------------------------------------

    def brief(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> bool:
        """Tell the vendor prompt and tools; say whether they are others than before."""
        brief = brief_of(messages, tools)
        if brief == self._brief:
            return False
        self._brief = brief
        if self._link.wire is not None:
            self._configure({"type": "realtime", **brief})
        return True

    def follow(self, messages: Sequence[ChatMessage]) -> None:
        """Tell the vendor what the history says now."""
        self._history = list(messages)
        self._behind = self._link.wire is not None
        if self.answers.active is None:
            self._catch_up()

    def reply(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool]
    ) -> AsyncGenerator[ModelEvent, None]:
        """Stream the answer to the history: the one that was guessed already, if it fits."""
        history = list(messages)

        async def ask() -> Answer:
            self._history = history
            return await self._answer(tools)

        return self._stream(ask)

    def speak(self, text: str) -> AsyncGenerator[ModelEvent, None]:
        """Stream a text that is read out."""

        async def say() -> Answer:
            self.answers.forget_guess()
            await self.connected()
            return self.answers.say(line_of(text))

        return self._stream(say)

    async def _stream(
        self, ask: Callable[[], Awaitable[Answer]]
    ) -> AsyncGenerator[ModelEvent, None]:
        """Hand over an answer's events. A connection that turns out to be dead costs one retry."""
        for retried in (False, True):
            wire, came = self._link.wire, False
            answer: Answer | None = None
            try:
                answer = await ask()
                while (event := await answer.stream.next(self.patience_s)) is not None:
                    came = True
                    yield event
            except ProviderError as error:
                if not self._broke(wire, error) or retried or came:
                    raise
            else:
                if answer.stream.silent:
                    raise failures.no_audio(NAME)
                return
            finally:
                if answer is not None:
                    self.answers.drop(answer)

    def _broke(self, wire: Wire | None, error: ProviderError) -> bool:
        """Whether the connection that was there before is gone. A silent one is left for good."""
        if error.reason == "timeout":
            self.distrust(error)
        return error.reason == "unavailable" and wire is not None and self._link.wire is not wire

    async def _answer(self, tools: Sequence[Tool]) -> Answer:
        await self.connected()
        changed = self.brief(self._history, tools)
        self._behind = False
        guess = self.answers.guess
        if guess is not None and not changed and not guess.stream.failed:
            changes = self.items.compare(self._history, keep=self.answers.open_items())
            if not changes.created:
                self._apply(changes)
                return self.answers.claim()
        self.answers.forget_guess()
        self.answers.decide()
        self._apply(self.items.compare(self._history, keep=self.answers.open_items()))
        self.answers.tidy()
        return self.answers.reply()

    def _configure(self, session: Mapping[str, object]) -> None:
        self.send({"type": "session.update", "event_id": "configure", "session": session})

    def _catch_up(self) -> None:
        """Before the next answer: the history, if it was told meanwhile."""
        if self._behind:
            self._behind = False
            later = self.answers.open_items()
            later |= self.items.last_words(before=later)  # said since, for all we know
            self._apply(self.items.compare(self._history, keep=later))

    def _apply(self, changes: Changes) -> None:
        for item_id in changes.deleted:
            self.send({"type": "conversation.item.delete", "item_id": item_id})
        for item, part, behind in changes.created:
            event = {"type": "conversation.item.create", "previous_item_id": behind}
            self.send(event | {"item": item_body(item, part)})
        self.items.make(changes)

    # --- what the vendor says -------------------------------------------------------------------

    def take(self, event: Event) -> None:
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)

    def _ended(self, event: Event) -> None:
        self._link.worked()
        self.answers.ended(event)

    def _read(self, event: Event) -> None:
        self._link.worked()
        self.ears.completed(event)

    def _error(self, event: Event) -> None:
        found = event["error"]
        error = error_of(found)
        what, _, number = str(found.get("event_id") or "").partition("-")
        if what == "create":
            self.answers.refused(number, error)
        elif what == "commit":
            self.ears.refused(number, error)
        elif what == "configure" or (not what and error.reason in _OVER):
            raise error
        elif found.get("code") not in _CROSSED:
            logger.warning("A realtime event was refused", extra={"reason": error.message})


_READING = "conversation.item.input_audio_transcription."
_HANDLERS: Mapping[str, Callable[[Session, Event], None]] = {
    "response.output_audio.delta": lambda session, event: session.answers.sound(event),
    "response.output_audio_transcript.delta": lambda session, event: session.answers.words(event),
    "response.output_text.delta": lambda session, event: session.answers.text(event),
    "response.created": lambda session, event: session.answers.created(event),
    "response.output_item.added": lambda session, event: session.answers.item_added(event),
    "response.output_item.done": lambda session, event: session.answers.item_done(event),
    "response.done": Session._ended,
    "input_audio_buffer.committed": lambda session, event: session.ears.committed(event),
    f"{_READING}delta": lambda session, event: session.ears.partial(event),
    f"{_READING}completed": Session._read,
    f"{_READING}failed": lambda session, event: session.ears.failed(event),
    "error": Session._error,
}
