"""Speech Synthesis Markup Language: a sentence as text in it. Source: W3C, SSML 1.1 and XML 1.0."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

# What no XML 1.0 document may hold, escaped or not (section 2.2).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_QUOTES = {'"': "&quot;", "'": "&apos;"}


def spoken(text: str) -> str:
    """Return ``text`` as it stands between tags, or in an attribute's quotes."""
    return escape(_FORBIDDEN.sub(" ", text), _QUOTES)
