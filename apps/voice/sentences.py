"""Cuts a stream of model text into sentences worth speaking, as early as it is safe to."""

from __future__ import annotations

import re

# A boundary is closing punctuation followed by space: without the space it may be "3.5" or "e.g".
_BOUNDARY = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)|\n+|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|vs|etc|approx|e\.g|i\.e|a\.m|p\.m|[a-z])\.$",
    re.IGNORECASE,
)
# Marks that a model writes for the eye; a voice would read them aloud.
_MARKUP = re.compile(r"\*\*|__|`+|^#{1,6}\s+|^\s*[-*•]\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")

FIRST_CHARACTERS = 2
# Without any punctuation a voice would wait for ever: cut at a space somewhere below this.
LONGEST_CHARACTERS = 300


def has_words(text: str) -> bool:
    """Whether there is anything to say in a text: a letter or a digit, of any script.

    Without one (a smiley, mere punctuation) vendors' voices send nothing.
    """
    return any(character.isalnum() for character in text)


def spoken(text: str) -> str:
    """Return ``text`` without markup, in one line."""
    return " ".join(_MARKUP.sub("", _LINK.sub(r"\1", text)).split())


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text that exists already."""
    splitter = SentenceSplitter()
    return [*splitter.push(text), *splitter.flush()]


class SentenceSplitter:
    """Collects pieces of text and gives back whole sentences, in order.

    What has no words in it goes with the sentence after it: in its company a voice may say it.
    Nothing else is lost but that which comes after the last sentence.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._wordless = ""

    def push(self, piece: str) -> list[str]:
        """Add a piece; return the sentences it completed."""
        self._pending += piece
        found = []
        while (cut := self._cut()) is not None:
            sentence, self._pending = self._pending[:cut], self._pending[cut:]
            found += self._found(sentence)
        return found

    def flush(self) -> list[str]:
        """Return what is left, at the end of the text."""
        found, self._pending = self._found(self._pending), ""
        self._wordless = ""
        return found

    def _found(self, sentence: str) -> list[str]:
        text = f"{self._wordless} {spoken(sentence)}".strip()
        said = has_words(text)
        self._wordless = "" if said else text
        return [text] if said else []

    def _cut(self) -> int | None:
        for boundary in _BOUNDARY.finditer(self._pending):
            head = self._pending[: boundary.end()]
            if len(head.strip()) >= FIRST_CHARACTERS and not _ABBREVIATION.search(head.rstrip()):
                return boundary.end()
        if len(self._pending) > LONGEST_CHARACTERS:
            return self._pending.rfind(" ", 1, LONGEST_CHARACTERS) + 1 or LONGEST_CHARACTERS
        return None
