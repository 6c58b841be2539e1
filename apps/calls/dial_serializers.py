"""Bodies of requests that dial. They validate and fill in defaults, and store nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from apps.bots.serializers import METADATA_BYTES, ValueField
from apps.calls.e164 import EXAMPLE, LONGEST, NumberRefused, callee_read, caller_read
from apps.calls.wishes import (
    ASYNC,
    GO_ON,
    HANG_UP,
    LEAVE_MESSAGE,
    LIMIT_LONGEST_S,
    LIMIT_SHORTEST_S,
    OFF,
    RING_DEFAULT_S,
    RING_LONGEST_S,
    SYNC,
    Wish,
)
from apps.core.serializers import (
    FlagField,
    PatternField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)

RING_SHORTEST_S = 5
VARIABLES_BYTES = 16_384
# Twilio's own bounds, and its default.
DETECTION_SHORTEST_S, DETECTION_LONGEST_S, DETECTION_DEFAULT_S = 3, 59, 30
MESSAGE_CHARACTERS = 1_000
DIGITS = r"[0-9A-D#*wW]{1,32}"


class NumberField(TextField):
    """A number as people write it, read into E.164 form. read: raises NumberRefused."""

    def __init__(self, read: Callable[[str], str], **kwargs: Any) -> None:
        self._read = read
        super().__init__(max_length=LONGEST, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return self._read(text)
        except NumberRefused as refused:
            raise serializers.ValidationError(str(refused)) from None


class OffsetDateTimeField(serializers.DateTimeField):
    """A time that says which: ISO 8601 with an offset, or Z."""

    def enforce_timezone(self, value: Any) -> Any:
        if value.tzinfo is None:
            raise serializers.ValidationError(
                "Say which time: with an offset, such as 2026-01-31T12:00:00+01:00, or Z."
            )
        return super().enforce_timezone(value)


class MachineDetectionSerializer(StrictSerializer):
    """Whether Twilio listens for who answers: a human, a machine, a fax."""

    mode = serializers.ChoiceField(
        choices=(OFF, ASYNC, SYNC),
        default=OFF,
        help_text=(
            "async: beside the conversation. sync: before it; whoever answers hears nothing for "
            "some seconds."
        ),
    )
    message_end = FlagField(
        default=False, help_text="Wait for the end of a machine's greeting, for its beep."
    )
    timeout = WholeNumberField(
        default=DETECTION_DEFAULT_S,
        min_value=DETECTION_SHORTEST_S,
        max_value=DETECTION_LONGEST_S,
        help_text="Seconds after which the verdict is unknown.",
    )
    on_machine = serializers.ChoiceField(
        choices=(HANG_UP, GO_ON, LEAVE_MESSAGE),
        default=HANG_UP,
        help_text="What becomes of the call when a machine or a fax has answered.",
    )
    message = TextField(
        default="",
        allow_blank=True,
        max_length=MESSAGE_CHARACTERS,
        help_text="For leave_message: what the bot says before it hangs up.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["on_machine"] == LEAVE_MESSAGE and not attrs["message"].strip():
            raise serializers.ValidationError({"message": ["Say what message is left."]})
        if attrs["on_machine"] == LEAVE_MESSAGE and not attrs["message_end"]:
            why = "Needed for leave_message: before the beep nobody records it."
            raise serializers.ValidationError({"message_end": [why]})
        return attrs


class DialSerializer(StrictSerializer):
    """A call to be made."""

    config_id = serializers.UUIDField(help_text="Which bot speaks.")
    to = NumberField(callee_read, help_text=f"{EXAMPLE}, or a SIP address.")
    # A keyword of Python names no attribute.
    locals()["from"] = NumberField(
        caller_read, help_text="A number of the Twilio account's, or one that it has verified."
    )
    connection_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Which Twilio connection dials; by default the one that owns from.",
    )
    variables = serializers.DictField(
        child=ValueField(), default=dict, help_text="Values of the bot's variables, by name."
    )
    machine_detection = MachineDetectionSerializer(required=False)
    timeout = WholeNumberField(
        default=RING_DEFAULT_S,
        min_value=RING_SHORTEST_S,
        max_value=RING_LONGEST_S,
        help_text="Seconds that it rings.",
    )
    time_limit = WholeNumberField(
        required=False,
        allow_null=True,
        default=None,
        min_value=LIMIT_SHORTEST_S,
        max_value=LIMIT_LONGEST_S,
        help_text="Seconds after which Twilio ends the call; by default the bot's, and a minute.",
    )
    send_digits = PatternField(
        DIGITS,
        expected="Up to 32 of 0-9, A-D, #, *, and w or W for half a second or a whole one.",
        required=False,
        allow_null=True,
        default=None,
        help_text="Keys to press when somebody has answered, such as an extension: ww12#.",
    )
    record = FlagField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Whether to record; by default as the bot's config says.",
    )
    metadata = serializers.DictField(default=dict, help_text="Yours; up to 16 kB of JSON.")
    schedule_at = OffsetDateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Dial then: ISO 8601 with an offset, up to 30 days ahead.",
    )

    def validate_variables(self, value: dict[str, Any]) -> dict[str, Any]:
        return _bounded(value, VARIABLES_BYTES)

    def validate_metadata(self, value: dict[str, Any]) -> dict[str, Any]:
        return _bounded(value, METADATA_BYTES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        detection = attrs.setdefault("machine_detection", {"mode": OFF})
        if attrs["send_digits"] and detection["mode"] != OFF:
            why = "Twilio detects no machine where digits are sent: leave out one of the two."
            raise serializers.ValidationError({"send_digits": [why]})
        return attrs

    def wish(self) -> Wish:
        """Return what is wanted. The body has been validated."""
        found = dict(self.validated_data)
        return Wish(from_=found.pop("from"), **found)


def _bounded(value: dict[str, Any], most: int) -> dict[str, Any]:
    if len(json.dumps(value).encode()) > most:
        raise serializers.ValidationError(f"More than {most} bytes of JSON.")
    return value
