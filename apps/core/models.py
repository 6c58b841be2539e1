"""The base of our tables."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from django.db import models


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
