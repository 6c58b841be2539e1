"""What a call leaves behind. Rows are written by the journal, never on the audio path."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig, TwilioConfigVersion

# One namespace makes a call's id out of its account and CallSid, so that every process that meets
# the call knows its row without asking the database.
_NAMESPACE = uuid.UUID("5f2c5f0e-9d1f-4f0e-8d2c-3a9b6f7d1c11")


def call_id(*, account_id: uuid.UUID | str, call_sid: str) -> uuid.UUID:
    """Return the id of the row of a call."""
    return uuid.uuid5(_NAMESPACE, f"{account_id}/{call_sid}")


class CallQuerySet(models.QuerySet["Call"]):
    def owned_by(self, account: Account) -> CallQuerySet:
        return self.filter(account=account)

    def live(self) -> CallQuerySet:
        return self.filter(status=Call.Status.IN_PROGRESS)


class Call(models.Model):
    """One phone call, from the stream's start to its end.

    costs: a line for each slot of each stream. cost_usd: the sum of what is known of them, null if
    nothing is, or the call has not ended; cost_is_complete: nothing is missing in that sum.
    """

    class Status(models.TextChoices):
        IN_PROGRESS = "in-progress"
        COMPLETED = "completed"
        FAILED = "failed"

    class Direction(models.TextChoices):
        INBOUND = "inbound"
        OUTBOUND = "outbound"

    id = models.UUIDField(primary_key=True, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="calls")
    config = models.ForeignKey(TwilioConfig, on_delete=models.PROTECT, related_name="calls")
    version = models.ForeignKey(TwilioConfigVersion, on_delete=models.PROTECT, related_name="+")
    call_sid = models.CharField(max_length=64)
    stream_sid = models.CharField(max_length=64, blank=True, default="")
    direction = models.CharField(
        max_length=16, choices=Direction.choices, default=Direction.INBOUND
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.IN_PROGRESS)
    end_reason = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    cost_usd = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)
    cost_is_complete = models.BooleanField(default=False)
    costs = models.JSONField(default=list, blank=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "call_sid"], name="call_sid_once_an_account")
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "-started_at", "-id"], name="calls_by_time"),
            models.Index(
                fields=["started_at"],
                condition=models.Q(status="in-progress"),
                name="calls_live",
            ),
        ]

    def __str__(self) -> str:
        return self.call_sid


class Turn(models.Model):
    """What one side said between two changes of speaker.

    stream_sid and index name it: a call whose stream was replaced has turns of both streams.
    stages_ms: the parts of the gap before an answer, in ms and in order; they add up to the gap.
    Usage is since this side's turn before. Tokens are what the model told: a lower bound where
    fewer requests were counted than made. cost_usd: null if a part of it is unknown.
    """

    class Role(models.TextChoices):
        CALLER = "caller"
        BOT = "bot"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="turns")
    stream_sid = models.CharField(max_length=64)
    index = models.PositiveIntegerField()
    role = models.CharField(max_length=8, choices=Role.choices)
    source = models.CharField(max_length=16, blank=True, default="")
    text_said = models.TextField(blank=True)
    text_heard = models.TextField(blank=True)
    interrupted = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    stages_ms = models.JSONField(default=dict, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    cached_tokens = models.PositiveIntegerField(null=True, blank=True)
    cache_write_tokens = models.PositiveIntegerField(null=True, blank=True)
    audio_prompt_tokens = models.PositiveIntegerField(null=True, blank=True)
    audio_completion_tokens = models.PositiveIntegerField(null=True, blank=True)
    cached_audio_tokens = models.PositiveIntegerField(null=True, blank=True)
    llm_requests = models.PositiveIntegerField(default=0)
    llm_requests_counted = models.PositiveIntegerField(default=0)
    tts_characters = models.PositiveIntegerField(default=0)
    tts_audio_s = models.FloatField(default=0)
    stt_stream_s = models.FloatField(default=0)
    stt_speech_s = models.FloatField(default=0)
    cost_usd = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)

    class Meta:
        # A bot's turn is written when it ends, a caller's when its words are known: the order of
        # writing is the order of the conversation, the times overlap where they spoke at once.
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["call", "stream_sid", "index"], name="turn_once_a_stream"
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.index}"

    @property
    def latency_ms(self) -> float | None:
        """From the end of the caller's speech to the first audio of this answer, in ms."""
        return round(sum(self.stages_ms.values()), 1) if self.stages_ms else None


class CallEvent(models.Model):
    """Something else that happened in a call."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        indexes: ClassVar = [models.Index(fields=["call", "at"], name="events_of_call")]

    def __str__(self) -> str:
        return self.kind
