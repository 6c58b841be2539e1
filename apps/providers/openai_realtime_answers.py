"""What the vendor is asked to say: one answer at a time to the conversation, lines beside it.

An answer may be asked for before anybody knows that there were words (a guess). Until it is claimed
nothing of it is heard, and when it is dropped nothing of it stays.
"""

from __future__ import annotations

import asyncio
import itertools
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.providers import failures
from apps.providers.openai_realtime_items import Item, Items
from apps.providers.openai_realtime_wire import NAME, Event, error_of
from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import ModelEvent, ProviderError, SpokenDelta, TextDelta, ToolCall, Usage

_numbers = itertools.count(1)

# The vendor speaks faster than anybody listens. An answer of ten minutes is no answer.
LONGEST = 600_000 * BYTES_PER_MS
# Its sums may differ from ours by some milliseconds, and it refuses to cut behind the end: an
# answer that was heard up to here was heard.
ALL_BUT_MS = 100.0
# Mu-law codes of samples below -60 dB.
_QUIET = bytes(code for code in range(256) if (code & 0x7F) >= 0x7B)


class Stream:
    """An answer's events on their way to whoever waits for them.

    handed: bytes of audio that were taken from it. silent: whether it ought to have been heard, and
    could not be.
    """

    def __init__(self) -> None:
        self._events: deque[ModelEvent] = deque()
        self._wake = asyncio.Event()
        self._error: ProviderError | None = None
        self._ended = False
        self._loud = False
        self._spoken = False
        self.handed = 0

    @property
    def silent(self) -> bool:
        return self._spoken and not self._loud

    @property
    def failed(self) -> bool:
        return self._error is not None

    def put(self, event: ModelEvent) -> None:
        self._events.append(event)
        self._wake.set()

    def end(self, error: ProviderError | None = None) -> None:
        """Nothing more will come; what is here is still to be had."""
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()

    def left(self) -> Usage:
        """Throw away what nobody has taken, but for what it cost."""
        cost = sum((e for e in self._events if isinstance(e, Usage)), Usage(0, 0))
        self._events.clear()
        return cost

    async def next(self, patience_s: float) -> ModelEvent | None:
        """Return the next event, or None at the end. Raises ProviderError."""
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._wake.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._wake.wait()
            except TimeoutError:
                raise failures.silent(NAME) from None
        event = self._events.popleft()
        if isinstance(event, SpokenDelta):
            self._spoken = True
            self.handed += len(event.audio)
            self._loud = self._loud or bool(event.audio.translate(None, _QUIET))
        return event


@dataclass(slots=True)
class Sound:
    """What an item of an answer sounds like: where in the item, and how long, in bytes."""

    part: int
    size: int = 0


@dataclass(slots=True)
class Answer:
    """One response. line: spoken beside the conversation, and no item of it.

    dropped: nobody wants to hear more. unwanted: nothing of it shall stay in the conversation.
    heard_ms: how much of its sound was heard, once that is known.
    """

    number: int
    line: bool = False
    id: str = ""
    done: bool = False
    dropped: bool = False
    unwanted: bool = False
    heard_ms: float | None = None
    stream: Stream = field(default_factory=Stream)
    sounds: dict[str, Sound] = field(default_factory=dict)
    items: list[str] = field(default_factory=list)

    @property
    def sound_ms(self) -> float:
        return sum(sound.size for sound in self.sounds.values()) / BYTES_PER_MS


