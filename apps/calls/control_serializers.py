"""Bodies of requests about a call that is on."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.bots.tools import SUMMARY_CHARACTERS, TRANSFER_MODES
from apps.calls.dial_serializers import NumberField
from apps.calls.e164 import EXAMPLE, callee_read, caller_read
from apps.calls.models import Transfer
from apps.calls.transfers import RING_DEFAULT_S, TransferWish
from apps.core.serializers import (
    FlagField,
    PatternField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)

SAY_CHARACTERS = 1_000
RING_SHORTEST_S, RING_LONGEST_S = 5, 600
PRESSED = r"[0-9*#wW]{1,32}"


class SpokenField(TextField):
    """Something that can be said: a text with a letter or a digit in it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=SAY_CHARACTERS, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = " ".join(super().to_internal_value(data).split())
        if text and not any(map(str.isalnum, text)):
            raise serializers.ValidationError("Nothing of this can be spoken.")
        return text


class SaySerializer(StrictSerializer):
    """What the bot is to say, in its own voice."""

    text = SpokenField()
    interrupt = FlagField(
        default=False,
        help_text=(
            "Cut what the bot is saying, or about to say. The caller is never cut: it is said "
            "when they have finished."
        ),
    )


class DtmfSerializer(StrictSerializer):
    """Keys to press for the other side."""

    digits = PatternField(
        PRESSED, expected="Up to 32 of 0-9, *, #, and w or W for half a second or a whole one."
    )


class TransferOrderSerializer(StrictSerializer):
    """Whom to put the caller through to: ``to``, or one of the bot's targets."""

    to = NumberField(
        callee_read, default="", allow_blank=True, help_text=f"{EXAMPLE}, or a SIP address."
    )
    target = TextField(
        default="",
        allow_blank=True,
        max_length=64,
        help_text="Instead of to: a name out of the bot's config.transfers.",
    )
    mode = serializers.ChoiceField(
        choices=TRANSFER_MODES,
        required=False,
        help_text="warm: the human hears the summary first. By default the target's, or cold.",
    )
    summary = TextField(
        default="",
        allow_blank=True,
        max_length=SUMMARY_CHARACTERS,
        help_text="What the human is told before both are connected.",
    )
    say = SpokenField(
        default="",
        allow_blank=True,
        help_text="What the bot says to the caller first; it is heard to its end.",
    )
    timeout = WholeNumberField(
        default=RING_DEFAULT_S,
        min_value=RING_SHORTEST_S,
        max_value=RING_LONGEST_S,
        help_text="Seconds that it rings.",
    )
    caller_id = NumberField(
        caller_read,
        default="",
        allow_blank=True,
        help_text=(
            "The number that the human sees: the caller's own, or one of the Twilio account's. By "
            "default the caller's; of a call that was dialled, the one it was dialled from."
        ),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["to"]) == bool(attrs["target"]):
            raise serializers.ValidationError({"to": ["Either to or target."]})
        if attrs["summary"].strip() and attrs.get("mode") == Transfer.Mode.COLD:
            why = "Nobody hears it in a cold transfer: leave it out, or make the mode warm."
            raise serializers.ValidationError({"summary": [why]})
        return attrs

    def wish(self) -> TransferWish:
        """Return what is wanted. The body has been validated."""
        found = dict(self.validated_data)
        if found["to"] and found["summary"].strip():
            found.setdefault("mode", Transfer.Mode.WARM)
        return TransferWish(**found)
