"""The account's settings: what may be changed of them, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from phonenumbers import SUPPORTED_REGIONS
from rest_framework import serializers

from apps.accounts.models import Account
from apps.bots.document import defaults_check, merge
from apps.calls.hours import CALLEE, CLOCK, DAYS, HoursInvalid, hours_read
from apps.core.serializers import PatternField, StrictSerializer, TextField, WholeNumberField

COUNTRY = "Two-letter countries that have phone numbers, such as US or GB."
OPERATORS = "The server's operator sets it."


class CallingHoursSerializer(StrictSerializer):
    """When may be called, for the document: the rule is in ``apps.calls.hours``. {}: always."""

    until = PatternField(CLOCK, expected="", required=False, help_text="No longer in them.")
    days = serializers.ListField(
        child=serializers.ChoiceField(choices=DAYS),
        required=False,
        help_text="Left out, or none of them: every day.",
    )
    timezone = serializers.CharField(
        required=False,
        help_text=f"{CALLEE} (what it is if left out): every zone that the number called may be in;"
        " or an IANA name.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # A keyword of Python's.
        begin = PatternField(CLOCK, expected="", required=False, help_text="HH:MM; from then on.")
        return {"from": begin, **super().get_fields()}


class CallingHoursBodySerializer(CallingHoursSerializer):
    """The same in a patch: null takes a member away."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        found = super().get_fields()
        for member in found.values():
            member.allow_null = True
        return found


@extend_schema_field(CallingHoursSerializer(required=False))
class CallingHoursField(serializers.Field[Any, Any, Any, Any]):
    """The hours as they are stored; {} is always."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            hours_read(data)
        except HoursInvalid as exc:
            raise serializers.ValidationError(
                {exc.member: [str(exc)]} if exc.member else [str(exc)]
            ) from None
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(CallingHoursBodySerializer(required=False))
class CallingHoursBodyField(CallingHoursField):
    """Of a patch."""


class DefaultsField(serializers.DictField):
    """What bots get that name no provider in a slot, see ``bots.document.defaults_check``."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        defaults_check(data)
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value


class CountryField(PatternField):
    """ISO 3166-1 alpha-2."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("[A-Z]{2}", expected=COUNTRY, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        found = super().to_internal_value(data)
        if found not in SUPPORTED_REGIONS:
            raise serializers.ValidationError(COUNTRY)
        return found


class AccountBodySerializer(StrictSerializer):
    """What an account may change of itself."""

    name = TextField(max_length=200)
    calls_per_second = WholeNumberField(
        min_value=1,
        max_value=100,
        help_text="Dialled by us. Twilio itself begins 1 a second unless it was asked for more.",
    )
    allowed_countries = serializers.ListField(
        child=CountryField(),
        max_length=300,
        allow_null=True,
        help_text="That may be dialled; none: all.",
    )
    calling_hours = CallingHoursBodyField(
        allow_null=True, help_text="When may be dialled; null: always."
    )
    defaults = DefaultsField(
        allow_null=True, help_text="What bots get that name no provider in a slot: {llm, tts, stt}."
    )

    def strangers(self, data: Any) -> dict[str, list[str]]:
        found = super().strangers(data)
        return found | ({"max_live_calls": [OPERATORS]} if "max_live_calls" in found else {})


def patch_read(account: Account, patch: Any) -> Mapping[str, Any]:
    """Merge a patch over the account's members after RFC 7396, and return those it names.

    Raises ValidationError.
    """
    unset: dict[str, Any] = {"allowed_countries": [], "calling_hours": {}, "defaults": {}}
    if isinstance(patch, dict):
        base = {name: getattr(account, name) for name in unset}
        merged: dict[str, Any] = {**unset, **merge(base, patch)}
        patch = {name: merged.get(name) for name in patch}
    form = AccountBodySerializer(data=patch, partial=True)
    form.is_valid(raise_exception=True)
    found: Mapping[str, Any] = form.validated_data
    return found


class AccountSerializer(serializers.ModelSerializer[Account]):
    """An account's settings."""

    allowed_countries = serializers.ListField(child=serializers.CharField())
    calling_hours = CallingHoursField()
    defaults = DefaultsField()

    class Meta:
        model = Account
        fields = ("id", "name", "max_live_calls", "calls_per_second", "allowed_countries") + (
            "calling_hours",
            "defaults",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields
