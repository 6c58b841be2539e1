"""Serializer fields that take JSON at its word: no number as a text, no text as a truth value.

Numbers may come as strings, because clients of the API's older face send them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers


class TextField(serializers.CharField):
    """A string, kept as it is; DRF's own would take numbers and cut off spaces."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class PatternField(TextField):
    """A string that fits a pattern as a whole. expected: what to say when it does not."""

    def __init__(self, pattern: str, *, expected: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators.append(RegexValidator(rf"\A(?:{pattern})\Z", message=expected))


class NumberField(serializers.FloatField):
    """A finite number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A whole number."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false; DRF's own would take ``"no"`` and 1."""

    def to_internal_value(self, data: Any) -> bool:
        if data in ("true", "false"):
            return bool(data == "true")
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """An object whose every member is known. ignored: members that mean nothing, but may stand."""

    ignored: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        strangers = self.strangers(data)
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as exc:
            known = exc.detail if isinstance(exc.detail, dict) else {}
            raise serializers.ValidationError({**known, **strangers}) from None
        if strangers:
            raise serializers.ValidationError(strangers)
        return values

    def strangers(self, data: Any) -> dict[str, list[str]]:
        """Complain about unknown members, saying which there are."""
        if not isinstance(data, Mapping):
            return {}
        valid = ", ".join(self.fields)
        return {
            str(name): [f"Unknown field. Valid: {valid}."]
            for name in data
            if name not in self.fields and name not in self.ignored
        }
