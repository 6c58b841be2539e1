"""How figures, and texts of others, are said to people."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

# Less is shown as this: a turn costs a tenth of a cent.
_SMALLEST: Final = Decimal("0.0001")


def money(usd: Decimal | None, *, is_complete: bool = True) -> str:
    """Say what something cost, and how sure that is."""
    if usd is None:
        return "unknown"
    shown = "$0" if usd == 0 else f"${max(usd, _SMALLEST):.4f}"
    return shown if is_complete else f"at least {shown}"


def length(seconds: float | None) -> str:
    """Say a length, as 1:05 or 1:02:03; ``live`` for what has none yet."""
    if seconds is None:
        return "live"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def sendable(text: str) -> str:
    """Write half a surrogate pair as its escape: a page that held one could not be sent."""
    return text.encode(errors="backslashreplace").decode()
