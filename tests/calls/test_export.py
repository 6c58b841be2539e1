"""Calls as CSV: what is in a row, what a spreadsheet may not be told, and how it is read."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import AuditEntry
from apps.bots.models import TwilioConfig
from apps.calls import export
from apps.calls.export import BOM, COLUMNS, calls_csv, calls_export, guarded
from apps.calls.models import Call, Recording
from tests.calls.test_calls_api import NOW, make_call

NAMES = (
    "id,call_sid,account,bot_id,bot,bot_version,direction,from,to,status,end_reason,error_code,"
    "started_at,answered_at,ended_at,duration_s,billed_s,cost_usd,cost_is_complete,recording,"
    "metadata"
)


def rows(sheet: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.removeprefix(BOM))))


def test_the_columns_have_the_names_that_are_documented() -> None:
    assert ",".join(COLUMNS) == NAMES


def test_a_row_says_what_the_call_was(config: TwilioConfig) -> None:
    ended = NOW + timedelta(seconds=9)
    call = make_call(
        config,
        status="completed",
        from_number="+4930123456",
        answered_at=NOW,
        ended_at=ended,
        cost_usd=Decimal("0.0123"),
        metadata={"order": "4711"},
    )
    Recording.objects.create(call=call, started_at=NOW, status="ready")
    sheet = "".join(calls_csv(Call.objects.all()))
    assert sheet.startswith(f"{BOM}id,") and sheet.count("\r\n") == 2
    (row,) = rows(sheet)
    assert row["id"] == str(call.pk)
    assert (row["account"], row["bot"], row["bot_version"]) == ("Hotel", "Front desk", "1")
    assert row["from"] == "+4930123456"
    assert (row["started_at"], row["duration_s"]) == ("2026-01-02T03:04:05.000Z", "9.0")
    assert (row["cost_usd"], row["cost_is_complete"]) == ("0.01230000", "false")
    assert (row["recording"], row["metadata"]) == ("ready", '{"order":"4711"}')
    assert row["billed_s"] == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("+1415555+2", "'+1415555+2"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("+14155550101", "+14155550101"),
        ("sip:front@example.com", "sip:front@example.com"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula_and_a_number_stays_one(text: str, shown: str) -> None:
    assert guarded(text) == shown


def test_what_a_caller_makes_up_is_no_formula(config: TwilioConfig) -> None:
    make_call(config, from_number='=HYPERLINK("http://x","y")', to_number="+14155550101")
    (row,) = rows("".join(calls_csv(Call.objects.all())))
    assert row["from"] == '\'=HYPERLINK("http://x","y")'


def test_it_is_read_in_parts_and_misses_nothing(
    config: TwilioConfig,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(export, "ROWS", 3)
    for number in range(8):  # some began in the same moment
        make_call(config, f"CA{number}", started_at=NOW + timedelta(seconds=number // 3))
    with django_assert_num_queries(4):  # 3, 3, 2, none
        pieces = list(calls_csv(Call.objects.all()))
    found = [row["id"] for row in rows("".join(pieces))]
    expected = Call.objects.order_by("-started_at", "-id").values_list("id", flat=True)
    assert found == [str(identifier) for identifier in expected]
    assert len(pieces) == 4


def test_who_takes_them_stands_in_the_audit_log(config: TwilioConfig) -> None:
    make_call(config)
    pieces = calls_export(
        calls=Call.objects.all(), filters={"status": "failed"}, actor=Actor(command="test")
    )
    entry = AuditEntry.objects.get(action="call.export")
    assert (entry.account_id, entry.after) == (config.account_id, {"filters.status": "failed"})
    assert len(rows("".join(pieces))) == 1
