"""A recording as clients see it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.calls.recordings.models import Recording


class RecordingSerializer(serializers.ModelSerializer[Recording]):
    """A call's recording. Its sound is at ``url`` once it is ready."""

    duration_s = serializers.FloatField(
        read_only=True, allow_null=True, help_text="Seconds; null before it is ready."
    )
    bytes = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="Of the WAV file; null before it is ready."
    )
    is_partial = serializers.BooleanField(
        read_only=True, help_text="true: some of the call is missing, for a process died."
    )
    url = serializers.SerializerMethodField()

    class Meta:
        model = Recording
        fields = ("status", "started_at", "duration_s", "bytes", "is_partial", "url")
        read_only_fields = fields

    @extend_schema_field(str)
    def get_url(self, recording: Recording) -> str:
        """The path that answers it."""
        return f"/calls/{recording.call_id}/recording"
