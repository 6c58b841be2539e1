"""What a number's page shows of what we want and what Twilio has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from apps.calls.models import PhoneNumber
from apps.calls.number_settings import GONE, OURS, OVERRIDES

# What each of them is for, in a line.
TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "voice_url": ("Voice URL", "Where Twilio asks for the bot's TwiML when a call comes in."),
    "voice_method": ("Its method", ""),
    "voice_fallback_url": ("Fallback URL", "Asked when the voice URL fails: callers are told so."),
    "voice_fallback_method": ("Its method", ""),
    "status_callback": ("Status callback", "Told when a call is over."),
    "status_callback_method": ("Its method", ""),
    "voice_application_sid": ("TwiML application", "While one is set, the URLs are not looked at."),
    "trunk_sid": ("SIP trunk", "While one is set, the URLs are not looked at."),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a number. wanted: None where no bot is assigned."""

    name: str
    title: str
    hint: str
    wanted: str | None
    actual: str
    differs: bool


def settings_of(number: PhoneNumber) -> list[Setting]:
    """List what is ours of a number, as it is wanted and as Twilio had it when it was asked."""
    return [
        Setting(
            name,
            *TITLES[name],
            number.wanted.get(name) if number.wanted else None,
            number.actual.get(name, ""),
            name in number.drift,
        )
        for name in (*OURS, *OVERRIDES)
    ]


def state_of(number: PhoneNumber) -> tuple[str, str]:
    """Return how a number is, as a word, and ``good``, ``bad``, ``warn`` or ``quiet``."""
    if GONE in number.drift:
        return "gone", "bad"
    if number.drift:
        return "differs", "bad"
    if number.check_error:
        return "not checked", "warn"
    return ("as wanted", "good") if number.config_id else ("no bot", "quiet")
