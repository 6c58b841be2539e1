"""When an account may call: a pure rule over ``Account.calling_hours``, a number and a time.

The hours are ``{"from": "09:00", "until": "20:00", "days": ["mon", …], "timezone": "callee"}``;
empty: always. until is no longer in them, and may be 24:00. No days: every day. timezone: callee,
or an IANA name. A number may lie in several zones (a mobile, a toll-free one): the hours must hold
in all of them. Whose zone nobody knows is not called.

Source of the zones: the data of phonenumbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from phonenumbers import PhoneNumber
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CALLEE: Final = "callee"
_MEMBERS: Final = ("from", "until", "days", "timezone")
CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"
# A week of days on either side of a change of the clocks.
_LOOK_AHEAD_DAYS = 9


class HoursInvalid(ValueError):
    """No such hours. member: which of them is wrong; empty for all. The message says what fits."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member


@dataclass(frozen=True, slots=True)
class Hours:
    """From and until: minutes of the day. days: 0 is Monday. zone: None is the callee's own."""

    begin: int
    end: int
    days: frozenset[int]
    zone: ZoneInfo | None

    def hold(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        return local.weekday() in self.days and self.begin <= minute < self.end


def hours_read(value: object) -> Hours | None:
    """Read an account's hours; None: always. Raises HoursInvalid."""
    if not isinstance(value, Mapping):
        raise HoursInvalid("", f"An object with {', '.join(_MEMBERS)}.")
    if not value:
        return None
    if unknown := sorted(str(name) for name in value if name not in _MEMBERS):
        raise HoursInvalid(unknown[0], f"Unknown field. Valid: {', '.join(_MEMBERS)}.")
    begin, end = _minute(value, "from"), _minute(value, "until")
    if begin >= end:
        raise HoursInvalid("until", "Later than from, on the same day; 24:00 is its end.")
    return Hours(begin, end, _days(value.get("days", [])), _zone(value.get("timezone", CALLEE)))


def is_open(hours: Mapping[str, Any], number: PhoneNumber, now: datetime) -> bool:
    """Tell whether the number may be called now. Hours that cannot be read are closed."""
    try:
        read = hours_read(hours)
    except HoursInvalid:
        return False
    return read is None or _holds(read, _zones(read, number), now)


def next_open(hours: Mapping[str, Any], number: PhoneNumber, now: datetime) -> datetime | None:
    """Return the first time from now on, in UTC, that the number may be called.

    None: never, for its zone is not known, or its zones have no such hour in common.
    """
    try:
        read = hours_read(hours)
    except HoursInvalid:
        return None
    now = now.astimezone(UTC)
    if read is None:
        return now
    zones = _zones(read, number)
    # What is open in every zone begins where it begins in one of them.
    times = {now} | {time for zone in zones for time in _openings(read, zone, now)}
    return next((time for time in sorted(times) if _holds(read, zones, time)), None)


def _holds(hours: Hours, zones: tuple[ZoneInfo, ...], now: datetime) -> bool:
    return bool(zones) and all(hours.hold(now.astimezone(zone)) for zone in zones)


def _openings(hours: Hours, zone: ZoneInfo, now: datetime) -> list[datetime]:
    today = now.astimezone(zone).date()
    begins = (
        datetime(day.year, day.month, day.day, *divmod(hours.begin, 60), tzinfo=zone)
        for day in (today + timedelta(days=ahead) for ahead in range(_LOOK_AHEAD_DAYS))
    )
    return [begin.astimezone(UTC) for begin in begins if begin.astimezone(UTC) >= now]


def _zones(hours: Hours, number: PhoneNumber) -> tuple[ZoneInfo, ...]:
    if hours.zone is not None:
        return (hours.zone,)
    zones = [_named(name) for name in time_zones_for_number(number) if name != UNKNOWN_TIMEZONE]
    known = tuple(zone for zone in zones if zone is not None)
    return known if len(known) == len(zones) else ()


def _minute(value: Mapping[str, Any], member: str) -> int:
    text = value.get(member)
    if not isinstance(text, str) or not re.fullmatch(CLOCK, text):
        raise HoursInvalid(member, "A time of the day, such as 09:00.")
    return int(text[:2]) * 60 + int(text[3:])


def _days(value: object) -> frozenset[int]:
    if not isinstance(value, list) or not all(day in DAYS for day in value):
        raise HoursInvalid("days", f"A list of {', '.join(DAYS)}.")
    return frozenset(DAYS.index(day) for day in value) or frozenset(range(len(DAYS)))


def _zone(value: object) -> ZoneInfo | None:
    if value == CALLEE:
        return None
    found = _named(value) if isinstance(value, str) else None
    if found is None:
        raise HoursInvalid("timezone", f"{CALLEE}, or a name such as Europe/London.")
    return found


@lru_cache(maxsize=512)
def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown; a directory; no name of a zone at all
        return None
