"""What the home page says: of figures, of failures, and of what needs a look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.urls import NoReverseMatch, reverse

from apps.calls.statistics.alarms import Alarm, AlarmKind
from apps.calls.statistics.figures import Ending, Figures, Outcome
from apps.dashboard.calls.words import reason_words, status_words
from apps.dashboard.wording import money

OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.HELD: "held",
    Outcome.UNANSWERED: "not reached",
    Outcome.FAILED: "failed",
    Outcome.CANCELED: "canceled",
}


def ms_words(ms: int | None) -> str:
    """Say a time of milliseconds: below a second in ms, above with one decimal."""
    if ms is None:
        return "–"
    return f"{ms} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"


def dollars(usd: Decimal) -> str:
    """Say a sum: cents are enough from a dollar on."""
    return money(usd) if usd < 1 else f"${usd:,.2f}"


def cost_words(figures: Figures) -> str:
    """Say what calls cost, and whether that is all."""
    if figures.unpriced and not figures.cost_usd:
        return "unknown"
    shown = dollars(figures.cost_usd)
    return f"at least {shown}" if figures.unpriced else shown


# --- failures -------------------------------------------------------------------------------------


def failure_words(ending: Ending) -> str:
    """Say why calls failed, and Twilio's number where it gave one."""
    said = reason_words(ending.reason) if ending.reason else status_words(ending.status)[0]
    return f"{said} (Twilio's {ending.code})" if ending.code else said


# --- alarms ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """An alarm in words. what: is the matter. todo: what to do. link: where, if anywhere."""

    kind: AlarmKind
    what: str
    todo: str
    link: str
    link_text: str
    is_bad: bool
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class _Words:
    one: str
    many: str
    todo: str
    page: str = ""
    page_text: str = ""
    is_bad: bool = False


_CONFIGS, _KEYS = "admin:bots_twilioconfig_changelist", "admin:accounts_credential_changelist"
_NUMBERS, _HOOKS = "admin:calls_phonenumber_changelist", "admin:webhooks_endpoint_changelist"
_TWILIO = "admin:accounts_twilioconnection_changelist"

_WORDS: Final[Mapping[AlarmKind, _Words]] = {
    AlarmKind.NO_GATEWAY: _Words(
        "No gateway is running: callers reach no bot.",
        "",
        "Start one with manage.py serve; its log says why it ended.",
        is_bad=True,
    ),
    AlarmKind.GATEWAY_SILENT: _Words(
        "A gateway process has fallen silent; its calls go on at another.",
        "{count} gateway processes have fallen silent; their calls go on at others.",
        "Look at its log, and start it again.",
        is_bad=True,
    ),
    AlarmKind.NO_WORKER: _Words(
        "No worker is running: nothing is dialled, and no event is told.",
        "",
        "Start one with manage.py worker.",
        is_bad=True,
    ),
    AlarmKind.PROVIDER_FAILED: _Words(
        "{names} failed once in the last hour ({detail}).",
        "{names} failed {count} times in the last hour ({detail}).",
        "Try its key. A bot with a fallback would go on with another vendor.",
        _KEYS,
        "Vendor keys",
        is_bad=True,
    ),
    AlarmKind.PROVIDER_SWITCHED: _Words(
        "{names} failed once in the last hour ({detail}), and the bot's fallback served instead.",
        "{names} failed {count} times in the last hour ({detail}), and bots' fallbacks served "
        "instead.",
        "Try its key: if the fallback fails too, callers hear an apology.",
        _KEYS,
        "Vendor keys",
    ),
    AlarmKind.PROVIDER_MUTE: _Words(
        "A vendor did not answer in time, once in the last hour (while {detail}).",
        "Vendors did not answer in time, {count} times in the last hour (while {detail}).",
        "See which bots were slow; a fallback or another model helps.",
        _CONFIGS,
        "Bots",
    ),
    AlarmKind.PROVIDER_MISSING: _Words(
        "A call had no vendor to speak with: {names}.",
        "{count} calls had no vendor to speak with: {names}.",
        "Store a key for it, or choose another in the bot.",
        _KEYS,
        "Vendor keys",
        is_bad=True,
    ),
    AlarmKind.CONNECTION_FAILED: _Words(
        "Twilio refuses {names}: {detail}",
        "",
        "Put in its present key or token, and check it again.",
        _TWILIO,
        "Connections to Twilio",
        is_bad=True,
    ),
    AlarmKind.NUMBER_GONE: _Words(
        "{names} is no longer at Twilio.",
        "{count} numbers are no longer at Twilio: {names}.",
        "Take the bot off it, or get the number back.",
        _NUMBERS,
        "Numbers",
        is_bad=True,
    ),
    AlarmKind.NUMBER_DRIFTED: _Words(
        "{names} leads elsewhere: somebody changed it at Twilio.",
        "{count} numbers lead elsewhere: somebody changed them at Twilio ({names}).",
        "Repair it, and its calls reach their bot again.",
        _NUMBERS,
        "Numbers",
        is_bad=True,
    ),
    AlarmKind.NUMBER_UNCHECKED: _Words(
        "{names} cannot be compared with Twilio.",
        "{count} numbers cannot be compared with Twilio ({names}).",
        "Check the connection to Twilio that it belongs to.",
        _NUMBERS,
        "Numbers",
    ),
    AlarmKind.ENDPOINT_DISABLED: _Words(
        "Events are no longer sent to {names}: it answered that it is gone (410).",
        "Events are no longer sent to {count} addresses that answered that they are gone: {names}.",
        "Enable it again once somebody listens there, or delete it.",
        _HOOKS,
        "Webhooks",
    ),
    AlarmKind.DELIVERIES_DEAD: _Words(
        "Events of the last day were given up: {names} did not take them.",
        "Events of the last day were given up at {count} addresses: {names}.",
        "See what it answered, and send them again.",
        _HOOKS,
        "Webhooks",
    ),
}


def notice_of(alarm: Alarm) -> Notice:
    """Say an alarm: what is the matter, what to do, and where."""
    words = _WORDS[alarm.kind]
    names = ", ".join(alarm.names)
    if len(alarm.names) < alarm.count and len(alarm.names) > 1:
        names += " …"
    pattern = words.many if words.many and alarm.count > 1 else words.one
    text = pattern.format(names=names, count=alarm.count, detail=alarm.detail.replace("_", " "))
    return Notice(
        kind=alarm.kind,
        what=text,
        todo=words.todo,
        link=link_to(words.page) if words.page else "",
        link_text=words.page_text,
        is_bad=words.is_bad and alarm.is_going_on,
        latest=alarm.latest,
    )


def link_to(name: str, *args: object) -> str:
    """Return a page's address; empty if this installation does not have it."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""
