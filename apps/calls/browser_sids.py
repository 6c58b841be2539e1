"""CallSids of calls that are made in a browser: of a form that no other can be mistaken for."""

from __future__ import annotations

import uuid
from typing import Final

PREFIX: Final = "browser-"


def browser_sid() -> str:
    """Return a new one."""
    return f"{PREFIX}{uuid.uuid4().hex}"


def is_browsers(call_sid: str) -> bool:
    """Whether a CallSid has this form."""
    return call_sid.startswith(PREFIX)
