"""TwiML Bins: static documents that Twilio hosts, with ``{{From}}`` and the like in them.

Source: Twilio's "TwiML Bins". Logic-less: a name stands for a parameter of the request.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import sid_new

ORIGIN = "https://handler.twilio.com"
_PATH = re.compile(r"/twiml/(EH\w+)")
_NAME = re.compile(r"\{\{\s*(#e\s+)?(\w+)\s*\}\}")


class Bins:
    """The documents by SID."""

    def __init__(self) -> None:
        self._bins: dict[str, str] = {}

    def add(self, document: str) -> str:
        """Keep a document; returns the URL that Twilio would show for it."""
        sid = sid_new("EH")
        self._bins[sid] = document
        return f"{ORIGIN}/twiml/{sid}"

    def render(self, path: str, form: Form) -> str | None:
        """Return the document of a path, filled in; None if there is none."""
        matched = _PATH.fullmatch(path)
        document = self._bins.get(matched[1]) if matched else None
        if document is None:
            return None
        quotes = {'"': "&quot;"}
        return _NAME.sub(lambda name: escape(form.get(name[2]), quotes), document)
