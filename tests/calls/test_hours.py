"""When an account may call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import phonenumbers
import pytest
from hypothesis import strategies
from phonenumbers.timezone import time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from apps.calls.hours import HoursInvalid, hours_read, is_open, next_open

NEW_YORK = phonenumbers.parse("+12125550100")
# A British mobile may be on the islands too: four zones, of one time.
LONDON = phonenumbers.parse("+447911123456")
# An Australian mobile may be anywhere from the Cocos Islands to Lord Howe Island.
AUSTRALIA = phonenumbers.parse("+61412345678")
TOLL_FREE = phonenumbers.parse("+18005550100")
SATELLITE = phonenumbers.parse("+88213123456")
OFFICE = {"from": "09:00", "until": "20:00", "timezone": "callee"}
WORKDAYS = {**OFFICE, "days": ["mon", "tue", "wed", "thu", "fri"]}


def at(text: str, zone: str = "America/New_York") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("time", "open_"),
    [
        ("2026-07-01T08:59:59", False),
        ("2026-07-01T09:00:00", True),
        ("2026-07-01T19:59:59", True),
        ("2026-07-01T20:00:00", False),
    ],
)
def test_the_hours_are_those_of_the_callee(time: str, open_: bool) -> None:
    assert is_open(OFFICE, NEW_YORK, at(time)) is open_


def test_summer_time_is_the_callees() -> None:
    # 13:30 UTC: 09:30 in New York's summer, 08:30 in its winter.
    assert is_open(OFFICE, NEW_YORK, datetime(2026, 7, 1, 13, 30, tzinfo=UTC))
    assert not is_open(OFFICE, NEW_YORK, datetime(2026, 1, 15, 13, 30, tzinfo=UTC))


def test_no_hours_are_always() -> None:
    now = at("2026-07-01T03:00")
    assert is_open({}, SATELLITE, now)
    assert next_open({}, SATELLITE, now) == now


def test_a_zone_of_ones_own_asks_nothing_of_the_number() -> None:
    hours = {**OFFICE, "timezone": "Europe/Berlin"}
    assert is_open(hours, SATELLITE, at("2026-07-01T09:00", "Europe/Berlin"))
    assert not is_open(hours, NEW_YORK, at("2026-07-01T09:00", "Asia/Tokyo"))


def test_a_number_in_several_zones_is_called_when_all_are_open() -> None:
    assert not is_open(OFFICE, AUSTRALIA, at("2026-07-01T09:30", "Australia/Sydney"))
    assert is_open(OFFICE, AUSTRALIA, at("2026-07-01T13:00", "Australia/Sydney"))
    assert not is_open(OFFICE, AUSTRALIA, at("2026-07-01T19:59", "Indian/Cocos"))
    opening = next_open(OFFICE, AUSTRALIA, at("2026-07-01T05:00", "Australia/Sydney"))
    assert opening == at("2026-07-01T09:00", "Indian/Cocos")


@pytest.mark.parametrize("number", [SATELLITE, TOLL_FREE])
def test_whose_time_is_not_known_is_never_called(number: phonenumbers.PhoneNumber) -> None:
    noon = at("2026-07-01T12:00")
    assert not is_open(OFFICE, number, noon)
    assert next_open(OFFICE, number, noon) is None


def test_the_days_are_the_callees_too() -> None:
    sunday = at("2026-07-05T12:00")
    assert not is_open(WORKDAYS, NEW_YORK, sunday)
    assert next_open(WORKDAYS, NEW_YORK, sunday) == at("2026-07-06T09:00")


def test_no_days_are_all_days() -> None:
    assert is_open({**OFFICE, "days": []}, NEW_YORK, at("2026-07-05T12:00"))


def test_the_next_opening_of_what_is_open_is_now() -> None:
    now = at("2026-07-01T12:34:56")
    assert next_open(WORKDAYS, NEW_YORK, now) == now


def test_a_day_may_be_open_to_its_end() -> None:
    hours = {**OFFICE, "until": "24:00"}
    assert is_open(hours, NEW_YORK, at("2026-07-01T23:59:59"))
    assert not is_open(hours, NEW_YORK, at("2026-07-02T00:00"))


def test_an_opening_that_the_clocks_skip_is_after_the_gap() -> None:
    hours = {"from": "02:30", "until": "05:00", "timezone": "America/New_York"}
    opening = next_open(hours, NEW_YORK, at("2026-03-08T00:00"))
    assert opening == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 03:30 there, for 02:30 never is
    assert is_open(hours, NEW_YORK, opening)


@hypothesis.given(
    number=strategies.sampled_from([NEW_YORK, LONDON, AUSTRALIA]),
    minutes=strategies.integers(min_value=0, max_value=60 * 24 * 400),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    number: phonenumbers.PhoneNumber, minutes: int
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opening = next_open(WORKDAYS, number, now)
    assert opening is not None and opening >= now
    assert is_open(WORKDAYS, number, opening)
    if opening > now:
        before = opening - timedelta(minutes=1)
        assert before < now or not is_open(WORKDAYS, number, before)
        assert not is_open(WORKDAYS, number, now)


@pytest.mark.parametrize(
    ("hours", "member"),
    [
        ("always", ""),
        ({"until": "20:00"}, "from"),
        ({"from": "09:00"}, "until"),
        ({**OFFICE, "from": "9:00"}, "from"),
        ({**OFFICE, "from": "09:60"}, "from"),
        ({**OFFICE, "from": 900}, "from"),
        ({**OFFICE, "from": "24:00"}, "until"),
        ({**OFFICE, "from": "20:00"}, "until"),
        ({**OFFICE, "days": ["monday"]}, "days"),
        ({**OFFICE, "days": "mon"}, "days"),
        ({**OFFICE, "days": [["mon"]]}, "days"),
        ({**OFFICE, "timezone": "Mars/Olympus"}, "timezone"),
        ({**OFFICE, "timezone": "/etc/passwd"}, "timezone"),
        ({**OFFICE, "timezone": "../UTC"}, "timezone"),
        ({**OFFICE, "timezone": None}, "timezone"),
        ({**OFFICE, "holidays": True}, "holidays"),
    ],
)
def test_hours_that_are_none_name_the_member_and_are_closed(hours: Any, member: str) -> None:
    with pytest.raises(HoursInvalid) as caught:
        hours_read(hours)
    assert caught.value.member == member
    assert not is_open(hours, NEW_YORK, at("2026-07-01T12:00"))
    assert next_open(hours, NEW_YORK, at("2026-07-01T12:00")) is None


def test_every_zone_that_a_number_can_have_is_there() -> None:
    names = {name for found in TIMEZONE_DATA.values() for name in found}
    assert {ZoneInfo(name).key for name in names - {"Etc/Unknown"}} == names - {"Etc/Unknown"}
    assert "Asia/Calcutta" in time_zones_for_number(phonenumbers.parse("+919876543210"))
