"""The conversation as the vendor has it, item by item, and how it differs from our history.

The engine's history is the authority: what was not heard is not in it, and what the platform said
itself is. Items that hold sound are kept wherever the history has their words, for the model hears
more in them than a transcript tells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from apps.voice.ports import ChatMessage

Kind = Literal["system", "user", "assistant", "call", "output"]


@dataclass(slots=True)
class Item:
    """One item. text: what it says; None as long as nobody knows, for sound that is being read.

    spoken: the model said it itself. call_id: of a function call, and of its output.
    """

    id: str
    kind: Kind
    text: str | None = ""
    spoken: bool = False
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What one item has to say. name: a called function's."""

    kind: Kind
    text: str
    call_id: str = ""
    name: str = ""


@dataclass(slots=True)
class Changes:
    """What brings the vendor's items in line: new items, each behind another, and ids to delete."""

    created: list[tuple[Item, Part, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class Items:
    """The vendor's items in order, as far as we know."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._made = 0

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def clear(self) -> None:
        self._items.clear()

    def get(self, item_id: str) -> Item | None:
        return next((item for item in reversed(self._items) if item.id == item_id), None)

    def add(self, item: Item) -> None:
        """The vendor has appended an item."""
        self._items.append(item)

    def remove(self, item_id: str) -> bool:
        """Forget an item; say whether there was one."""
        found = self.get(item_id)
        if found is not None:
            self._items.remove(found)
        return found is not None

    def unanswered_calls(self) -> list[str]:
        """List the function calls whose output nobody has sent."""
        answered = {item.call_id for item in self._items if item.kind == "output"}
        return [i.id for i in self._items if i.kind == "call" and i.call_id not in answered]

    def last_words(self, *, before: Collection[str]) -> set[str]:
        """Return what the caller said last, if nothing but ``before`` came after it."""
        found: set[str] = set()
        for item in reversed(self._items):
            if item.kind == "user":
                found.add(item.id)
            elif item.id not in before:
                break
        return found

    def compare(self, messages: Sequence[ChatMessage], *, keep: Collection[str] = ()) -> Changes:
        """Say what differs from the history. keep: ids of what it cannot know of yet."""
        changes = Changes()
        found = set(keep)
        at, behind = 0, "root"
        for part in _parts(messages):
            places = _find(part, self._items, at)
            if places:
                found.update(self._items[place].id for place in places)
                behind = self._items[places[-1]].id
                if part.kind not in ("call", "output"):
                    at = places[-1] + 1
            else:
                self._made += 1
                new = Item(f"ours_{self._made}", part.kind, part.text, call_id=part.call_id)
                changes.created.append((new, part, behind))
                behind = new.id
        changes.deleted = [
            item.id for item in self._items if item.id not in found and item.text is not None
        ]
        return changes

    def make(self, changes: Changes) -> None:
        """The changes were sent."""
        gone = set(changes.deleted)
        self._items = [item for item in self._items if item.id not in gone]
        for item, _, behind in changes.created:
            places = [n for n, other in enumerate(self._items) if other.id == behind]
            self._items.insert(places[0] + 1 if places else 0, item)


def _parts(messages: Sequence[ChatMessage]) -> Iterator[Part]:
    """Cut the history into what single items say, without the instructions at its beginning."""
    told = ""  # what stands before tool calls already, since the caller last spoke
    for message in without_instructions(messages):
        text = message.content
        if message.role == "tool":
            yield Part("output", text, call_id=message.tool_call_id)
            continue
        if message.role == "user":
            told = ""
        elif message.role == "assistant":
            text = _rest(text, told)
            told = f"{told} {text}".strip() if message.tool_calls else ""
        if text.strip():
            yield Part(_KINDS.get(message.role, "system"), text)
        for call in message.tool_calls:
            arguments = orjson.dumps(dict(call.arguments)).decode()
            yield Part("call", arguments, call_id=call.id, name=call.name)


_KINDS: dict[str, Kind] = {"user": "user", "assistant": "assistant"}


def without_instructions(messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    start = next((n for n, found in enumerate(messages) if found.role != "system"), len(messages))
    return messages[start:]


def _rest(text: str, told: str) -> str:
    """What a turn says beyond what was said before its tools ran; the history has that twice."""
    if told and text.startswith(told):
        return text[len(told) :].strip()
    return "" if told and told.startswith(text) else text


def _find(part: Part, items: Sequence[Item], at: int) -> list[int]:
    """Find where, from ``at`` on, the items are that say this part."""
    for start in range(at, len(items)):
        if items[start].kind == part.kind:
            places = _matched(part, items, start)
            if places:
                return places
    return []


def _matched(part: Part, items: Sequence[Item], start: int) -> list[int]:
    if part.kind in ("call", "output"):
        return [start] if items[start].call_id == part.call_id else []
    if items[start].text == part.text:
        return [start]
    if part.kind == "system":
        return []
    return _joined(part, items, start)


def _joined(part: Part, items: Sequence[Item], start: int) -> list[int]:
    """Find a run of items that say it together.

    A caller who goes on has one message in the history, and an item for each utterance. What the
    bot says before and after it used a tool is one turn; and of a turn the history has what was
    heard: its beginning.
    """
    wanted, said = _bare(part.text), ""
    places: list[int] = []
    for place in range(start, len(items)):
        item = items[place]
        if item.kind in ("call", "output") and part.kind == "assistant":
            continue
        if item.kind != part.kind or item.text is None or not (item.spoken or part.kind == "user"):
            return []
        said += _bare(item.text)
        places.append(place)
        if said == wanted or (item.spoken and said.startswith(wanted)):
            return places
        if not wanted.startswith(said):
            return []
    return []


def _bare(text: str) -> str:
    """Letters and digits alone: spaces and marks differ between a transcript and its pieces."""
    return "".join(filter(str.isalnum, text.casefold()))


def item_body(item: Item, part: Part) -> dict[str, Any]:
    """Write an item as the vendor takes it."""
    body: dict[str, Any] = {"id": item.id}
    if part.kind == "call":
        return body | {
            "type": "function_call",
            "call_id": part.call_id,
            "name": part.name,
            "arguments": part.text,
        }
    if part.kind == "output":
        return body | {
            "type": "function_call_output",
            "call_id": part.call_id,
            "output": part.text,
        }
    kind = "output_text" if part.kind == "assistant" else "input_text"
    content = [{"type": kind, "text": part.text}]
    return body | {"type": "message", "role": part.kind, "content": content}
