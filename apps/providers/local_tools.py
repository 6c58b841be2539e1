"""Tools for the local responder: which one a caller asks for, and with what arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from apps.providers.local_words import content, meaning, stem, words
from apps.voice.ports import Tool
from apps.voice.toolwords import NOTHING_SAID

_TRANSFER = re.compile(r"transfer|human|escalat|forward|operator|live.?agent|real.?person", re.I)
_END = re.compile(r"^(?:end_?call|hang_?up|end_?conversation|terminate_?call|goodbye)$", re.I)
_DATE = re.compile(
    r"\b(?:(?:next |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tomorrow|tonight"
    r"|(?:january|february|march|april|may|june|july|august|september|october|november|december)"
    r" (?:the )?\d{1,2}(?:st|nd|rd|th)?|\d{4}-\d{2}-\d{2})\b",
    re.IGNORECASE,
)
_HOUR = r"(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_TIME = re.compile(
    rf"\b(?:{_HOUR}(?::\d\d| thirty| fifteen| forty.five)?\s?(?:a\.?m\b\.?|p\.?m\b\.?|o['’]?clock)"
    rf"|\d{{1,2}}:\d\d|(?<=at ){_HOUR}(?: thirty| fifteen| forty.five)?|half past {_HOUR}"
    r"|noon|midday|midnight)",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?i:my name(?:'s|’s| is)|i am|i'm|i’m|this is|name of|it's|it’s)"
    r" (?P<name>[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*)"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_PHONE = re.compile(r"\+?\d[\d\s().-]{5,}\d")
_PLACE = re.compile(r"\b(?:in|at|near|to|from|for) (?P<place>[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*)")
_FREE = re.compile(
    r"question|query|reason|message|text|description|note|summary|request|topic", re.IGNORECASE
)
_LEAD = re.compile(
    r"^(?:(?:it is|it's|it’s|that's|that is|on|at|for|the|my|is|um|uh|yes|sure|okay)[ ,]+)+",
    re.IGNORECASE,
)
_WISH = re.compile(
    r"\b(?:i(?:'d|’d| would) like|i want|i need to|can you|could you|please|can i|let me|book"
    r"|cancel|check|order)\b",
    re.IGNORECASE,
)
_UNITS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBERS = {word: n for n, word in enumerate(_UNITS.split())} | {
    word: 20 + 10 * n for n, word in enumerate(_TENS.split())
}
_PATTERNS: Sequence[tuple[re.Pattern[str], re.Pattern[str], int | str]] = (
    (re.compile(r"mail", re.I), _EMAIL, 0),
    (re.compile(r"phone|mobile|callback", re.I), _PHONE, 0),
    (re.compile(r"date|day|when", re.I), _DATE, 0),
    (re.compile(r"time|hour", re.I), _TIME, 0),
    (re.compile(r"name", re.I), _NAME, "name"),
    (re.compile(r"city|town|place|location|where|destination|country", re.I), _PLACE, "place"),
)
_FITS = 0.5


def transfer_tool(tools: Sequence[Tool]) -> Tool | None:
    """Return the tool that puts the caller through to a person."""
    return next((t for t in tools if _TRANSFER.search(f"{t.name} {t.description}")), None)


def end_tool(tools: Sequence[Tool]) -> Tool | None:
    """Return the tool that ends the call."""
    return next((t for t in tools if _END.match(t.name)), None)


def is_silent(name: str) -> bool:
    """Whether everything was said before the tool ran: a goodbye, or "I'll put you through"."""
    return bool(_END.match(name) or _TRANSFER.search(name))


def tool_chosen(said: str, tools: Sequence[Tool]) -> tuple[Tool | None, float]:
    """Return the tool whose description fits best to what was said, and how well, 0..1."""
    asked = content(said) - _numbers_in(said)
    best, top = None, 0.0
    for tool in tools:
        if _END.match(tool.name) or _TRANSFER.search(tool.name):
            continue
        score = _fit(asked, said, tool)
        if score > top:
            best, top = tool, score
    return (best, top) if top >= _FITS else (None, top)


def _fit(asked: set[str], said: str, tool: Tool) -> float:
    """Weigh shared words and ideas by how much of the tool's own name and description they are."""
    name = content(tool.name.replace("_", " "))
    described = content(tool.description) | name
    shared = asked & described
    if not shared:
        ideas = {term for term in meaning(said) if term.startswith("~")}
        same = ideas & set(meaning(tool.name.replace("_", " ")))
        return 0.5 if same and _is_wish(said) else 0.0
    weight = sum(1.0 if term in name else 0.5 for term in shared)
    return min(1.0, weight / max(1.0, min(2.0, len(name))) * 0.6 + (0.2 if _is_wish(said) else 0.0))


