"""What a worker does about calls by the clock."""

from __future__ import annotations

from apps.calls.callback_orphans import orphans_adopt
from apps.calls.callbacks import callbacks_sweep
from apps.calls.recordings import sweeps as recordings
from apps.core.periodic import periodic

__all__ = ("callbacks", "callbacks_unknown", "recordings")


@periodic(every_s=1, name="calls.callbacks")
def callbacks() -> int:
    """Let Twilio's callbacks take effect."""
    return callbacks_sweep()


@periodic(every_s=10, name="calls.callbacks_unknown")
def callbacks_unknown() -> int:
    """Write down calls that only Twilio told us of, and forget what nobody asks about."""
    return orphans_adopt()
