"""Calls as a table for spreadsheets and programs: CSV after RFC 4180, made while it is sent.

UTF-8 with a byte order mark: Excel takes a file without one for the machine's old code page, and
what reads CSV in programs knows the mark (Python's ``utf-8-sig``). Times are ISO 8601 in UTC.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.db.models import Q, QuerySet

from apps.accounts.audit import Actor, Target, audit_record
from apps.accounts.models import Account
from apps.calls.models import Call

BOM: Final = "\ufeff"
# Rows of one query. Between two of them nothing is held open, however slowly the file is taken.
ROWS: Final = 1_000

# A spreadsheet takes a cell that begins so for a formula, which may do anything. Full-width forms
# count in some languages.
_FORMULA: Final = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
# As such it would be a number: harmless, and of use to what reads the file.
_PHONE: Final = re.compile(r"\+[0-9]{3,15}")

# Names of columns never change; new ones go to the end.
COLUMNS: Final[Mapping[str, Callable[[Call], Any]]] = {
    "id": lambda call: call.id,
    "call_sid": lambda call: call.call_sid,
    "account": lambda call: call.account.name,
    "bot_id": lambda call: call.config_id,
    "bot": lambda call: call.config.name,
    "bot_version": lambda call: call.version.number,
    "direction": lambda call: call.direction,
    "from": lambda call: call.from_number,
    "to": lambda call: call.to_number,
    "status": lambda call: call.status,
    "end_reason": lambda call: call.end_reason,
    "error_code": lambda call: call.error_code,
    "started_at": lambda call: call.started_at,
    "answered_at": lambda call: call.answered_at,
    "ended_at": lambda call: call.ended_at,
    "duration_s": lambda call: call.duration_s,
    "billed_s": lambda call: call.billed_s,
    "cost_usd": lambda call: call.cost_usd,
    "cost_is_complete": lambda call: call.cost_is_complete,
    "recording": lambda call: call.recording.status if hasattr(call, "recording") else "",
    "metadata": lambda call: orjson.dumps(call.metadata).decode() if call.metadata else "",
}
_READ: Final = (
    *("call_sid", "account__name", "config__name", "version__number", "direction"),
    *("from_number", "to_number", "status", "end_reason", "error_code", "started_at"),
    *("answered_at", "ended_at", "stream_sid", "billed_s", "cost_usd", "cost_is_complete"),
    *("recording__status", "metadata"),
)


def calls_export(
    *, calls: QuerySet[Call], filters: Mapping[str, str], actor: Actor
) -> Iterator[str]:
    """Note who takes which calls, and return them as CSV in pieces, newest first.

    filters: what they were narrowed by, for the audit log of each account whose calls they are.
    """
    accounts = calls.order_by().values("account").distinct()
    for account in Account.objects.filter(pk__in=accounts):
        audit_record(
            account=account,
            actor=actor,
            action="call.export",
            target=Target("call", ""),
            after={"filters": dict(filters)},
        )
    return calls_csv(calls)


def calls_csv(calls: QuerySet[Call]) -> Iterator[str]:
    """Return calls as CSV, newest first; a piece for each query, whose order is this one's own."""
    yield BOM + _lines([tuple(COLUMNS)])
    rows = (
        calls.select_related("account", "config", "version", "recording")
        .only(*_READ)
        .order_by("-started_at", "-id")
    )
    found = list(rows[:ROWS])
    while found:
        yield _lines([_cells(call) for call in found])
        last = found[-1]
        older = Q(started_at__lt=last.started_at) | Q(id__lt=last.id)
        found = list(rows.filter(older, started_at__lte=last.started_at)[:ROWS])


def _cells(call: Call) -> tuple[str, ...]:
    return tuple(_cell(read(call)) for read in COLUMNS.values())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, str):
        return guarded(value)
    return f"{value}"


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe stands before it."""
    if _FORMULA.match(text) and not _PHONE.fullmatch(text):
        return f"'{text}"
    return text


def _lines(rows: list[tuple[str, ...]]) -> str:
    sheet = io.StringIO()
    csv.writer(sheet).writerows(rows)
    return sheet.getvalue()
