"""What workers do again and again about calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.utils import timezone

from apps.calls.due import calls_due_dial
from apps.calls.hangup import hang_ups_say
from apps.calls.lookups import strangers_look_up, unknown_look_up
from apps.calls.models import Call
from apps.calls.posting import postings_abandon
from apps.core.periodic import periodic

# Creates under way at once in one worker: a Twilio that hangs holds each up for 15 s.
DIALLERS = 8


@periodic(every_s=1, name="calls.dial")
def dial() -> int:
    return calls_due_dial(each=_at_once)


@periodic(every_s=5, name="calls.abandoned")
def abandoned() -> int:
    return postings_abandon(timezone.now())


@periodic(every_s=5, name="calls.unknown")
def unknown() -> int:
    return unknown_look_up()


@periodic(every_s=2, name="calls.hang_up")
def hang_up() -> int:
    return hang_ups_say()


@periodic(every_s=5, name="calls.strangers")
def strangers() -> int:
    return strangers_look_up()


def _at_once(work: Callable[[Call], bool], calls: Iterable[Call]) -> list[bool]:
    def and_close(call: Call) -> bool:
        try:
            return work(call)
        finally:
            connection.close()

    found = list(calls)
    if not found:
        return []
    with ThreadPoolExecutor(DIALLERS, thread_name_prefix="dial") as pool:
        return list(pool.map(and_close, found))
