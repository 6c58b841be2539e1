"""What a parameter must look like. Each check raises Refused with Twilio's code."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Account, World

TWIML_CHARACTERS = 4_000
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_NORTH_AMERICA = re.compile(r"\+1[2-9]\d{2}[2-9]\d{6}")
_ELSEWHERE = re.compile(r"(sips?|client):\S+")
_METHODS = ("GET", "POST")


def to_check(to: str, account: Account) -> None:
    """Check whom to call, and whether this account may."""
    if not to:
        raise Refused(21201)
    if _ELSEWHERE.fullmatch(to):
        return
    if not to.startswith("+") or re.search(r"[A-Za-z]", to):
        raise Refused(21217, to)
    if not is_e164(to):
        raise Refused(21211, to)
    for prefix in sorted(account.refused, key=len, reverse=True):
        if to.startswith(prefix):
            raise Refused(account.refused[prefix], to)
    if account.kind == "Trial" and to not in account.verified:
        raise Refused(21219, to)


def from_check(from_: str, account: Account, world: World) -> None:
    """Check whom the call comes from: a number that the account owns or has verified."""
    if not from_:
        raise Refused(21213)
    if _ELSEWHERE.fullmatch(from_):
        return
    if not is_e164(from_):
        raise Refused(21212, from_)
    owned = world.number_of(from_)
    if from_ not in account.verified and (owned is None or owned.account_sid != account.sid):
        raise Refused(21210, from_)


def is_e164(number: str) -> bool:
    if number.startswith("+1"):
        return _NORTH_AMERICA.fullmatch(number) is not None
    return _E164.fullmatch(number) is not None


def url_check(form: Form, name: str, code: int) -> None:
    """Check a URL, if one is given: http or https, a host without underscores."""
    url = form.get(name)
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Refused(code, url) from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise Refused(code, url)
    if "_" in host:
        raise Refused(code, url)


def method_check(form: Form, name: str, code: int) -> None:
    if name in form and form.get(name) not in _METHODS:
        raise Refused(code, form.get(name))


def whole_check(form: Form, name: str, code: int, bounds: tuple[int, int]) -> None:
    """Check a whole number, if it is given."""
    if name not in form:
        return
    value = form.get(name)
    low, high = bounds
    if not value.isascii() or not value.isdecimal() or not low <= int(value) <= high:
        raise Refused(code, value if code != 20001 else f"{name}: {value}")


def twiml_check(form: Form) -> None:
    if len(form.get("Twiml")) > TWIML_CHARACTERS:
        raise Refused(32018, str(TWIML_CHARACTERS))


def known_check(form: Form, known: Collection[str], operation: str, world: World) -> None:
    """Write down every parameter that Twilio does not know, and would ignore."""
    for name in form:
        if name not in known:
            world.finding(operation, f"Twilio knows no parameter {name} here, and ignores it")
