"""What a call leaves behind. Rows are written by the journal, never on the audio path."""

from __future__ import annotations

import uuid
from typing import ClassVar, Final

from django.db import models

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.core.models import BaseModel
from apps.voice.stages import LAST_STAGES, STAGES

# One namespace makes a call's id out of its account and CallSid, so that every process that meets
# the call knows its row without asking the database.
_NAMESPACE = uuid.UUID("5f2c5f0e-9d1f-4f0e-8d2c-3a9b6f7d1c11")


def call_id(*, account_id: uuid.UUID | str, call_sid: str) -> uuid.UUID:
    """Return the id of the row of a call that came to us."""
    return uuid.uuid5(_NAMESPACE, f"{account_id}/{call_sid}")


class CallQuerySet(models.QuerySet["Call"]):
    def owned_by(self, account: Account) -> CallQuerySet:
        return self.filter(account=account)

    def live(self) -> CallQuerySet:
        """Calls that take up a line."""
        return self.filter(status__in=Call.LIVE, ended_at__isnull=True)

    def open(self) -> CallQuerySet:
        """Calls that are not over, those that have not begun included."""
        return self.exclude(status__in=Call.TERMINAL).filter(ended_at__isnull=True)


# In what order calls are listed, and what they are looked through by.
LISTED: Final = [
    *("-started_at", "-id", "ended_at", "answered_at", "status", "direction", "end_reason"),
    *("from_number", "to_number"),
]


