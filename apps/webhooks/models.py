"""Endpoints, events, and the outbox between them: a delivery for each event and endpoint."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from apps.accounts.models import Account
from apps.core.fields import EncryptedTextField
from apps.core.models import BaseModel


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def owned_by(self, account: Account) -> EndpointQuerySet:
        return self.filter(account=account)


class Endpoint(BaseModel):
    """Where an account's events go.

    kinds: what is sent; empty is everything. secret: ``whsec_`` and base64; previous_secret signs
    beside it until previous_secret_until. disabled_reason: who disabled it.
    """

    class Disabled(models.TextChoices):
        NOT = "", "not disabled"
        REQUEST = "request", "by a request"
        GONE = "gone", "it answered 410"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="endpoints")
    url = models.CharField(max_length=2_000)
    description = models.CharField(max_length=500, blank=True, default="")
    kinds = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(
        max_length=8, choices=Disabled.choices, blank=True, default=""
    )
    secret = EncryptedTextField()
    previous_secret = EncryptedTextField(blank=True, default="")
    previous_secret_until = models.DateTimeField(null=True, blank=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at", "-id"], name="endpoints_newest")
        ]

    def __str__(self) -> str:
        return self.url


class Event(models.Model):
    """Something that happened, as it is told to every endpoint. Never changed.

    id: random, or made of the fact's account, kind and key, so that a fact has one event.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=40)
    data = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            # For replays of a time, and for the purge.
            models.Index(fields=["account", "created_at", "id"], name="events_of_account"),
            models.Index(fields=["created_at"], name="events_by_age"),
        ]

    def __str__(self) -> str:
        return self.kind


class Delivery(models.Model):
    """One event for one endpoint.

    due_at: when it is tried next; while it is being tried (sending), when its lease ends and
    another worker may take it. attempts: how many were begun, ever; the number of the one under
    way, by which its end knows that the lease is still its own. tries: those since created or last
    replayed. last_status, last_error: of the latest attempt.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        SENDING = "sending"
        DELIVERED = "delivered"
        DEAD = "dead"

    OPEN: ClassVar = (Status.PENDING, Status.SENDING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="delivery_once")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(status__in=("pending", "sending")),
                name="deliveries_due",
            ),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="deliveries_newest"),
            models.Index(
                fields=["endpoint", "status", "-created_at", "-id"], name="deliveries_status"
            ),
            models.Index(fields=["endpoint", "kind", "-created_at", "-id"], name="deliveries_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status}"


class DeliveryAttempt(models.Model):
    """One request. status: null where no answer came. answer: its first characters."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=16, blank=True, default="")
    info = models.CharField(max_length=200, blank=True, default="")
    answer = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering: ClassVar = ["number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "number"], name="attempt_once")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"
