"""Bodies, filters and answers of keys, credentials and the audit log. They store nothing."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from apps.accounts.models import ApiKey, AuditEntry, is_in_the_future
from apps.accounts.scopes import DEFAULT_SCOPES, SCOPES, scopes_in_order
from apps.core.serializers import StrictSerializer, TextField, WholeNumberField

NAME_CHARACTERS = 200
KEY_CHARACTERS = 8_192
DAY_S = 24 * 3600
LONGEST_GRACE_S = 30 * DAY_S


class ApiKeySerializer(serializers.Serializer[Any]):
    """A key, without the key."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    prefix = serializers.CharField(source="__str__", help_text="How the key begins.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES))
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="About when; noted once in five minutes."
    )


class NewApiKeySerializer(ApiKeySerializer):
    """A key as it is answered once: with the key."""

    key = serializers.SerializerMethodField(help_text="Keep it: nobody can read it again.")

    def get_key(self, key: ApiKey) -> str:
        return str(self.context["key"])


class ScopeField(serializers.ChoiceField):
    """A scope for the schema; which ones are valid, the whole list is told at once."""

    def to_internal_value(self, data: Any) -> str:
        found: str = TextField().run_validation(data)
        return found


class ScopesField(serializers.ListField):
    """At least one scope."""

    child = ScopeField(choices=SCOPES)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_empty=False, min_length=1, **kwargs)


class ApiKeyBodySerializer(StrictSerializer):
    """A key to be made."""

    name = TextField(max_length=NAME_CHARACTERS)
    scopes = ScopesField(
        default=list(DEFAULT_SCOPES),
        help_text="A :write holds its :read, admin holds all.",
    )
    expires_at = serializers.DateTimeField(
        default=None, allow_null=True, validators=[is_in_the_future]
    )

    def validate_scopes(self, value: list[str]) -> list[str]:
        return scopes_in_order(value)


class RotationSerializer(StrictSerializer):
    """How long the old key works on."""

    grace_seconds = WholeNumberField(default=DAY_S, min_value=0, max_value=LONGEST_GRACE_S)


class CredentialSerializer(serializers.Serializer[Any]):
    """A vendor's key, by its end."""

    provider = serializers.CharField()
    last4 = serializers.CharField(source="hint", help_text="… and the key's last characters.")
    base_url = serializers.CharField(
        help_text="The server that the key is for, where bots name that themselves. Empty: none."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


# An object, though the action is called list.
@extend_schema_serializer(many=False)
class CredentialsSerializer(serializers.Serializer[Any]):
    """An account's credentials."""

    results = CredentialSerializer(many=True)


class CredentialBodySerializer(StrictSerializer):
    """A vendor's key. It is never answered."""

    api_key = TextField(max_length=KEY_CHARACTERS, write_only=True)
    base_url = TextField(
        required=False,
        allow_blank=True,
        max_length=500,
        help_text="The server that the key is for, where bots name that themselves (custom_llm): it"
        " is sent to no other. Left out: as it was.",
    )


class VerdictSerializer(serializers.Serializer[Any]):
    """What the vendor says of a key."""

    ok = serializers.BooleanField(allow_null=True, help_text="null: it cannot be told.")
    reason = serializers.ChoiceField(
        choices=(
            ("accepted", "auth", "malformed", "rate-limited")
            + ("unavailable", "unexpected", "untestable")
        )
    )
    info = serializers.CharField()
    latency_ms = serializers.FloatField(allow_null=True)


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """Who did what."""

    before = serializers.DictField(help_text="What changed, by path, as it was.")
    after = serializers.DictField(help_text="What changed, by path, as it is now.")

    class Meta:
        model = AuditEntry
        fields = (
            ("id", "created_at", "action", "target_kind", "target_id")
            + ("actor_kind", "actor_id", "actor_name", "address", "request_id")
            + ("before", "after")
        )
        read_only_fields = fields


class AuditFilterSerializer(serializers.Serializer[Any]):
    """What to look for in the log; all of it must fit."""

    action = serializers.CharField(required=False, max_length=64, help_text="api_key.create …")
    target_kind = serializers.CharField(required=False, max_length=32, help_text="api_key …")
    target_id = serializers.CharField(required=False, max_length=64)
    actor_id = serializers.CharField(required=False, max_length=64, help_text="A key's or user's.")
    since = serializers.DateTimeField(required=False, help_text="From this time on.")
    until = serializers.DateTimeField(required=False, help_text="Before this time.")
