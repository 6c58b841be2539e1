"""What a worker does about calls by the clock."""

from __future__ import annotations

from django.utils import timezone

from apps.calls.callback_orphans import orphans_adopt
from apps.calls.callbacks import callbacks_sweep
from apps.calls.due import calls_at_once, calls_due_dial
from apps.calls.hangup import hang_ups_say
from apps.calls.lookups import strangers_look_up, unknown_look_up
from apps.calls.missed import missed_look_up
from apps.calls.number_watch import numbers_sweep
from apps.calls.posting import postings_abandon
from apps.calls.reaping import calls_reap
from apps.calls.recordings import sweeps as _recordings  # noqa: F401 - it registers its own
from apps.calls.retention import traces_purge
from apps.calls.statistics.counting import hours_count
from apps.core.periodic import periodic


@periodic(every_s=1, name="calls.callbacks")
def callbacks() -> int:
    """Let Twilio's callbacks take effect."""
    return callbacks_sweep()


@periodic(every_s=10, name="calls.callbacks_unknown")
def callbacks_unknown() -> int:
    """Write down calls that only Twilio told us of, and forget what nobody asks about."""
    return orphans_adopt()


@periodic(every_s=5, name="calls.numbers")
def numbers() -> int:
    """Flag numbers whose settings at Twilio are not what they are to be."""
    return numbers_sweep()


@periodic(every_s=1, name="calls.dial")
def dial() -> int:
    """Dial what is scheduled for now, and what Twilio has put off."""
    return calls_due_dial(each=calls_at_once)


@periodic(every_s=5, name="calls.abandoned")
def abandoned() -> int:
    """Turn calls unknown whose dialling nobody told the end of."""
    return postings_abandon()


@periodic(every_s=5, name="calls.unknown")
def unknown() -> int:
    """Ask Twilio whether it has calls of which we do not know."""
    return unknown_look_up()


@periodic(every_s=2, name="calls.hang_up")
def hang_up() -> int:
    """Hang up what could not be hung up when somebody asked for it."""
    return hang_ups_say()


@periodic(every_s=5, name="calls.strangers")
def strangers() -> int:
    """Ask Twilio about calls that came in by a Bin's token and say nothing of themselves."""
    return strangers_look_up()


@periodic(every_s=10, name="calls.missed")
def missed() -> int:
    """Write down calls to our numbers of which neither a stream nor a callback told us."""
    return missed_look_up()


@periodic(every_s=3, name="calls.reap")
def reap() -> int:
    """Hang up and close the calls that nobody looks after."""
    return calls_reap(each=calls_at_once)


@periodic(every_s=60, name="calls.hours")
def hours() -> int:
    """Count what happened in the hours that are over. It also shows that a worker works."""
    return hours_count()


@periodic(every_s=3_600, name="calls.purge")
def purge() -> int:
    """Remove what is left of calls and is of no use any more."""
    return traces_purge(now=timezone.now())
