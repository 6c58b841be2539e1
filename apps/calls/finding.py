"""Finds calls by what a person remembers of them. Each way is quick among many thousand calls."""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any, Final

from django.db.models import F, FloatField, Func, Q, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.sql.compiler import SQLCompiler

from apps.calls.models import Call
from apps.calls.recordings.models import Recording

# What people write numbers with.
_DRESS: Final = re.compile(r"[\s()/.-]+")
# As many digits as no number has less of; so many are looked for as a whole number first.
_WHOLE: Final = re.compile(r"\+[0-9]{8,15}")


class SecondsBetween(Func):
    """Seconds from one time to another, without Python's help where SQLite would ask for it."""

    template = "EXTRACT(EPOCH FROM (%(expressions)s))"
    arg_joiner = " - "
    arity = 2
    output_field = FloatField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **more: Any) -> Any:
        days = [Func(time, function="julianday") for time in self.get_source_expressions()]
        copy = self.copy()
        copy.set_source_expressions(days)
        return copy.as_sql(compiler, connection, template="((%(expressions)s) * 86400.0)", **more)


def calls_open(calls: QuerySet[Call]) -> QuerySet[Call]:
    """Those that are not over."""
    going_on = [status for status in Call.Status if status not in Call.TERMINAL]
    return calls.filter(pk__in=calls.filter(status__in=going_on).order_by().values("pk"))


def calls_about(calls: QuerySet[Call], words: str) -> QuerySet[Call]:
    """Those with this number, a part of it, this CallSid or this id."""
    words = words.strip()
    try:
        return calls.filter(pk=uuid.UUID(words))
    except ValueError:
        pass
    if re.fullmatch(r"CA\w{4,}", words):
        return calls.filter(call_sid=words)
    digits = _DRESS.sub("", words)
    whole = _WHOLE.fullmatch(digits) and _known(calls, digits)
    how = "exact" if whole else _within(digits)
    return calls.filter(Q(**{f"from_number__{how}": digits}) | Q(**{f"to_number__{how}": digits}))


def _within(words: str) -> str:
    """How to look inside of texts: PostgreSQL takes thrice as long where case does not matter, and
    digits have none."""
    return "icontains" if words.lower() != words.upper() else "contains"


def _known(calls: QuerySet[Call], number: str) -> bool:
    sides = ({"from_number": number}, {"to_number": number})
    return any(calls.filter(**side).order_by().exists() for side in sides)


def calls_longer(calls: QuerySet[Call], seconds: float) -> QuerySet[Call]:
    """Those that are over, and during which somebody could speak for so long."""
    length = SecondsBetween(F("ended_at"), Coalesce("answered_at", "started_at"))
    # Days as SQLite counts them are good to a tenth of a millisecond.
    over = calls.filter(ended_at__isnull=False).annotate(talk_s=length)
    return over.filter(talk_s__gte=seconds - 0.001)


def calls_recorded(calls: QuerySet[Call]) -> QuerySet[Call]:
    """Those that can be listened to."""
    ready = Recording.objects.filter(status=Recording.Status.READY)
    return calls.filter(pk__in=ready.values("pk"))


def calls_between(
    calls: QuerySet[Call], first: datetime | None, last: datetime | None
) -> QuerySet[Call]:
    """Those that began at ``first`` or later, and before ``last``."""
    if first is not None:
        calls = calls.filter(started_at__gte=first)
    return calls if last is None else calls.filter(started_at__lt=last)
