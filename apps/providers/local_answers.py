"""What a prompt holds for callers: its facts, who it speaks as, and the fact that fits a question.

Instructions to a model ("Keep every answer short") are told from facts by how they begin. What a
sentence and a question share is weighed by how rare it is in the prompt.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apps.providers.local_words import ideas, meaning
from apps.voice.sentences import SentenceSplitter, spoken

_HEADING = re.compile(
    r"^\s*(?:#{1,6}\s+(?P<hash>.+?)|\*\*(?P<bold>[^*]+?)\*\*:?|(?P<plain>[^.!?:]{2,40}):)\s*$"
)
_ITEM = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+")
_QUOTE = re.compile(r"[\"“]([^\"”]{3,})[\"”]")
_LABEL = re.compile(r"^(?P<label>[A-Z][\w '&/-]{1,30}):\s+(?P<value>\S.*)$")
_ORDER = re.compile(
    r"^(?:please |always |never |first |then |finally |instead |otherwise |only |and |also )*"
    r"(?:you(?:'re|’re)\b|you (?:are|must|should|will|shall|have|only|never|always|do not|don't"
    r"|don’t|speak|answer|work|help|act|represent)"
    r"|you can (?:use|call|look|help|book|transfer|access|answer)"
    r"|your (?:name|role|job|task|goal|tone|purpose|answers?|repl(?:y|ies)|responses?|style)"
    r"|keep|answer|be|speak|say|talk|ask|use|do not|don't|don’t|avoid|respond|reply|greet"
    r"|help|offer|tell|make sure|make it|remember|confirm|collect|transfer|hang up|end the|stay"
    r"|try to|explain|provide|give|follow|pretend|act|introduce|start|begin|assist|limit|ensure"
    r"|let (?:the|them|him)|refuse|never|always|when (?:the|a|asked|someone|you)|output|write"
    r"|if (?:the|an?|asked|someone|they|anyone|unsure|you (?:do|don't|don’t|cannot|can't|are))"
    r"|this is a (?:phone|voice)|call (?:the|a|this) (?:tool|function))\b",
    re.IGNORECASE,
)
_ABOUT_CALLER = re.compile(r"\bthe (?:caller|user|customer|client|patient|guest)(?:'s|’s)?\b", re.I)
_ROLE = re.compile(r"\b[Yy]ou(?: are|'re|’re) (?P<role>[^.!?\n]+)")
_NAMED = re.compile(r"\b(?:[Yy]our name is|[Yy]ou are called) (?P<name>[A-Z][\w'’-]*)")
_PROPER = r"[A-Z][\w'’&.-]*"
_HOUSE = re.compile(
    r"\b(?:of|for|at|from|by|with) (?P<house>(?:the )?"
    rf"{_PROPER}(?: (?:{_PROPER}|and|of|the|&))*)"
)
_OPENS = re.compile(r"\b(?:greet|start|begin|introduce|open)", re.IGNORECASE)
_OPENING = re.compile(
    r"\b(?:greet|greeting|start|begin|open|introduce|answer the (?:phone|call))\b"
    r"[^.\n\"“]*[\"“]([^\"”]+)[\"”]",
    re.IGNORECASE,
)
_WHEN_ASKED = re.compile(
    r"^(?:if|when) [^,]{3,80}, (?:say|tell \w+|explain|answer)(?: that)? (?P<told>.+)$",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|has|have|can|cannot|costs?|takes?|offers?|opens?|closes?|accepts?|sees?"
    r"|we|you)\b",
    re.IGNORECASE,
)
_ROLE_END = re.compile(r",? (?:who|and you|that|whose|,)\b|;")
_LEANS = re.compile(r"^(?:it|they|that|this|these|those|both|he|she|there|also|otherwise)\b", re.I)
_FRAGMENT_ITEMS = 5
_UNKNOWN = 0.7


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence that may be spoken. keys: what else to find it by. section: its list, or -1."""

    text: str
    keys: str = ""
    section: int = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """Sentences for a question. score: 0..1, how much of the question they cover."""

    text: str
    score: float


