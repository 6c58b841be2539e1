"""What Twilio's callbacks say, read from their fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.telephony.progress import Progress, moment, number, progress_read, word
from apps.telephony.stream_errors import stream_fault

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_status_callback_is_read() -> None:
    fields = {
        **{"CallStatus": "busy", "CallDuration": "0", "SipResponseCode": "486"},
        **{"Timestamp": "Fri, 02 Jan 2026 03:04:05 +0000", "AnsweredBy": "human"},
        "ErrorCode": "13227",
    }
    assert progress_read(fields) == Progress("busy", THEN, 0, "486", "13227", "human")
    assert progress_read(fields).is_final


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 02 Jan 2026 03:04:05 +0000",
        "Fri, 02 Jan 2026 05:04:05 +0200",
        "Fri, 02 Jan 2026 03:04:05 -0000",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.000+00:00",
        "2026-01-02T03:04:05",
    ],
)
def test_a_time_is_read_in_either_spelling(text: str) -> None:
    assert moment(text) == THEN


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=8))
def test_nothing_that_comes_breaks_the_reading(fields: dict[str, str]) -> None:
    known = ("CallStatus", "Timestamp", "CallDuration", "SipResponseCode", "ErrorCode")
    for value in (*fields, *fields.values()):
        found = progress_read(dict.fromkeys(known, value))
        assert found.status in ("", value)
        stream_fault(value)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "9999999999", "٣", " 1", "1\n", "0x1"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize("text", ["", "<b>", "a b", "x" * 33, "a\n", "ä"])
def test_what_is_no_word_is_none(text: str) -> None:
    assert word(text, 32) == ""
