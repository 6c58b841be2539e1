"""English words for the local responder: stems, what means the same, what means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[a-z0-9]+(?:[.,:]\d+)*")
_CONTRACTIONS = (
    (re.compile(r"\b(can|won|don|doesn|didn|isn|aren|couldn|wouldn)['’]t\b"), r"\1 not"),
    (re.compile(r"['’](s|re|m|ll|ve|d|t)\b"), ""),
    (re.compile(r"[$€£](\d)"), r"dollar \1"),
    (re.compile(r"\bo['’ ]?clock\b"), "oclock"),
    (re.compile(r"(\d)\s*(?:a\.?m\b|p\.?m\b)\.?"), r"\1 oclock"),
    (re.compile(r"(?<=[a-z])-(?=[a-z])"), ""),
    (re.compile(r"\b(check|walk|drop|pick|follow|clean) (up|in|off)\b"), r"\1\2"),
)

_EMPTY = """
a an the and or but of to in on at by for from with as is are be am was were been do does did
i you he she it we they me us them my your our their its this that these those there here
can could will would shall should may might must have has had get got want need like know
tell please so just some any if then than too very really let give say ask about
what which how not no yes oh uh um well okay ok hi hello hey hear think right also
ya into out up won don im id ll ve re much many all only one someone something
anything going go make take more other"""
_STOP = frozenset(_EMPTY.split())

# What a question and its answer say in different words. The first word names the idea.
_IDEAS = (
    "hours open hour close shut time when until opening closing late early schedule oclock",
    "day monday tuesday wednesday thursday friday saturday sunday weekend weekday today tomorrow",
    "price cost fee charge dollar euro pound cent expensive cheap rate pay price quote",
    "place where address locate location street road avenue boulevard lane direction find near "
    "nearby corner floor situated opposite beside based next behind downtown plaza",
    "booking appointment book reservation reserve slot",
    "doctor dr dentist physician specialist",
    "phone telephone number reach contact",
    "email mail",
    "parking park garage car valet",
    "delivery deliver ship shipping courier",
    "payment card cash credit visa mastercard debit",
    "refund return exchange money back",
    "cancel cancellation reschedule",
    "food menu eat dish meal lunch dinner breakfast",
    "pet dog cat animal",
    "internet wifi wireless",
    "insurance insurer insured cover coverage",
    "child kid children family baby",
    "people who staff team owner",
    "name called",
    "bus train ferry metro subway tram station",
    "wheelchair accessible accessibility step ramp",
    "duration minute long last take",
    "offer service treatment sell provide",
)


_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""))


# Words that hint at an idea without telling it: "behind the building" is no address.
_HINTS = "behind beside next near nearby opposite find corner floor long take last"
_VAGUE = frozenset(_HINTS.split())
_HINT = 0.6


def stem(word: str) -> str:
    """Cut a word's endings: ``opening``, ``opens`` and ``opened`` are one."""
    for ending, rest in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + rest
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


_IDEA_OF = {stem(word): f"~{idea.split()[0]}" for idea in reversed(_IDEAS) for word in idea.split()}
_TIME = re.compile(
    r"\b\d{1,2}(:\d\d)?\s*([ap]\.?m\b|to\b|until\b|[-–]\s*\d)|\bfrom \w+ (to|until)\b"
)
_PHRASES = (
    (re.compile(r"\bhow (much|expensive)\b"), "~price"),
    (re.compile(r"\bhow long\b"), "~duration"),
    (re.compile(r"\bwho\b"), "~people"),
    (re.compile(r"\bwhat time|\bwhen\b"), "~hours"),
    (re.compile(r"\bget (there|here|to you)\b|\byou guys at\b"), "~place"),
    (re.compile(r"\b(at|on) \d+ [a-z]+"), "~place"),
    (re.compile(r"\b(dr|doctor|mr|mrs|ms|chef)\b\.? [a-z]"), "~people"),
    (_TIME, "~hours"),
)


def words(text: str) -> list[str]:
    """Split ``text`` into lower-case words, contractions opened and hyphens closed."""
    text = text.lower()
    for pattern, replacement in _CONTRACTIONS:
        text = pattern.sub(replacement, text)
    return _WORD.findall(text)


def meaning(text: str) -> dict[str, float]:
    """Return what ``text`` is about: stems (weight 1) and ideas (``~hours``, weight 1).

    A stem that belongs to an idea counts less by itself: the idea already says it.
    """
    found: dict[str, float] = {}
    for word in words(text):
        root = stem(word)
        idea = _IDEA_OF.get(root)
        if idea is not None:
            found[idea] = max(found.get(idea, 0.0), _HINT if word in _VAGUE else 1.0)
        if word not in _STOP:
            found[root] = _HINT if idea is not None else 1.0
    lowered = text.lower()
    found.update({idea: 1.0 for pattern, idea in _PHRASES if pattern.search(lowered)})
    if "~day" in found:
        found["~hours"] = max(found.get("~hours", 0.0), 0.6)
    return found


def content(text: str) -> set[str]:
    """Return the stems of the words that mean something by themselves."""
    return {stem(word) for word in words(text) if word not in _STOP}


def ideas(texts: Iterable[str]) -> list[str]:
    """Name the ideas that ``texts`` speak of, in order of appearance, without repeats."""
    found = (idea for text in texts for idea in meaning(text) if idea.startswith("~"))
    return list(dict.fromkeys(found))
