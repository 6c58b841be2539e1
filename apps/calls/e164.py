"""Phone numbers as people write them, read by Google's data of the world's numbering plans."""

from __future__ import annotations

import re

from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    format_number,
    is_possible_number,
    is_valid_number,
    number_type,
    parse,
    region_code_for_number,
)

EXAMPLE = "+4930123456"
LONGEST = 200

_HOW = f"Write it as +, country and number, such as {EXAMPLE}."
# What people put between digits. Letters are none: 1-800-FLOWERS is not read.
_WRITTEN = re.compile(r"\+[0-9 ().\-/\u00a0]{1,40}")
_SIP = re.compile(r"sips?:[A-Za-z0-9._~%!$&'()*+,;=-]{1,100}@[A-Za-z0-9.-]{1,100}(:[0-9]{1,5})?")


class NumberRefused(ValueError):
    """The text is no number that we dial; the message says why, and what would be valid."""


def callee_read(text: str) -> str:
    """Return whom to call, in E.164 form, or a SIP address as it is.

    Raises NumberRefused: for national numbers too, for premium rates, and for ranges that nobody
    has been assigned.
    """
    if is_sip(text):
        return text
    number = _read(text)
    if number_type(number) == PhoneNumberType.PREMIUM_RATE:
        raise NumberRefused("Numbers of premium rate are not called.")
    if not is_valid_number(number):
        raise NumberRefused(f"No such number: its range is assigned to nobody. {_HOW}")
    return format_number(number, PhoneNumberFormat.E164)


def caller_read(text: str) -> str:
    """Return who calls, in E.164 form. That the number is theirs, Twilio checks.

    Raises NumberRefused.
    """
    return format_number(_read(text), PhoneNumberFormat.E164)


def is_sip(text: str) -> bool:
    """Whether the text is a SIP address."""
    return len(text) <= LONGEST and _SIP.fullmatch(text) is not None


def country_of(number: str) -> str | None:
    """Return the country that an E.164 number belongs to, such as DE; None if it is none's.

    Of those that share a code, such as +1, it is the right one.
    """
    region = region_code_for_number(parse(number))
    return region if region and region.isalpha() else None


def _read(text: str) -> PhoneNumber:
    if text.lower().startswith(("sip:", "sips:")):
        raise NumberRefused("No SIP address that can be called; sip:name@example.com would be one.")
    if not _WRITTEN.fullmatch(text.strip()):
        raise NumberRefused(_HOW)
    try:
        number = parse(text.strip())
    except NumberParseException:
        raise NumberRefused(f"No country has this code. {_HOW}") from None
    if not is_possible_number(number):
        raise NumberRefused(f"Too short or too long for its country. {_HOW}")
    return number
