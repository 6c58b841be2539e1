"""What the API answers about bots. These describe it for OpenAPI; ``presentation`` makes it."""

from __future__ import annotations

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.bots.dailybots import PROFILES
from apps.bots.serializers import DURATION_ABOVE_S, DURATION_BELOW_S, ConfigSerializer
from apps.bots.tools import WebhookToolSerializer
from apps.core.serializers import TextField
from apps.providers.base import KINDS, Billing

STATUSES = ("published", "draft", "superseded")
AUTHOR_KINDS = ("key", "user")


class TwilioConfigSerializer(serializers.Serializer[Any]):
    """A bot configuration as it is answered: the body, and what to do with it."""

    id = serializers.UUIDField(help_text="The Bot ID.")
    name = serializers.CharField(allow_blank=True)
    version = serializers.IntegerField(help_text="The version that is shown.")
    status = serializers.ChoiceField(choices=STATUSES, help_text="Of that version.")
    published_version = serializers.IntegerField(
        allow_null=True, help_text="The version that takes calls; null before one is published."
    )
    latest_version = serializers.IntegerField(help_text="The newest, which may be a draft.")
    config = ConfigSerializer()
    max_duration = serializers.IntegerField()
    metadata = serializers.DictField()
    webhook_tools = serializers.DictField(child=WebhookToolSerializer())
    twiml = serializers.CharField(help_text="Paste this into Twilio.")
    stream_url = serializers.CharField()
    voice_url = serializers.CharField(help_text="Or let Twilio ask this URL.")
    warnings = serializers.ListField(
        child=serializers.CharField(),
        help_text="What keeps the bot from taking calls, and what may surprise.",
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AuthorSerializer(serializers.Serializer[Any]):
    """Who wrote a version."""

    kind = serializers.ChoiceField(choices=AUTHOR_KINDS)
    id = serializers.CharField()
    name = serializers.CharField()


class ChangeSerializer(serializers.Serializer[Any]):
    """One member that differs from the version before. Of secrets only that they differ."""

    path = serializers.CharField()
    before = serializers.JSONField()
    after = serializers.JSONField()


class VersionSerializer(serializers.Serializer[Any]):
    """A version in a bot's history."""

    number = serializers.IntegerField()
    status = serializers.ChoiceField(choices=STATUSES)
    face = serializers.ChoiceField(
        choices=("native", "dailybots"), help_text="The form in which it was written."
    )
    author = AuthorSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    changes = ChangeSerializer(many=True)


class VersionDetailSerializer(VersionSerializer):
    """A version with its content."""

    content = TwilioConfigSerializer()


class RenderedProviderSerializer(serializers.Serializer[Any]):
    """A provider as a call would use it."""

    provider = serializers.CharField()
    model = serializers.CharField(allow_blank=True, help_text="What is really asked for.")
    configured_model = serializers.CharField(allow_blank=True)
    key = serializers.ChoiceField(choices=("config", "account", "missing", "not needed"))
    available = serializers.BooleanField()
    missing = serializers.CharField(allow_blank=True)


class RenderedSlotSerializer(RenderedProviderSerializer):
    """A slot's provider, and who takes over if it fails."""

    fallbacks = RenderedProviderSerializer(many=True)


class RenderedProvidersSerializer(serializers.Serializer[Any]):
    """The providers of a call. A model that hears and speaks itself stands alone."""

    llm = RenderedSlotSerializer()
    tts = RenderedSlotSerializer(required=False)
    stt = RenderedSlotSerializer(required=False)


class RenderedVariableSerializer(serializers.Serializer[Any]):
    """A variable's value, and where it comes from."""

    value = serializers.CharField(allow_blank=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=("given", "default", "built-in")
    )


class RenderedSerializer(serializers.Serializer[Any]):
    """What a caller would get."""

    id = serializers.UUIDField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(choices=STATUSES)
    takes_calls = serializers.BooleanField()
    name = serializers.CharField(allow_blank=True)
    config = ConfigSerializer(help_text="With every variable filled in.")
    max_duration = serializers.IntegerField()
    twiml = serializers.CharField()
    providers = RenderedProvidersSerializer()
    variables = serializers.DictField(child=RenderedVariableSerializer())
    missing_variables = serializers.ListField(child=serializers.CharField())
    missing_keys = serializers.ListField(
        child=serializers.CharField(), help_text="Providers that need a key and have none."
    )
    warnings = serializers.ListField(child=serializers.CharField())


class VoiceSerializer(serializers.Serializer[Any]):
    """A voice of a provider."""

    id = serializers.CharField()
    name = serializers.CharField()
    language = serializers.CharField()


class PriceSerializer(serializers.Serializer[Any]):
    """What a model costs, in USD."""

    slot = serializers.ChoiceField(choices=KINDS)
    model = serializers.CharField(
        help_text="* is any other. With a * in it, voices; model:language, one language."
    )
    usd = serializers.DictField(
        child=serializers.CharField(),
        help_text=(
            "By unit: tokens (prompt, cached_prompt, cache_write, completion, audio_prompt, "
            "cached_audio_prompt, audio_completion) and characters by the million; audio_minute, "
            "stream_minute, speech_minute."
        ),
    )
    free = serializers.BooleanField(help_text="Costs nothing: runs on this server.")
    source = serializers.CharField(  # type: ignore[assignment]
        allow_blank=True, help_text="Where it was read; empty if this server's operator said so."
    )
    read = serializers.DateField(allow_null=True, help_text="When it was read.")
    note = serializers.CharField(allow_blank=True, help_text="On what assumption.")


class ProviderSerializer(serializers.Serializer[Any]):
    """A provider: what a slot may name, and what it takes."""

    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    open_models = serializers.BooleanField(help_text="Models beyond these are passed on.")
    voices = VoiceSerializer(many=True)
    open_voices = serializers.BooleanField(help_text="Voices beyond these are passed on.")
    options = serializers.DictField(help_text="JSON Schema of the options.")
    needs_key = serializers.BooleanField()
    has_key = serializers.BooleanField(help_text="The account has a credential for it.")
    available = serializers.BooleanField(help_text="This server can take calls with it.")
    missing = serializers.CharField(allow_blank=True, help_text="What keeps it from that.")
    closed = serializers.CharField(
        allow_blank=True, help_text="The vendor has shut it: what to use instead."
    )
    speaks = serializers.BooleanField(
        help_text="A language model that hears and speaks itself: stt and tts are not used."
    )
    billing = serializers.ChoiceField(
        choices=get_args(Billing), help_text="What the vendor's bill counts."
    )
    limits = serializers.ListField(
        child=serializers.CharField(), help_text="What it cannot do here, a sentence each."
    )
    source = serializers.CharField(  # type: ignore[assignment]
        allow_blank=True, help_text="The documentation that it was written from."
    )
    prices = PriceSerializer(
        many=True, help_text="What is known; a model without a price has an unknown cost."
    )


class ProvidersSerializer(serializers.Serializer[Any]):
    """The catalogue."""

    results = ProviderSerializer(many=True)


class ToolActionSerializer(serializers.Serializer[Any]):
    """An action of a stream, and what would become of it in a call."""

    service = serializers.CharField(allow_blank=True)
    action = serializers.CharField(allow_blank=True)
    done = serializers.BooleanField()
    why = serializers.CharField(allow_blank=True, help_text="Why it was skipped.")


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ToolRequestBodyField(serializers.JSONField):
    """What a webhook is sent; null for a GET, whose URL carries it."""


class ToolAskedSerializer(serializers.Serializer[Any]):
    """What the webhook was asked. Values of custom headers are masked."""

    method = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    body = ToolRequestBodyField(allow_null=True)


class ToolAnsweredSerializer(serializers.Serializer[Any]):
    """What the webhook answered, after redirects."""

    status = serializers.IntegerField()
    headers = serializers.DictField(child=serializers.CharField(allow_blank=True))
    redirects = serializers.IntegerField(help_text="How often it sent us on.")
    body = serializers.CharField(allow_blank=True, help_text="Cut, and saying so, if it is long.")
    actions = ToolActionSerializer(many=True, help_text="Of a webhook that streams.")


class ToolTrialOutcomeSerializer(serializers.Serializer[Any]):
    """What became of asking a tool's webhook."""

    request = ToolAskedSerializer()
    response = ToolAnsweredSerializer(allow_null=True)
    result = serializers.CharField(help_text="What a model would be told.")
    duration_ms = serializers.IntegerField()
    ok = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True, help_text="What went wrong, for people.")


