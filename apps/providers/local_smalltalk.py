"""What the local responder says without looking anything up: greetings, goodbyes, "say again"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.providers.local_answers import Knowledge
from apps.providers.local_tools import arguments_filled, end_tool, transfer_tool
from apps.providers.local_words import content
from apps.voice.ports import ChatMessage, Tool

_ANYTHING_ELSE = "Is there anything else I can help you with?"
_POLITE = frozenset(["thank", "lot", "great", "perfect", "cool", "good", "awesom", "nic"])
_GREETING = frozenset(["good", "morn", "afternoon", "even", "anybody", "anyon"])


@dataclass(frozen=True, slots=True)
class Turn:
    """What there is to go by for one answer. said: the caller's last words."""

    said: str
    known: Knowledge
    messages: Sequence[ChatMessage]
    tools: Sequence[Tool]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say, and then which tool to call."""

    text: str
    call: Tool | None = None
    arguments: dict[str, Any] | None = None


def small_talk(turn: Turn) -> Reply | None:
    """Answer what needs no knowledge, or return None. The first rule that does not pass wins."""
    said = re.sub(r"[^a-z0-9' ]+", " ", turn.said.lower().replace("’", "'"))
    said = " ".join(said.split())
    for rule, answer in _RULES:
        if rule.search(said) and (reply := answer(turn)) is not None:
            return reply
    return None


def welcome(turn: Turn) -> str:
    """Return the words that open a call: the prompt's own greeting, or its name."""
    if turn.known.greeting:
        return turn.known.greeting
    if turn.known.speaker:
        return f"Hello, this is {turn.known.speaker}. How can I help you?"
    return "Hello! How can I help you?"


def _said_last(turn: Turn) -> str:
    spoken = (m.content for m in reversed(turn.messages) if m.role == "assistant" and m.content)
    return next(spoken, "")


def _repeat(turn: Turn) -> Reply:
    return Reply(_said_last(turn) or welcome(turn))


def _person(turn: Turn) -> Reply:
    tool = transfer_tool(turn.tools)
    if tool is None:
        return Reply(
            "I'm sorry, I can't put you through to a person from here. "
            "But I'm happy to help: what would you like to know?"
        )
    found, _ = arguments_filled(turn.said, tool)
    return Reply("Of course. One moment, I'll put you through.", tool, found)


def _goodbye(turn: Turn) -> Reply:
    house = f" {turn.known.house}" if turn.known.house else ""
    return Reply(f"Thank you for calling{house}. Goodbye!", end_tool(turn.tools), {})


def _thanks(turn: Turn) -> Reply | None:
    if content(turn.said) - _POLITE:
        return None
    return Reply(f"You're welcome. {_ANYTHING_ELSE}")


def _hello(turn: Turn) -> Reply | None:
    if content(turn.said) - _GREETING:
        return None
    return Reply("Hello! How can I help you?" if _said_last(turn) else welcome(turn))


def _identity(turn: Turn) -> Reply:
    speaker = turn.known.speaker
    return Reply(f"This is {speaker}." if speaker else "I'm the automated assistant on this line.")


def _machine(turn: Turn) -> Reply:
    house = f" of {turn.known.house}" if turn.known.house else ""
    return Reply(f"I'm an automated assistant{house}. How can I help you?")


def _well(turn: Turn) -> Reply:
    return Reply("I'm fine, thank you. How can I help you?")


def _yes(turn: Turn) -> Reply:
    return Reply("Great. What would you like to know?")


def _no(turn: Turn) -> Reply:
    if _said_last(turn).endswith(_ANYTHING_ELSE):
        return _goodbye(turn)
    return Reply(f"All right. {_ANYTHING_ELSE}")


# Read against lower case without punctuation but apostrophes, one space between words.
_REPEAT = (
    r"\b(?:say|repeat|said) (?:that|it|this|again)\b|\bcome again\b|\bonce more\b|^repeat"
    r"|^(?:pardon|sorry|excuse me|what)(?: me)?$|\bwhat did you (?:just )?say\b"
    r"|\bdid(?:n't| not) (?:catch|hear|understand|get)\b"
)
_STAFF = r"(?:human|person|agent|representative|operator|manager|receptionist)"
_PERSON = (
    rf"\b(?:talk|speak|connect|transfer|put)\b.*\b(?:{_STAFF}|somebody|someone)\b"
    rf"|\b(?:want|need|get|give|like)(?: me| to| a| an| the| real| live| your)* {_STAFF}\b"
    rf"|^(?:a |an )?(?:real |live )?{_STAFF}(?: please)?$|\b(?:human|real person) please\b"
)
_GOODBYE = (
    r"\b(?:good ?bye?|bye|see you|hang up|have a (?:good|nice|great))\b"
    r"|^(?:no )?(?:thanks |thank you )?that(?:'s| is| will be|'ll be) (?:all|it|everything)\b"
    r"|^nothing else\b"
)
_MACHINE = (
    r"\b(?:are you|is this) (?:an? |really )*"
    r"(?:robot|bot|machine|human|real|person|ai|computer|recording)\b"
)
_IDENTITY = r"\bwho (?:is this|are you|am i (?:talking|speaking))\b|\bwhat(?:'s| is) your name\b"

_RULES: Sequence[tuple[re.Pattern[str], Callable[[Turn], Reply | None]]] = (
    (re.compile(_REPEAT), _repeat),
    (re.compile(_PERSON), _person),
    (re.compile(_GOODBYE), _goodbye),
    (re.compile(_MACHINE), _machine),
    (re.compile(_IDENTITY), _identity),
    (re.compile(r"^(?:hello |hi |hey )?how are you\b(?! open)|\bhow's it going\b"), _well),
    (re.compile(r"^no(?:pe)?(?: thanks| thank you| i'm good| i'm fine)*$"), _no),
    (re.compile(r"\b(?:thanks|thank you)\b"), _thanks),
    (re.compile(r"^(?:hello|hi|hey|good (?:morning|afternoon|evening))\b"), _hello),
    (re.compile(r"^(?:yes|yeah|yep|sure|ok|okay)(?: please)?$"), _yes),
)
