"""Bodies and answers of connections to Twilio. They store nothing."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.accounts.connections import SECRET_CHARACTERS, warnings_of
from apps.accounts.models import TwilioConnection
from apps.core.serializers import FlagField, PatternField, StrictSerializer, TextField

_ACCOUNT_SID = "AC followed by 32 hexadecimal digits, as Twilio's console shows it."
_KEY_SID = "SK followed by 32 hexadecimal digits."


class SigningKeysField(serializers.DictField):
    """Twilio's SharedKeys by name, for webhooks signed by HMAC-SHA256."""

    child = TextField(max_length=SECRET_CHARACTERS)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        found: dict[str, str] = super().to_internal_value(data)
        if any(not name.strip() or len(name) > 100 or not name.isprintable() for name in found):
            raise serializers.ValidationError("Names have 1 to 100 visible characters.")
        if len(found) > 20:
            raise serializers.ValidationError("Up to 20 keys.")
        return found


class TwilioConnectionBodySerializer(StrictSerializer):
    """A connection to a Twilio account. Secrets are never answered."""

    name = TextField(max_length=200, allow_blank=True, default="")
    account_sid = PatternField("AC[0-9a-fA-F]{32}", expected=_ACCOUNT_SID)
    parent_id = serializers.UUIDField(
        default=None,
        allow_null=True,
        help_text="The main account's connection. A sub-account needs nothing else to sign in.",
    )
    auth_token = TextField(
        max_length=SECRET_CHARACTERS,
        default="",
        allow_blank=True,
        write_only=True,
        help_text="The primary one: Twilio signs webhooks with it.",
    )
    api_key_sid = PatternField(
        "SK[0-9a-fA-F]{32}|", expected=_KEY_SID, default="", allow_blank=True
    )
    api_key_secret = TextField(
        max_length=SECRET_CHARACTERS, default="", allow_blank=True, write_only=True
    )
    signing_keys = SigningKeysField(
        default=dict, write_only=True, help_text="Twilio's SharedKeys by name."
    )
    region = PatternField(
        r"[a-z]{2}\d|", expected="Such as ie1; empty: us1.", default="", allow_blank=True
    )
    edge = PatternField(
        "[a-z]{1,16}(-[a-z]{1,8})?|", expected="Such as dublin.", default="", allow_blank=True
    )


class TwilioConnectionPatchSerializer(TwilioConnectionBodySerializer):
    """What is to change, after RFC 7396: null takes a member away, or a signing key."""

    signing_keys = SigningKeysField(
        child=TextField(allow_null=True, max_length=SECRET_CHARACTERS), allow_null=True
    )

    def __init__(self, data: Any) -> None:
        super().__init__(data=_emptied(data), partial=True)


def _emptied(data: Any) -> Any:
    """Say what a null means for a text that need not be: none."""
    if not isinstance(data, dict):
        return data
    texts = TwilioConnectionBodySerializer().fields.keys() - {"parent_id", "signing_keys"}
    texts -= {"account_sid"}
    return {name: "" if value is None and name in texts else value for name, value in data.items()}


class CheckQuerySerializer(serializers.Serializer[Any]):
    """Whether Twilio is asked before anything is stored."""

    check = FlagField(default=True)


class TwilioConnectionSerializer(serializers.ModelSerializer[TwilioConnection]):
    """A connection, without its secrets."""

    parent_id = serializers.UUIDField(allow_null=True)
    auth_token_last4 = serializers.SerializerMethodField(
        help_text="… and the auth token's last characters; empty: none is stored."
    )
    has_api_key = serializers.SerializerMethodField()
    signing_keys = serializers.SerializerMethodField(help_text="Their names.")
    warnings = serializers.SerializerMethodField(help_text="What will not work, and why.")

    class Meta:
        model = TwilioConnection
        fields = (
            ("id", "name", "account_sid", "parent_id", "auth_token_last4", "api_key_sid")
            + ("has_api_key", "signing_keys", "region", "edge", "friendly_name", "is_trial")
            + ("checked_at", "check_error", "warnings", "created_at", "updated_at")
        )
        read_only_fields = fields

    def get_auth_token_last4(self, connection: TwilioConnection) -> str:
        return str(connection.hints.get("auth_token", ""))

    def get_has_api_key(self, connection: TwilioConnection) -> bool:
        return bool(connection.api_key_sid)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_signing_keys(self, connection: TwilioConnection) -> list[str]:
        return list(connection.hints.get("signing_keys", []))

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_warnings(self, connection: TwilioConnection) -> list[str]:
        return [*warnings_of(connection), *self.context.get("notes", ())]


class SubAccountSerializer(serializers.Serializer[Any]):
    """A sub-account at Twilio."""

    account_sid = serializers.CharField()
    friendly_name = serializers.CharField()
    status = serializers.CharField(help_text="active, suspended or closed.")
    connection_id = serializers.UUIDField(
        allow_null=True, help_text="Our connection to it; null: none."
    )


# An object, though the action is called list.
@extend_schema_serializer(many=False)
class SubAccountsSerializer(serializers.Serializer[Any]):
    """A connection's sub-accounts."""

    results = SubAccountSerializer(many=True)