class Knowledge:
    """What a prompt says, ready to be asked."""

    def __init__(self, prompt: str) -> None:
        self.facts = _facts(prompt)
        self.house = _house(prompt)
        self.speaker = _speaker(prompt, self.house)
        self.greeting = _greeting(prompt)
        self._meanings = [meaning(f"{fact.keys} {fact.text}") for fact in self.facts]
        self._own = [meaning(fact.text) for fact in self.facts]
        seen = Counter(term for found in self._meanings for term in found)
        self._rarity = {term: math.log(1 + len(self.facts) / n) for term, n in seen.items()}

    def ideas(self) -> list[str]:
        return ideas(fact.text for fact in self.facts)

    def answer(self, question: str, *, context: str = "") -> Answer:
        """Return the fact that fits best, with the neighbour that it leans on.

        context: what was asked before, for questions that say little ("And on Saturday?").
        """
        wanted = meaning(question)
        for term, weight in meaning(context).items():
            wanted.setdefault(term, weight * 0.3)
        if not wanted or not self.facts:
            return Answer("", 0.0)
        scores = [self._score(wanted, n) for n in range(len(self.facts))]
        best = max(range(len(scores)), key=lambda n: (scores[n], -n))
        return Answer(self._told(best, scores), min(1.0, scores[best]))

    def _score(self, wanted: dict[str, float], n: int) -> float:
        """Return the share of the question that fact ``n`` covers, 0..1, shorter facts first."""
        ceiling = math.log(1 + len(self.facts)) * _UNKNOWN
        asked = sum(weight * self._rarity.get(term, ceiling) for term, weight in wanted.items())
        found, own = self._meanings[n], self._own[n]
        met = sum(
            min(weight, found[term]) * self._rarity[term] * (1.0 if term in own else 0.8)
            for term, weight in wanted.items()
            if term in found
        )
        return met / asked - 0.002 * len(own) if asked else 0.0

    def _told(self, best: int, scores: Sequence[float]) -> str:
        fact = self.facts[best]
        if fact.section >= 0:
            peers = [n for n, peer in enumerate(self.facts) if peer.section == fact.section]
            alike = [n for n in peers if scores[n] > scores[best] - 0.1]
            if len(alike) > 1:
                told = "; ".join(_item(self.facts[n].text) for n in peers[:_FRAGMENT_ITEMS])
                return f"{fact.keys}: {told}." if fact.keys else f"{told}."
            return _closed(fact.text if ":" in fact.text else f"{fact.keys}: {fact.text}")
        chosen = [best]
        if _LEANS.match(fact.text) and best > 0:
            chosen.insert(0, best - 1)
        if best + 1 < len(self.facts) and _LEANS.match(self.facts[best + 1].text):
            chosen.append(best + 1)
        return " ".join(_closed(self.facts[n].text) for n in chosen)


def _facts(prompt: str) -> list[Fact]:
    """Read the prompt line by line: headings name what follows, list items may be fragments."""
    found: list[Fact] = []
    heading, section = "", -1
    for line in prompt.splitlines():
        if match := _HEADING.match(line):
            heading = next(filter(None, match.groups())).strip().rstrip(":")
            section += 1
            continue
        if not line.strip():
            continue
        item = _ITEM.match(line)
        body = _ITEM.sub("", line)
        splitter = SentenceSplitter()
        for sentence in (*splitter.push(body), *splitter.flush()):
            fact = _fact(sentence, heading=heading, section=section if item and heading else -1)
            if fact is not None:
                found.append(fact)
    return found


def _fact(sentence: str, *, heading: str, section: int) -> Fact | None:
    """Return what may be spoken of a sentence, or None."""
    if _ORDER.match(sentence) or _ABOUT_CALLER.search(sentence):
        return _dictated(sentence)
    if not re.search(r"[A-Za-z]{2}", sentence):
        return None
    if _ORDER.match(heading):
        heading, section = "", -1
    match = _LABEL.match(sentence)
    if match and _ORDER.match(match["value"]):
        return None
    return Fact(sentence, keys=heading, section=section if _is_bare(sentence) else -1)


def _dictated(order: str) -> Fact | None:
    """Return the answer that an instruction dictates for a case, or None."""
    quoted = _QUOTE.search(order)
    if quoted:
        return None if _OPENS.search(order) else Fact(quoted[1], keys=_QUOTE.sub("", order))
    case = _WHEN_ASKED.match(order)
    if case is None:
        return None
    told = case["told"]
    return Fact(f"{told[0].upper()}{told[1:]}", keys=order[: case.start("told")])


def _is_bare(text: str) -> bool:
    """Whether a text is a fragment of a list, not a sentence that stands alone."""
    return not _VERB.search(text)


def _item(text: str) -> str:
    """Return a list item as it is read out among others."""
    return text.rstrip(".;").replace(": ", ", ", 1)


def _closed(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in ".!?…" else f"{text.rstrip(',;:')}."


def _house(prompt: str) -> str:
    """Return the business that the prompt speaks for, or nothing."""
    role = _ROLE.search(prompt)
    found = _HOUSE.search(role["role"]) if role else None
    return re.sub(r" (?:and|of|the|&)$", "", found["house"]).rstrip(".,'’") if found else ""


def _speaker(prompt: str, house: str) -> str:
    """Return who answers the phone, as it fits after "This is": a name, a desk, a business."""
    if named := _NAMED.search(prompt):
        return f"{named['name']} from {house}" if house else named["name"]
    role = _ROLE.search(prompt)
    if role is None:
        return house
    said = spoken(_ROLE_END.split(role["role"])[0]).strip(" ,")
    if re.match(r"(?:the |[A-Z])", said) and len(said) < 70:
        return said.split(", a ")[0] + (f" from {house}" if ", a " in said and house else "")
    return house


def _greeting(prompt: str) -> str:
    """Return the greeting that the prompt dictates in quotes, or nothing."""
    found = _OPENING.search(prompt)
    return spoken(found[1]) if found else ""