class Answers:
    """All answers of one session. ``send`` takes an event for the vendor."""

    def __init__(self, items: Items, send: Callable[[Event], None]) -> None:
        self._items = items
        self._send = send
        self._running: dict[str, Answer] = {}  # by number, and by the vendor's id once it is told
        self.active: Answer | None = None  # it writes to the conversation: only one may
        self._queued: Answer | None = None
        self._talk: list[Answer] = []  # replies; how much of them was heard is not known yet
        self.guess: Answer | None = None
        self.before_next: Callable[[], None] = lambda: None
        self.unreported = Usage(0, 0)

    # --- asking ---------------------------------------------------------------------------------

    def ask(self) -> Answer:
        """Ask for an answer to the conversation, at once or when the one before it has ended."""
        answer = self._new(line=False)
        if self.active is None:
            self._start(answer)
        else:
            self._queued = answer
        return answer

    def say(self, body: dict[str, Any]) -> Answer:
        """Ask for a line. body: the response, but for what tells it apart."""
        answer = self._new(line=True)
        self._create(answer, {**body, "conversation": "none"})
        return answer

    def guess_now(self) -> None:
        """Ask for the answer to what was just said, words or not."""
        self.forget_guess()
        if self.active is None:
            self.tidy()
        self.guess = self.ask()

    def claim(self) -> Answer:
        """The guess was right. There is one."""
        claimed, self.guess = self.guess, None
        assert claimed is not None
        self._talk.append(claimed)
        return claimed

    def reply(self) -> Answer:
        """Ask for an answer that will be heard."""
        answer = self.ask()
        self._talk.append(answer)
        return answer

    def open_items(self) -> set[str]:
        """Return the items of which the history cannot know yet."""
        answers = [*self._talk, *filter(None, (self.active, self.guess))]
        return {item_id for answer in answers for item_id in answer.items}

    def forget_guess(self) -> None:
        guess, self.guess = self.guess, None
        if guess is not None:
            guess.unwanted = True
            self.drop(guess)
            self._settle(guess)

    def drop(self, answer: Answer) -> None:
        """Nobody wants to hear more of it: stop it at once."""
        self.unreported += answer.stream.left()
        if answer.done or answer.dropped:
            return
        answer.dropped = True
        answer.stream.end()
        if answer is self._queued:
            self._queued = None
            self._running.pop(str(answer.number), None)
            answer.done = True
        elif answer.id:
            self._cancel(answer)

    def heard(self, ms: float) -> None:
        """So much of all replies since the last time was heard; the vendor shall know no more."""
        talk, self._talk = self._talk, []
        for answer in talk:
            answer.heard_ms = ms
            ms = max(0.0, ms - answer.sound_ms)
            self.drop(answer)
            self._settle(answer)

    def decide(self) -> None:
        """Nobody tells how much was heard of replies that were stopped at once: all they gave."""
        if any(answer.dropped for answer in self._talk):
            self.heard(sum(answer.stream.handed for answer in self._talk) / BYTES_PER_MS)

    def tidy(self) -> None:
        """Before the next answer: what an interrupted one has left behind goes."""
        self.decide()
        for item_id in self._items.unanswered_calls():
            self.delete(item_id)

    def delete(self, item_id: str) -> None:
        if self._items.remove(item_id):
            self._send({"type": "conversation.item.delete", "item_id": item_id})

    def fail(self, error: ProviderError) -> None:
        """The connection is gone, and with it everything that the vendor knew."""
        for answer in self._running.values():
            answer.done = True
            answer.stream.end(error)
        self._running.clear()
        self._talk.clear()
        self.active = self._queued = self.guess = None

    def _new(self, *, line: bool) -> Answer:
        answer = Answer(next(_numbers), line=line)
        self._running[str(answer.number)] = answer
        return answer

    def _start(self, answer: Answer) -> None:
        self.active = answer
        self._create(answer, {})

    def _create(self, answer: Answer, body: dict[str, Any]) -> None:
        number = str(answer.number)
        response = {**body, "metadata": {"number": number}}
        event = {"type": "response.create", "event_id": f"create-{number}", "response": response}
        self._send(event)

    def _cancel(self, answer: Answer) -> None:
        self._send({"type": "response.cancel", "response_id": answer.id})

    # --- what the vendor says -------------------------------------------------------------------

    def created(self, event: Event) -> None:
        response = event["response"]
        answer = self._running.get((response.get("metadata") or {}).get("number", ""))
        if answer is not None:
            answer.id = response["id"]
            self._running[answer.id] = answer
            if answer.dropped:
                self._cancel(answer)

    def item_added(self, event: Event) -> None:
        answer = self._running.get(event["response_id"])
        item = event["item"]
        if answer is None or answer.line:
            return
        if item["type"] == "function_call":
            self._items.add(Item(item["id"], "call", call_id=item["call_id"]))
        elif item["type"] == "message":
            self._items.add(Item(item["id"], "assistant", spoken=True))
        else:
            return  # the model's own notes
        answer.items.append(item["id"])

    def sound(self, event: Event) -> None:
        answer = self._running.get(event["response_id"])
        if answer is None:
            return
        audio = b64decode(event["delta"])
        found = answer.sounds.get(event["item_id"])
        if found is None:
            found = answer.sounds[event["item_id"]] = Sound(event["content_index"])
        found.size += len(audio)
        if answer.dropped:
            return
        answer.stream.put(SpokenDelta(audio))
        if found.size > LONGEST:
            answer.stream.end(failures.unreadable(NAME))
            self.drop(answer)

    def words(self, event: Event) -> None:
        self._said(event, SpokenDelta(text=event["delta"]))

    def text(self, event: Event) -> None:
        """A model that was asked to speak may write all the same: then the voice reads it."""
        self._said(event, TextDelta(event["delta"]))

    def _said(self, event: Event, delta: ModelEvent) -> None:
        answer = self._running.get(event["response_id"])
        if answer is None:
            return
        item = None if answer.line else self._items.get(event["item_id"])
        if item is not None:
            item.text = (item.text or "") + event["delta"]
        if not answer.dropped:
            answer.stream.put(delta)

    def item_done(self, event: Event) -> None:
        answer = self._running.get(event["response_id"])
        item = event["item"]
        if answer is None or answer.dropped or item["type"] != "function_call":
            return
        if item.get("status") == "incomplete":
            return
        arguments = orjson.loads(item["arguments"] or "{}")
        if not isinstance(arguments, dict):
            raise TypeError("arguments are an object")
        answer.stream.put(ToolCall(item["call_id"], item["name"], arguments))

    def ended(self, event: Event) -> None:
        response = event["response"]
        answer = self._running.pop(response["id"], None)
        if answer is None:
            return
        self._running.pop(str(answer.number), None)
        usage = _usage(response.get("usage") or {})
        error = _fault(response)
        if answer.dropped or answer.line:
            self.unreported += usage
        elif error is None:
            answer.stream.put(usage + self.unreported)
            self.unreported = Usage(0, 0)
        self._done(answer, error)

    def refused(self, number: str, error: ProviderError) -> None:
        """The vendor does not take a ``response.create``."""
        answer = self._running.pop(number, None)
        if answer is not None:
            self._done(answer, error)

    def _done(self, answer: Answer, error: ProviderError | None) -> None:
        answer.done = True
        answer.stream.end(error)
        if answer is self.active:
            self.active = None
        self._settle(answer)
        if self.active is None:
            self.before_next()
            queued, self._queued = self._queued, None
            if queued is not None:
                self.tidy()
                self._start(queued)

    def _settle(self, answer: Answer) -> None:
        """Leave of an ended answer in the conversation what shall stay there."""
        if not answer.done or answer.line:
            return
        if answer.unwanted:
            for item_id in answer.items:
                self.delete(item_id)
        elif answer.heard_ms is not None:
            self._cut(answer, answer.heard_ms)

    def _cut(self, answer: Answer, left_ms: float) -> None:
        for item_id, sound in answer.sounds.items():
            length_ms = sound.size / BYTES_PER_MS
            if left_ms < 1:
                self.delete(item_id)
            elif left_ms < length_ms - ALL_BUT_MS and self._items.get(item_id) is not None:
                sound.size = int(left_ms) * BYTES_PER_MS
                event = {"type": "conversation.item.truncate", "item_id": item_id}
                self._send(event | {"content_index": sound.part, "audio_end_ms": int(left_ms)})
            left_ms = max(0.0, left_ms - length_ms)
        for item_id in answer.items:
            found = self._items.get(item_id)
            if answer.dropped and found is not None and item_id not in answer.sounds:
                self.delete(item_id)


def _usage(found: dict[str, Any]) -> Usage:
    went_in = found.get("input_token_details") or {}
    cached = went_in.get("cached_tokens_details") or {}
    came_out = found.get("output_token_details") or {}
    return Usage(
        prompt_tokens=found.get("input_tokens") or 0,
        completion_tokens=found.get("output_tokens") or 0,
        cached_tokens=went_in.get("cached_tokens") or 0,
        audio_prompt_tokens=went_in.get("audio_tokens") or 0,
        audio_completion_tokens=came_out.get("audio_tokens") or 0,
        cached_audio_tokens=cached.get("audio_tokens") or 0,
    )


def _fault(response: dict[str, Any]) -> ProviderError | None:
    """Say why a response did not end well. One that was cut at its longest did."""
    details = response.get("status_details") or {}
    if response["status"] == "failed":
        return error_of(details.get("error"))
    if response["status"] == "incomplete" and details.get("reason") == "content_filter":
        return error_of({"code": "content_filter"})
    return None