class Call(models.Model):
    """One phone call, from the stream's start, or from when it was asked for, to its end.

    An inbound call's id is ``call_id``; an outbound one's is random, for it is there before its
    CallSid. started_at: when it came into being here; answered_at: when somebody could speak.

    medium: what the other side holds; a browser's call is none of Twilio's, and whoever made it
    stands in from_number.

    twilio_status: the last that Twilio said, by sequence; once terminal it is final. posted_at:
    when the create was sent to Twilio, which happens once. retry_at: not before then will Twilio be
    asked again about the call. asked: what the dialler wants of it, see ``apps.calls.wishes``.
    attempts: streams that were let in by a token of ours. gateway: the process that holds the
    stream; stream_ended_at: when that was over, though the call may go on; end_reason then says why
    the stream ended. cap_at: no call lives longer. reap_at: not looked after before then.

    first_word_ms: from when somebody could speak to the bot's first audio; known once it is over.
    costs: a line for each slot of each stream. cost_usd: the sum of what is known of them, null if
    nothing is, or the call has not ended; cost_is_complete: nothing is missing in that sum.
    """

    class Status(models.TextChoices):
        SCHEDULED = "scheduled"
        QUEUED = "queued"
        DIALING = "dialing"
        UNKNOWN = "unknown"
        RINGING = "ringing"
        IN_PROGRESS = "in-progress"
        COMPLETED = "completed"
        BUSY = "busy"
        FAILED = "failed"
        NO_ANSWER = "no-answer"
        CANCELED = "canceled"

    # Nothing changes a status that is one of these.
    TERMINAL = (
        Status.COMPLETED,
        Status.BUSY,
        Status.FAILED,
        Status.NO_ANSWER,
        Status.CANCELED,
    )
    LIVE = (Status.DIALING, Status.UNKNOWN, Status.RINGING, Status.IN_PROGRESS)

    class Direction(models.TextChoices):
        INBOUND = "inbound"
        OUTBOUND = "outbound"

    class Medium(models.TextChoices):
        PHONE = "phone"
        BROWSER = "browser"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="calls")
    connection = models.ForeignKey(
        TwilioConnection, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    config = models.ForeignKey(TwilioConfig, on_delete=models.PROTECT, related_name="calls")
    version = models.ForeignKey(TwilioConfigVersion, on_delete=models.PROTECT, related_name="+")
    call_sid = models.CharField(max_length=64, blank=True, default="")
    twilio_account_sid = models.CharField(max_length=64, blank=True, default="")
    stream_sid = models.CharField(max_length=64, blank=True, default="")
    direction = models.CharField(
        max_length=16, choices=Direction.choices, default=Direction.INBOUND
    )
    medium = models.CharField(max_length=8, choices=Medium.choices, default=Medium.PHONE)
    from_number = models.CharField(max_length=200, blank=True, default="")
    to_number = models.CharField(max_length=200, blank=True, default="")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.IN_PROGRESS)
    twilio_status = models.CharField(max_length=16, blank=True, default="")
    sequence = models.IntegerField(null=True, blank=True)
    end_reason = models.CharField(max_length=32, blank=True, default="")
    error_code = models.CharField(max_length=16, blank=True, default="")
    error = models.CharField(max_length=300, blank=True, default="")
    answered_by = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField()
    scheduled_at = models.DateTimeField(null=True, blank=True)
    posted_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    billed_s = models.PositiveIntegerField(null=True, blank=True)
    variables = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    asked = models.JSONField(default=dict, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    gateway = models.UUIDField(null=True, blank=True)
    stream_ended_at = models.DateTimeField(null=True, blank=True)
    cap_at = models.DateTimeField(null=True, blank=True)
    reap_at = models.DateTimeField(null=True, blank=True)
    first_word_ms = models.PositiveIntegerField(null=True, blank=True)
    cost_usd = models.DecimalField(max_digits=16, decimal_places=8, null=True, blank=True)
    cost_is_complete = models.BooleanField(default=False)
    costs = models.JSONField(default=list, blank=True)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "call_sid"],
                condition=~models.Q(call_sid=""),
                name="call_sid_once_an_account",
            )
        ]
        indexes: ClassVar = [
            # These three hold all that lists of calls are looked through by: what is rare is found
            # without a look at the rows, of which 100,000 take a quarter of a second.
            models.Index(fields=["account", *LISTED], name="calls_by_time"),
            models.Index(fields=LISTED, name="calls_newest"),
            models.Index(fields=["config", *LISTED], name="calls_by_bot"),
            # By ended_at, for SQLite takes no partial index whose condition has values in it.
            models.Index(
                fields=["-started_at", "-id"],
                condition=models.Q(ended_at__isnull=True),
                name="calls_not_over",
            ),
            models.Index(
                fields=["account", "-started_at", "-id"],
                condition=models.Q(ended_at__isnull=True),
                name="calls_of_account_not_over",
            ),
            models.Index(
                fields=["account", "posted_at"],
                condition=models.Q(posted_at__isnull=False),
                name="calls_posted",
            ),
            models.Index(
                fields=["account", "from_number", "-started_at", "-id"], name="calls_by_caller"
            ),
            models.Index(
                fields=["account", "to_number", "-started_at", "-id"], name="calls_by_callee"
            ),
            models.Index(
                fields=["-started_at"],
                condition=models.Q(from_number="", to_number=""),
                name="calls_bare",
            ),
            models.Index(
                fields=["account", "status", "-started_at", "-id"], name="calls_by_status"
            ),
            models.Index(
                fields=["ended_at", "account"],
                condition=models.Q(ended_at__isnull=False),
                name="calls_ended",
            ),
        ]

    def __str__(self) -> str:
        return self.call_sid or str(self.id)

    @property
    def is_browsers(self) -> bool:
        """Whether it is made in a browser: Twilio knows nothing of it."""
        return self.medium == self.Medium.BROWSER

    @property
    def is_over(self) -> bool:
        return self.status in self.TERMINAL

    @property
    def duration_s(self) -> float | None:
        """Seconds from when somebody could speak to the end; None while it runs."""
        if self.ended_at is None:
            return None
        # A call that we dial begins long before anybody can speak, and perhaps nobody ever does.
        spoken = self.stream_sid or self.direction == self.Direction.INBOUND
        began = self.answered_at or (self.started_at if spoken else self.ended_at)
        return round((self.ended_at - began).total_seconds(), 3)


class StreamPass(models.Model):
    """A stream token of ours that has been used: the row is its use.

    attempt: which stream of the call it let in, from 1.
    """

    call_id = models.UUIDField()
    attempt = models.PositiveSmallIntegerField()
    used_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["call_id", "attempt"], name="stream_pass_once")
        ]

    def __str__(self) -> str:
        return f"{self.call_id} {self.attempt}"