class DailyBotsOptionSerializer(serializers.Serializer[Any]):
    """One option of a service."""

    name = serializers.CharField(allow_blank=True)
    value = serializers.JSONField(required=False)


class DailyBotsItemSerializer(serializers.Serializer[Any]):
    """The options of one slot; the list is applied in order."""

    service = serializers.CharField(allow_blank=True, help_text="llm, tts, stt or vad.")
    options = DailyBotsOptionSerializer(many=True, required=False)


class DailyBotsServicesSerializer(serializers.Serializer[Any]):
    """Service names by slot."""

    llm = serializers.CharField()
    tts = serializers.CharField(required=False, help_text="Not for a service that itself speaks.")
    stt = serializers.CharField(required=False, help_text="deepgram, if left out.")


@extend_schema_field(
    {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}
)
class ServiceOptionsField(serializers.JSONField):
    """Options of a service, or a list of them, applied in order."""


class DailyBotsBodySerializer(serializers.Serializer[Any]):
    """A bot configuration in Daily Bots' form. ``apps.bots.dailybots`` reads it.

    Members beyond these are accepted, kept and ignored.
    """

    bot_profile = serializers.ChoiceField(choices=PROFILES)
    services = DailyBotsServicesSerializer()
    config = DailyBotsItemSerializer(many=True)
    max_duration = serializers.IntegerField(
        required=False, min_value=DURATION_ABOVE_S + 1, max_value=DURATION_BELOW_S - 1
    )
    api_keys = serializers.DictField(
        child=TextField(max_length=8_192), required=False, write_only=True
    )
    service_options = serializers.DictField(
        child=ServiceOptionsField(), required=False, allow_null=True
    )
    webhook_tools = serializers.DictField(child=WebhookToolSerializer(), required=False)


class DailyBotsSerializer(DailyBotsBodySerializer):
    """The stored body, the id and the TwiML."""

    id = serializers.UUIDField()
    twiml = serializers.CharField()


# An object, though the action is called list.
@extend_schema_serializer(many=False)
class DailyBotsListSerializer(serializers.Serializer[Any]):
    """Their list."""

    total_count = serializers.IntegerField()
    data = DailyBotsSerializer(many=True)  # type: ignore[assignment]


class DailyBotsDeletedSerializer(serializers.Serializer[Any]):
    """What a delete answers."""

    deleted = serializers.BooleanField()
    id = serializers.UUIDField()


class DailyBotsErrorSerializer(serializers.Serializer[Any]):
    """An error of the Daily Bots face."""

    error = serializers.CharField()
    info = serializers.CharField()
