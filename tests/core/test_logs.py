"""Log lines: one each, with ids, without secrets."""

from __future__ import annotations

import logging
import sys

import pytest

from apps.core.logs import BLOT, LineFormatter, redact, request_id


@pytest.mark.parametrize(
    "secret",
    [
        "bc_0123456789ab_abcdefghijklmnopqrstuvwxyz-_ABC",
        "sk-proj-abcdefghijklmnopqrstuv",
        "gAAAAABm" + "x" * 60,
    ],
)
def test_a_key_is_blotted_out(secret: str) -> None:
    assert redact(f"before {secret} after") == f"before {BLOT} after"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("Authorization: Bearer abc.def", "abc.def"),
        ("postgres://user:hunter2@host/db", "hunter2"),
        ("GET /x?token=abcdef&y=1", "abcdef"),
    ],
)
def test_a_secret_is_known_by_its_place(line: str, secret: str) -> None:
    assert secret not in redact(line)


def test_a_record_is_one_line_with_its_extras() -> None:
    record = logging.makeLogRecord(
        {"name": "apps.x", "levelname": "INFO", "msg": "A call\nended", "call": "CA1"}
    )
    request_id.set("order-1")
    line = LineFormatter().format(record)
    assert line.endswith("INFO apps.x A call\\nended call=CA1 request_id=order-1")


def test_a_traceback_is_blotted_too() -> None:
    try:
        raise ValueError("Bearer abcdef")
    except ValueError:
        record = logging.makeLogRecord(
            {"name": "apps.x", "msg": "Failed", "exc_info": sys.exc_info()}
        )
    assert "abcdef" not in LineFormatter().format(record)