class GatewayProcess(models.Model):
    """A process that holds calls. beat_at: when it last said that it lives."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=200, blank=True, default="")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.host} {self.id}"


class TwilioCallback(models.Model):
    """What Twilio told us of a call, as it came; applied afterwards, in order.

    call_id: the row that it is about, which may not be there yet. digest: SHA-256, in hex, of what
    makes two deliveries the same. fields: as Twilio sent them.
    """

    class Kind(models.TextChoices):
        STATUS = "status"
        STREAM = "stream"
        AMD = "amd"
        RECORDING = "recording"
        LEG = "leg"

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    call_id = models.UUIDField()
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sequence = models.IntegerField(null=True, blank=True)
    fields = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["call_id", "id"], name="callbacks_of_call"),
            models.Index(
                fields=["received_at"],
                condition=models.Q(applied_at=None),
                name="callbacks_to_apply",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.call_id}"


class Transfer(models.Model):
    """A call put through to a human, followed to the end of the human's leg.

    summary: what the human is told before the two are connected. leg_sid: the CallSid of the leg.
    status: as Twilio's of a call. bridged_at: when the two were connected. reason: one word for why
    that failed, or why it was over at once.
    """

    class Mode(models.TextChoices):
        COLD = "cold"
        WARM = "warm"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="transfers")
    to = models.CharField(max_length=200)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.COLD)
    summary = models.TextField(blank=True, default="")
    status = models.CharField(max_length=16, default="queued")
    reason = models.CharField(max_length=64, blank=True, default="")
    leg_sid = models.CharField(max_length=64, blank=True, default="")
    sequence = models.IntegerField(null=True, blank=True)
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    bridged_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["started_at", "id"]

    def __str__(self) -> str:
        return f"{self.mode} {self.call_id}"


class PhoneNumber(BaseModel):
    """A number of an account's at Twilio, and the bot that it is assigned to.

    sid: Twilio's, ``PN…``. wanted: what Twilio is to hold for it while a bot is assigned, by the
    names of Twilio's API (``voice_url`` …); actual: what it held at checked_at; before: what it
    held before a bot was assigned. drift: the names that differ, since drifted_at. gone_at: when
    Twilio was first seen not to list it any more. changing_until: somebody is changing it.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="phone_numbers")
    connection = models.ForeignKey(
        TwilioConnection, on_delete=models.CASCADE, related_name="phone_numbers"
    )
    sid = models.CharField(max_length=34)
    number = models.CharField(max_length=32)
    friendly_name = models.CharField(max_length=200, blank=True, default="")
    config = models.ForeignKey(
        TwilioConfig, on_delete=models.PROTECT, null=True, blank=True, related_name="phone_numbers"
    )
    wanted = models.JSONField(default=dict, blank=True)
    actual = models.JSONField(default=dict, blank=True)
    before = models.JSONField(default=dict, blank=True)
    drift = models.JSONField(default=list, blank=True)
    drifted_at = models.DateTimeField(null=True, blank=True)
    gone_at = models.DateTimeField(null=True, blank=True)
    changing_until = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["number", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "sid"], name="phone_number_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "number", "id"], name="phone_numbers_listed")
        ]

    def __str__(self) -> str:
        return self.number


class NumberWatch(models.Model):
    """When a connection's numbers are compared with Twilio's next. due_at: also a worker's lease.

    listed_at: the last time that Twilio listed them. failures: tries since then. error: what the
    last try noted in the connection's check_error. calls_due_at: when calls to these numbers are
    looked for next of which nobody told us; a lease too.
    """

    connection = models.OneToOneField(
        TwilioConnection, on_delete=models.CASCADE, primary_key=True, related_name="number_watch"
    )
    due_at = models.DateTimeField(db_index=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")
    calls_due_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"numbers of {self.connection_id}"


class Turn(models.Model):
    """What one side said between two changes of speaker.

    stream_sid and index name it: a call whose stream was replaced has turns of both streams.
    stages_ms: the parts of the gap before an answer, in ms, see ``stages``; they add up to the gap,
    which is answer_ms again, in whole ms, for what is asked of many turns.
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
    answer_ms = models.PositiveIntegerField(null=True, blank=True)
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
        indexes: ClassVar = [
            models.Index(
                fields=["call", "answer_ms"],
                condition=models.Q(answer_ms__isnull=False),
                name="turns_that_answer",
            )
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.index}"

    @property
    def stages(self) -> dict[str, float]:
        """The parts of the gap in their order, which PostgreSQL does not keep."""
        known = [name for name in (*STAGES, *LAST_STAGES) if name in self.stages_ms]
        return {name: self.stages_ms[name] for name in (*known, *self.stages_ms)}

    @property
    def latency_ms(self) -> float | None:
        """From the end of the caller's speech to the first sound of this answer, in ms."""
        return round(sum(self.stages_ms.values()), 1) if self.stages_ms else None


class CallEvent(models.Model):
    """Something else that happened in a call."""

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        indexes: ClassVar = [
            models.Index(fields=["call", "at"], name="events_of_call"),
            models.Index(fields=["kind", "at"], name="events_by_kind"),
        ]

    def __str__(self) -> str:
        return self.kind


# Where Django looks for an app's models.
from apps.calls.recordings.models import Recording, RecordingSegment  # noqa: E402
from apps.calls.statistics.models import AccountHour, CountedHour  # noqa: E402

__all__ = (
    "AccountHour",
    "Call",
    "CallEvent",
    "CountedHour",
    "GatewayProcess",
    "PhoneNumber",
    "Recording",
    "RecordingSegment",
    "StreamPass",
    "Transfer",
    "Turn",
    "TwilioCallback",
    "call_id",
)
