"""Bodies of requests about a call that is on."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.core.serializers import FlagField, PatternField, StrictSerializer, TextField

SAY_CHARACTERS = 1_000
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
