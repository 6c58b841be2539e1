"""The base of our tables, and the one table that the core has itself."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from django.db import models

from apps.core.fields import EncryptedTextField


class BaseModel(models.Model):
    """A row with a random id and its times, in UTC."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class ImmutableError(TypeError):
    """Something tried to change or remove what is history."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows that may be read and created."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise ImmutableError(f"A row of {self.model.__name__} cannot be changed.")

    def delete(self) -> NoReturn:
        raise ImmutableError(f"A row of {self.model.__name__} cannot be deleted.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError(f"A row of {self.model.__name__} cannot be changed.")


class AppendOnly(models.Model):
    """A row that is written once."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise ImmutableError(f"A row of {type(self).__name__} cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ImmutableError(f"A row of {type(self).__name__} cannot be deleted.")


class IdempotentAnswer(models.Model):
    """The answer to a POST with an Idempotency-Key, or the note that somebody is at work on it.

    id: the attempt; whoever takes over from a crashed one writes a row of its own. scope: whose
    key it is. fingerprint: SHA-256 of the request, in hex. body: encrypted, because an answer may
    hold what is shown once.
    """

    class State(models.TextChoices):
        IN_FLIGHT = "in-flight"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State.choices, default=State.IN_FLIGHT)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = EncryptedTextField(blank=True, default="")
    created_at = models.DateTimeField(db_index=True)
    leased_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("scope", "key"), name="idempotent_answer_once"),
            models.CheckConstraint(
                condition=models.Q(state="in-flight", status=None)
                | models.Q(state="done", status__isnull=False),
                name="idempotent_answer_has_status",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.state}"
