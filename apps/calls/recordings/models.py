"""A call's recording, and the streams that it is made of. The sound itself lies in a storage."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Recording(models.Model):
    """The recording of one call: its streams one behind the other, silence for what is between.

    path: its name in the storage; empty before it is ready, and once it is erased. parts: how many
    streams are in it. is_partial: some of the call is missing, for a gateway died or its disk was
    full. ready_at: when it became what it is now. peaks: see ``recordings.peaks``; null before
    somebody has looked.
    """

    class Status(models.TextChoices):
        RECORDING = "recording"
        PROCESSING = "processing"
        READY = "ready"
        FAILED = "failed"
        DELETED = "deleted"

    # The call may be over while these still wait for something.
    PENDING = (Status.RECORDING, Status.PROCESSING)

    call = models.OneToOneField(
        "calls.Call", on_delete=models.CASCADE, primary_key=True, related_name="recording"
    )
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.RECORDING)
    started_at = models.DateTimeField()
    duration_s = models.FloatField(null=True, blank=True)
    bytes = models.BigIntegerField(null=True, blank=True)
    is_partial = models.BooleanField(default=False)
    parts = models.PositiveSmallIntegerField(default=0)
    path = models.CharField(max_length=300, blank=True, default="")
    ready_at = models.DateTimeField(null=True, blank=True)
    peaks = models.BinaryField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["started_at"],
                condition=models.Q(status__in=["recording", "processing"]),
                name="recordings_pending",
            ),
            models.Index(
                fields=["ready_at"],
                condition=models.Q(status="ready"),
                name="recordings_ready",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.call_id} {self.status}"


class RecordingSegment(models.Model):
    """One stream of a recording. started_at: by the wall clock of the gateway that held it.

    stored_at: when it came into the storage; null while it is spooled on that gateway's disk.
    """

    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="segments")
    stream_sid = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    duration_s = models.FloatField(default=0)
    is_partial = models.BooleanField(default=False)
    path = models.CharField(max_length=300, blank=True, default="")
    stored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["started_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["recording", "stream_sid"], name="recording_segment_once_a_stream"
            )
        ]

    def __str__(self) -> str:
        return self.stream_sid
