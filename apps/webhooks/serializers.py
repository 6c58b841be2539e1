"""Bodies, filters and answers of endpoints and deliveries. They store nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.serializers import FlagField, StrictSerializer, TextField, WholeNumberField
from apps.webhooks.addresses import UrlRefused, url_check
from apps.webhooks.delivering import payload
from apps.webhooks.kinds import NAMES
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.replaying import DEAD, STATUSES
from apps.webhooks.signing import secret_bytes

DAY_S = 24 * 3600
LONGEST_GRACE_S = 30 * DAY_S
# What an attempt may have failed by, and what a delivery may have died of.
ERRORS = (
    *("status", "timeout", "address", "unreachable", "broken", "secret"),
    *("lost", "disabled"),
)


class KindsField(serializers.ListField):
    """Kinds of events, each once, in the order of the catalogue."""

    child = serializers.ChoiceField(
        choices=NAMES,
        error_messages={"invalid_choice": f"Unknown kind. Valid: {', '.join(NAMES)}."},
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=100, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        return [name for name in NAMES if name in found]


class SecretField(TextField):
    """A secret of the client's own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, required=False, write_only=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        found = super().to_internal_value(data)
        try:
            secret_bytes(found)
        except ValueError as exc:
            raise serializers.ValidationError(str(exc)) from None
        return found


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """Where events go."""

    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=NAMES),
        help_text="What is sent; empty: everything, kinds to come too.",
    )
    disabled_reason = serializers.ChoiceField(
        choices=Endpoint.Disabled.choices, help_text="gone: it answered 410."
    )
    previous_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="So long the secret before signs, too."
    )

    class Meta:
        model = Endpoint
        fields: tuple[str, ...] = (
            *("id", "url", "description", "kinds", "enabled", "disabled_reason"),
            *("previous_secret_until", "created_at", "updated_at"),
        )
        read_only_fields = fields


class NewEndpointSerializer(EndpointSerializer):
    """An endpoint as it is answered once: with its secret."""

    secret = serializers.SerializerMethodField(help_text="Keep it: nobody can read it again.")

    class Meta(EndpointSerializer.Meta):
        fields: tuple[str, ...] = (*EndpointSerializer.Meta.fields, "secret")
        read_only_fields = fields

    def get_secret(self, endpoint: Endpoint) -> str:
        return str(self.context["secret"])


class EndpointChangesSerializer(StrictSerializer):
    """What can be changed of an endpoint; what is left out stays."""

    url = TextField(max_length=2_000, help_text="https; http where PRIVATE_ADDRESSES allows it.")
    description = TextField(default="", allow_blank=True, max_length=500)
    kinds = KindsField(default=list, help_text="What to send; empty: everything.")
    enabled = FlagField(default=True)

    def validate_url(self, value: str) -> str:
        try:
            url_check(value)
        except UrlRefused as exc:
            raise serializers.ValidationError(str(exc)) from None
        return value


class EndpointBodySerializer(EndpointChangesSerializer):
    """An endpoint to be made."""

    secret = SecretField(help_text="Your own: whsec_ and base64. Left out: we make one.")


class SecretRotationSerializer(StrictSerializer):
    """How long the old secret signs on beside the new one."""

    grace_seconds = WholeNumberField(default=DAY_S, min_value=0, max_value=LONGEST_GRACE_S)
    secret = SecretField(help_text="Your own: whsec_ and base64. Left out: we make one.")


class AttemptSerializer(serializers.Serializer[Any]):
    """One request to an endpoint."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="null: no answer came.")
    duration_ms = serializers.IntegerField(allow_null=True)
    error = serializers.ChoiceField(choices=ERRORS, allow_blank=True, help_text="Empty: accepted.")
    info = serializers.CharField(help_text="The error, for people.")
    answer = serializers.CharField(help_text="The first characters of the answer.")


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """What became of an event at an endpoint."""

    kind = serializers.ChoiceField(choices=NAMES)
    event_id = serializers.UUIDField(help_text="The webhook-id.")
    attempt_count = serializers.IntegerField(source="attempts")
    next_attempt_at = serializers.SerializerMethodField()
    last_status = serializers.IntegerField(allow_null=True, help_text="Of the latest answer.")
    last_error = serializers.ChoiceField(choices=ERRORS, allow_blank=True)

    class Meta:
        model = Delivery
        fields: tuple[str, ...] = (
            *("id", "event_id", "kind", "status", "attempt_count", "next_attempt_at"),
            *("last_status", "last_error", "created_at", "finished_at"),
        )
        read_only_fields = fields

    def get_next_attempt_at(self, delivery: Delivery) -> datetime | None:
        """null unless it is pending."""
        return delivery.due_at if delivery.status == Delivery.Status.PENDING else None


class PayloadSerializer(serializers.Serializer[Any]):
    """What is sent of an event."""

    id = serializers.UUIDField(help_text="The webhook-id: the same however often it is sent.")
    type = serializers.ChoiceField(choices=NAMES)
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    data = serializers.DictField(help_text="By the kind.")  # type: ignore[assignment]


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with what was sent, and each attempt."""

    payload = serializers.SerializerMethodField()
    attempts = AttemptSerializer(source="log", many=True)

    class Meta(DeliverySerializer.Meta):
        fields: tuple[str, ...] = (*DeliverySerializer.Meta.fields, "payload", "attempts")
        read_only_fields = fields

    @extend_schema_field(PayloadSerializer)
    def get_payload(self, delivery: Delivery) -> dict[str, Any]:
        return payload(delivery.event)


class DeliveryFilterSerializer(serializers.Serializer[Any]):
    """Which deliveries to list; all of it must fit."""

    status = serializers.ChoiceField(choices=Delivery.Status.choices, required=False)
    kind = serializers.ChoiceField(choices=NAMES, required=False)


class PingSerializer(serializers.Serializer[Any]):
    """What became of a ping. ok: the endpoint has accepted it."""

    ok = serializers.BooleanField()
    delivery_id = serializers.UUIDField()
    attempt = AttemptSerializer()


class ReplaySerializer(StrictSerializer):
    """Which events to send again: those of a time, by when they happened."""

    since = serializers.DateTimeField(help_text="From this time on.")
    until = serializers.DateTimeField(
        default=None, allow_null=True, help_text="Before this time; null: up to now."
    )
    status = serializers.ChoiceField(
        choices=STATUSES,
        default=DEAD,
        help_text="dead: what could not be delivered. all: every event of the endpoint's kinds.",
    )

    def validate(self, attrs: Any) -> Any:
        if attrs["until"] is not None and attrs["until"] <= attrs["since"]:
            raise serializers.ValidationError({"until": ["Not after since."]})
        return attrs


class ReplayedSerializer(serializers.Serializer[Any]):
    """How many events will be sent again."""

    count = serializers.IntegerField()
    next_since = serializers.DateTimeField(
        allow_null=True, help_text="There are more: ask again from here on."
    )


class KindSerializer(serializers.Serializer[Any]):
    """A kind of event, with an example of what is sent."""

    name = serializers.ChoiceField(choices=NAMES)
    description = serializers.CharField()
    example = PayloadSerializer()


# An object, though the action is called list.
@extend_schema_serializer(many=False)
class KindsSerializer(serializers.Serializer[Any]):
    """The catalogue."""

    results = KindSerializer(many=True)


def example_payload(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example of what is sent of a kind."""
    return {
        "id": "3d5c1b9e-6f4a-5c7d-9e8f-0a1b2c3d4e5f",
        "type": name,
        "timestamp": "2026-01-31T12:00:09.000Z",
        "data": dict(data),
    }
