"""The form of an account's settings: a patch of the API's, in fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from apps.accounts.models import Account
from apps.calls.account_serializers import patch_read
from apps.calls.hours import CALLEE, DAYS
from apps.dashboard.forms import ChangeForm, look
from apps.providers import registry
from apps.providers.base import Declaration, Kind

SLOTS: Final[tuple[tuple[Kind, str], ...]] = (
    ("stt", "Speech to text"),
    ("llm", "Language model"),
    ("tts", "Voice"),
)
# What of a slot the form shows; whatever else is stored stays, while the provider does.
_MEMBERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "stt": ("model", "language"),
    "llm": ("model",),
    "tts": ("model", "voice", "language"),
}
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_END_OF_DAY, _MIDNIGHT = "24:00", "00:00"


def _clock(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    return forms.CharField(label=label, required=False, help_text=help_text, widget=widget)


class SettingsForm(ChangeForm):
    """An account's name, what bounds its dialling, and what bots get that name no provider."""

    places: ClassVar[Mapping[str, str]] = {
        "calling_hours": "hours_set",
        "calling_hours.from": "hours_from",
        "calling_hours.until": "hours_until",
        "calling_hours.days": "hours_days",
        "calling_hours.timezone": "hours_timezone",
        **{
            f"defaults.{slot}.{member}": f"{slot}_{member}"
            for slot, members in _MEMBERS.items()
            for member in ("provider", *members)
        },
        **{f"defaults.{slot}": f"{slot}_provider" for slot in _MEMBERS},
    }

    name = forms.CharField(label="Name", max_length=200)
    calls_per_second = forms.IntegerField(
        label="Calls per second",
        help_text="That we begin. Twilio itself begins 1 a second unless it was asked for more.",
        widget=forms.NumberInput(attrs={"min": 1, "max": 100}),
    )
    allowed_countries = forms.CharField(
        required=False,
        label="Countries that may be dialled",
        help_text="Two-letter codes with commas between, such as DE, AT, CH. Empty: all.",
        widget=forms.TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false"}),
    )
    hours_set = forms.ChoiceField(
        label="When may be dialled",
        help_text="Who calls in is answered at any time.",
        choices=(("always", "Always"), ("hours", "Only in these hours")),
        widget=forms.RadioSelect,
    )
    hours_days = forms.MultipleChoiceField(
        required=False,
        label="Days",
        choices=list(zip(DAYS, _DAY_NAMES, strict=True)),
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: every day.",
    )
    hours_from = _clock("From")
    hours_until = _clock("Until", "No longer in them; 00:00 is the end of the day.")
    hours_timezone = forms.ChoiceField(
        label="In the time zone of",
        help_text="Of a number that may lie in several zones, such as a mobile in Australia, the"
        " hours must hold in all of them. A number whose zone nobody knows is not called.",
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        self._account = account
        super().__init__(*args, initial=_initial(account), **kwargs)
        zone = account.calling_hours.get("timezone", CALLEE)
        field: Any = self.fields["hours_timezone"]
        field.choices = _zones(zone)
        for slot in _MEMBERS:
            self._slot_fields(slot)
        self.was_set()

    def body(self) -> dict[str, Any]:
        data = self.cleaned_data
        codes = data["allowed_countries"].replace(",", " ").upper().split()
        said = {
            "name": data["name"],
            "calls_per_second": data["calls_per_second"],
            "allowed_countries": codes or None,
        }
        found: dict[str, Any] = {name: said[name] for name in said if name in self.changed}
        if any(name.startswith("hours_") for name in self.changed):
            found["calling_hours"] = self._hours() if data["hours_set"] == "hours" else None
        slots = [slot for slot in _MEMBERS if self.changed & set(_names(slot))]
        if slots:
            found["defaults"] = {slot: self._default(slot) for slot in slots}
        return found

    def read(self, body: dict[str, Any]) -> Mapping[str, Any]:
        return patch_read(self._account, body)

    def slots(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields of each slot's default, for the page."""
        return [(title, [self[name] for name in _names(slot)]) for slot, title in SLOTS]

    def _hours(self) -> dict[str, Any]:
        """Return the hours' patch: what was changed of them, or all where none are stored."""
        data = self.cleaned_data
        until = data["hours_until"]
        said = {
            "from": data["hours_from"],
            "until": _END_OF_DAY if until == _MIDNIGHT else until,
            "days": data["hours_days"],
            "timezone": data["hours_timezone"],
        }
        if not self._account.calling_hours:
            return said
        return {name: value for name, value in said.items() if f"hours_{name}" in self.changed}

    def _default(self, slot: Kind) -> dict[str, Any] | None:
        """Return a slot's patch: None for no default; null for members to be taken away."""
        provider = self.cleaned_data[f"{slot}_provider"]
        if not provider:
            return None
        shown = {name: self.cleaned_data[f"{slot}_{name}"] or None for name in _MEMBERS[slot]}
        stored = self._account.defaults.get(slot, {})
        if stored.get("provider") != provider:
            # Another provider has other options.
            return {**dict.fromkeys(stored), **shown, "provider": provider}
        changed = {name: value for name, value in shown.items() if f"{slot}_{name}" in self.changed}
        return {**changed, "provider": provider}

    def _slot_fields(self, slot: Kind) -> None:
        stored = self._account.defaults.get(slot, {})
        names = {one.name: one.title for one in _declared(slot)}
        if stored and stored["provider"] not in names:
            # It is the default all the same, until somebody chooses another.
            names[stored["provider"]] = f"{stored['provider']} (not offered here any more)"
        self.fields[f"{slot}_provider"] = forms.ChoiceField(
            label="Provider", required=False, choices=[("", "The server's own"), *names.items()]
        )
        look(self.fields[f"{slot}_provider"])
        self.initial[f"{slot}_provider"] = stored.get("provider", "")
        for member in _MEMBERS[slot]:
            attrs = {"list": f"{slot}-{member}s", "spellcheck": "false"}
            self.fields[f"{slot}_{member}"] = forms.CharField(
                label=member.capitalize(),
                required=False,
                max_length=200,
                widget=forms.TextInput(attrs=attrs),
            )
            look(self.fields[f"{slot}_{member}"])
            self.initial[f"{slot}_{member}"] = stored.get(member, "")


def suggestions() -> dict[str, list[tuple[str, str]]]:
    """List models and voices to pick from by the id of their list: ``[(value, whose)]``."""
    found: dict[str, list[tuple[str, str]]] = {}
    for slot in _MEMBERS:
        known = _declared(slot)
        found[f"{slot}-models"] = [(name, one.title) for one in known for name in one.models]
        voices = [(voice, one) for one in known for voice in one.voices]
        found[f"{slot}-voices"] = [
            (voice.id, f"{voice.name}, {one.title}") for voice, one in voices
        ]
    return {name: listed for name, listed in found.items() if listed}


# --- inside -------------------------------------------------------------------------------------


def _names(slot: Kind) -> list[str]:
    """The fields of a slot's default."""
    return [f"{slot}_{name}" for name in ("provider", *_MEMBERS[slot])]


def _declared(slot: Kind) -> list[Declaration]:
    found = registry.catalogue(test_providers=settings.ENABLE_TEST_PROVIDERS)
    return [one for one in found if one.kind == slot and not one.closed]


def _initial(account: Account) -> dict[str, Any]:
    hours = account.calling_hours
    until = hours.get("until", "")
    return {
        "name": account.name,
        "calls_per_second": account.calls_per_second,
        "allowed_countries": ", ".join(account.allowed_countries),
        "hours_set": "hours" if hours else "always",
        "hours_days": hours.get("days", []),
        "hours_from": hours.get("from", ""),
        "hours_until": _MIDNIGHT if until == _END_OF_DAY else until,
        "hours_timezone": hours.get("timezone", CALLEE),
    }


def _zones(stored: str) -> list[tuple[str, str]]:
    names = {name for name in available_timezones() if "/" in name and name[:4] != "Etc/"}
    known = sorted(names | {"UTC"} | ({stored} - {CALLEE}))
    return [(CALLEE, "Whoever is called"), *((name, name.replace("_", " ")) for name in known)]
