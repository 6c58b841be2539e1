"""What Twilio's callbacks say of a call, read from their fields. Never raises: a field that makes
no sense says nothing.

Source: Twilio's "Call resource", statuscallback. Its ``Timestamp`` is RFC 2822 for calls and ISO
8601 for streams; numbers are decimal strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

TERMINAL: Final = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
STATUSES: Final = TERMINAL | {"queued", "initiated", "ringing", "in-progress"}
MACHINES: Final = frozenset(
    {"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"}
)
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Progress:
    """A status callback. status: one of STATUSES, or empty. duration_s: billed, at the end."""

    status: str = ""
    at: datetime | None = None
    duration_s: int | None = None
    sip_code: str = ""
    error_code: str = ""
    answered_by: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL


def progress_read(fields: Mapping[str, str]) -> Progress:
    """Read the fields of a status callback."""
    status = fields.get("CallStatus", "")
    return Progress(
        status=status if status in STATUSES else "",
        at=moment(fields.get("Timestamp", "")),
        duration_s=number(fields.get("CallDuration", "")),
        sip_code=word(fields.get("SipResponseCode", ""), 8),
        error_code=word(fields.get("ErrorCode", ""), 16),
        answered_by=word(fields.get("AnsweredBy", ""), 32),
    )


def number(text: str) -> int | None:
    """Return a decimal number of up to nine digits; None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None


def word(text: str, longest: int) -> str:
    """Return a word of letters, digits, dashes and underscores; empty for anything else."""
    return text if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{longest}}}", text) else ""


def moment(text: str) -> datetime | None:
    """Return a time in UTC, written after RFC 2822 or ISO 8601."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
