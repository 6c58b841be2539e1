"""What of a model's text is meant for the caller: open models think aloud between tags."""

from __future__ import annotations

import re

_OPEN = re.compile(r"<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(think|thinking|thought|reasoning)>", re.IGNORECASE)
# The beginning of a tag, at the end of what has arrived.
_TAGS = [f"<{slash}{name}>" for slash in ("", "/") for name in ("think", "thinking", "thought")]
_TAGS += ["<reasoning>", "</reasoning>"]
_BEGINNINGS = frozenset(tag[:n] for tag in _TAGS for n in range(1, len(tag)))
_LONGEST = max(map(len, _TAGS))


class SpokenText:
    """Takes the thinking (``<think>…</think>``) out of a text that arrives in pieces.

    A piece that may be the beginning of a tag is held back until it is one or is none. Thinking
    that never ends is never spoken; a closing tag without its opening is left out alone, for what
    stood before it is spoken already.
    """

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._after = False

    def push(self, piece: str) -> str:
        """Take the next piece; return what of the text may be spoken now."""
        if not self._thinking and not self._held and not self._after and "<" not in piece:
            return piece
        return self._spoken(self._held + piece)

    def flush(self) -> str:
        """Return what was held back, at the end."""
        held, self._held = self._held, ""
        return "" if self._thinking else held

    def _spoken(self, text: str) -> str:
        said = ""
        while text:
            if self._after:  # blank lines divide the thinking from the answer
                text = text.lstrip()
                self._after = not text
            tag = (_CLOSE if self._thinking else _OPEN).search(text)
            stray = None if self._thinking else _CLOSE.search(text)
            if stray is not None and (tag is None or stray.start() < tag.start()):
                said, text = said + text[: stray.start()], text[stray.end() :]
                continue
            if tag is None:
                break
            if not self._thinking:
                said += text[: tag.start()]
            self._thinking = not self._thinking
            self._after = not self._thinking
            text = text[tag.end() :]
        kept = _beginning(text)
        self._held = text[len(text) - kept :]
        return said if self._thinking else said + text[: len(text) - kept]


def _beginning(text: str) -> int:
    """Count the characters at the end that may be the beginning of a tag."""
    start = text.rfind("<", max(0, len(text) - _LONGEST))
    return len(text) - start if start >= 0 and text[start:].lower() in _BEGINNINGS else 0
