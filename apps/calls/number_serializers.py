"""Bodies, filters and answers of phone numbers. They store nothing."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts.connections import TRIAL
from apps.calls.models import PhoneNumber
from apps.calls.number_settings import GONE
from apps.core.serializers import FlagField, StrictSerializer

BOT_DELETED = "The bot is deleted: callers hear that the number is not in service."
BOT_UNPUBLISHED = "The bot has no published version: callers hear that it is not in service."
LISTED_NO_MORE = "Twilio does not list this number any more."


def _settings(help_text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.CharField(), help_text=help_text)


class PhoneNumberSerializer(serializers.ModelSerializer[PhoneNumber]):
    """A number at Twilio, and the bot that answers it."""

    connection_id = serializers.UUIDField()
    config_id = serializers.UUIDField(allow_null=True, help_text="The bot; null: none of ours.")
    wanted = _settings("What Twilio is to hold, while a bot is assigned.")
    actual = _settings("What it held at checked_at.")
    before = _settings("What it held before a bot was assigned.")
    drift = serializers.ListField(
        child=serializers.CharField(),
        help_text="Which of them differ; gone: Twilio lists the number no more.",
    )
    warnings = serializers.SerializerMethodField(help_text="What will not work, and why.")

    class Meta:
        model = PhoneNumber
        fields = (
            ("sid", "number", "friendly_name", "connection_id", "config_id", "wanted", "actual")
            + ("before", "drift", "drifted_at", "gone_at", "checked_at", "check_error")
            + ("warnings", "created_at", "updated_at")
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_warnings(self, number: PhoneNumber) -> list[str]:
        config = number.config
        found = {
            BOT_DELETED: config is not None and config.deleted_at is not None,
            BOT_UNPUBLISHED: config is not None and config.current_id is None,
            LISTED_NO_MORE: GONE in number.drift,
            TRIAL: config is not None and number.connection.is_trial,
        }
        return [text for text, holds in found.items() if holds]


class AssignmentSerializer(StrictSerializer):
    """Which bot is to answer a number."""

    config_id = serializers.UUIDField(
        allow_null=True, help_text="null: none; what Twilio held before is put back."
    )
    replace_application = FlagField(
        default=False,
        help_text="Take the number's application or trunk away, if it has one.",
    )
    restore = FlagField(
        default=True,
        help_text="false, with config_id null: leave Twilio as it is, and do not ask it.",
    )


class RepairSerializer(StrictSerializer):
    """How far a repair may go."""

    replace_application = FlagField(
        default=False,
        help_text="Take an application or trunk away that was set meanwhile.",
    )


class NumberFilterSerializer(serializers.Serializer[Any]):
    """Which numbers are listed; all of it must fit."""

    connection_id = serializers.UUIDField(required=False)
    config_id = serializers.UUIDField(required=False, help_text="Only numbers of this bot.")
    drifted = FlagField(required=False, help_text="Whether anything differs at Twilio.")
    refresh = FlagField(
        default=False,
        help_text="Ask Twilio now. Connections that were never listed are asked in any case.",
    )
