"""What of a phone number at Twilio is ours: which settings, what they are to be, what differs.

By the names of Twilio's answers (``voice_url``); its forms write them ``VoiceUrl``. Nothing else of
a number is ever written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings

Settings = dict[str, str]

# In this order they are sent and shown.
OURS: Final = (
    "voice_url",
    "voice_method",
    "voice_fallback_url",
    "voice_fallback_method",
    "status_callback",
    "status_callback_method",
)
# Either of them makes Twilio ignore the voice URLs of the number.
OVERRIDES: Final = ("voice_application_sid", "trunk_sid")
GONE: Final = "gone"
_METHOD = "POST"
# A number that nobody has set up.
UNSET: Final[Mapping[str, str]] = {
    name: _METHOD if name.endswith("_method") else "" for name in OURS
} | dict.fromkeys(OVERRIDES, "")


def wanted_of(account_id: uuid.UUID, config_id: uuid.UUID) -> Settings:
    """Return what Twilio is to hold for a number of a bot's."""
    origin = settings.PUBLIC_URL
    fallback = urlencode({"account": account_id, "bot": config_id})
    status = urlencode({"account": account_id})
    return {
        "voice_url": f"{_voice()}{config_id}",
        "voice_method": _METHOD,
        "voice_fallback_url": f"{origin}/twilio/fallback?{fallback}",
        "voice_fallback_method": _METHOD,
        "status_callback": f"{origin}/twilio/status?{status}",
        "status_callback_method": _METHOD,
        **dict.fromkeys(OVERRIDES, ""),
    }


def actual_of(found: Mapping[str, Any]) -> Settings:
    """Pick our settings out of Twilio's answer; null is empty."""
    return {name: str(found.get(name) or "") for name in (*OURS, *OVERRIDES)}


def drift_of(wanted: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    """List the names that differ. Nothing wanted: nothing differs."""
    return [name for name, value in wanted.items() if actual.get(name, "") != value]


def overrides_in(actual: Mapping[str, str]) -> list[str]:
    """List what would make Twilio ignore our URLs."""
    return [name for name in OVERRIDES if actual.get(name)]


def form_of(values: Mapping[str, str], names: Iterable[str]) -> Settings:
    """Return the form that sets these names, and no other."""
    return {_parameter(name): values.get(name, "") for name in names}


def is_ours(actual: Mapping[str, str]) -> bool:
    """Whether the number is answered by us already, for whichever bot."""
    return actual.get("voice_url", "").startswith(_voice())


def _voice() -> str:
    return f"{settings.PUBLIC_URL}/twilio/voice/"


def _parameter(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