def _is_wish(said: str) -> bool:
    return bool(_WISH.search(said))


def arguments_filled(said: str, tool: Tool) -> tuple[dict[str, Any], list[str]]:
    """Read a tool's arguments out of ``said``; return them and the required ones not found."""
    found: dict[str, Any] = {}
    properties: Mapping[str, Any] = tool.parameters.get("properties") or {}
    for name, schema in properties.items():
        value = _value(said, name, schema if isinstance(schema, Mapping) else {})
        if value is not None:
            found[name] = value
    required = tool.parameters.get("required") or ()
    return found, [name for name in required if name in properties and name not in found]


def argument_answered(said: str, name: str, tool: Tool) -> Any:
    """Read the whole of ``said`` as the answer to a question for one argument, or return None."""
    schema = (tool.parameters.get("properties") or {}).get(name) or {}
    value = _value(said, name, schema)
    if value is None and schema.get("type", "string") == "string" and not schema.get("enum"):
        value = _LEAD.sub("", said.strip()).strip(" .!?") or None
    return value


def _value(said: str, name: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return _choice(said, schema["enum"])
    match schema.get("type", "string"):
        case "integer" | "number" as kind:
            number = _number(said)
            return int(number) if number is not None and kind == "integer" else number
        case "boolean":
            return _yes_or_no(said)
        case "string":
            return _text(said, name, str(schema.get("description", "")))
    return None


def _choice(said: str, choices: Sequence[Any]) -> Any:
    heard = {stem(word) for word in words(said)}
    named = {
        choice: {stem(word) for word in words(str(choice).replace("_", " "))} for choice in choices
    }
    return next((choice for choice, parts in named.items() if parts and parts <= heard), None)


def _number(said: str) -> float | int | None:
    """Return the first number that is no date and no time of day, in digits or words."""
    total: int | None = None
    for word in re.findall(r"\d+(?:\.\d+)?|[a-z]+", _TIME.sub(" ", _DATE.sub(" ", said)).lower()):
        if word[0].isdigit():
            return float(word) if "." in word else int(word)
        if word in _NUMBERS and (total is None or total % 10 == 0):
            total = (total or 0) + _NUMBERS[word]
        elif total is not None:
            break
    return total


def _numbers_in(said: str) -> set[str]:
    return {stem(word) for word in words(said) if word.isdigit() or word in _NUMBERS}


def _yes_or_no(said: str) -> bool | None:
    first = next(iter(words(said)), "")
    return {"yes": True, "yeah": True, "sure": True, "no": False, "nope": False}.get(first)


def _text(said: str, name: str, description: str) -> str | None:
    for hint, pattern, group in _PATTERNS:
        if hint.search(name):
            found = pattern.search(said)
            return found[group].strip(" .") if found else None
    if _FREE.search(name) or _FREE.search(description):
        return said.strip()
    return None


def result_spoken(result: str) -> str:
    """Say a tool's result: text as it stands, JSON by its message or by its fields."""
    if result == NOTHING_SAID:
        return "That's done."
    try:
        value = json.loads(result)
    except ValueError:
        return result.strip()
    return _said(value) or "That's done."


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        for key in ("message", "answer", "text", "summary", "result", "error", "info"):
            if isinstance(value.get(key), str) and value[key].strip():
                return str(value[key]).strip()
        parts = [
            f"{key.replace('_', ' ')} is {_said(part)}"
            for key, part in value.items()
            if _says(key, part)
        ]
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""
    if isinstance(value, list):
        return ", ".join(filter(None, (_said(part).rstrip(".") for part in value[:5])))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _says(key: str, part: Any) -> bool:
    """Whether a field is for the caller: not an id, not a bare success flag."""
    return (
        key not in ("ok", "success", "status", "id")
        and not key.endswith("_id")
        and part is not None
    )
