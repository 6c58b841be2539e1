"""Brings every encrypted column under the first of ENCRYPTION_KEYS, so that old keys can go.

Only ciphertexts change, never what they hold: so this may write to rows that are history, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast

from apps.core.crypto import DecryptionError, reencrypt
from apps.core.fields import EncryptedJSONField, EncryptedTextField

BATCH = 500


# A column's name -> what the database holds in it, or what shall stand there.
Columns = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Within:
    """Ciphertexts within a JSON column of a library's own table: members of the object in it."""

    model: str
    column: str
    members: tuple[str, ...]


# What the codes of second factors are made from; see apps.dashboard.login.SecondFactors.
WITHIN = (Within("mfa.Authenticator", "data", ("secret", "seed")),)


@dataclass(slots=True)
class Table:
    """What became of one table's rows. unreadable: ids of those that fit no key."""

    name: str
    rows: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)


def tables_reencrypt(*, dry_run: bool, batch: int = BATCH) -> Iterator[Table]:
    """Re-encrypt, yielding the table's state after every batch.

    Rows under the first key are left alone, so a run that was cut short goes on where it was, and
    a second one changes nothing. Each batch is a transaction that locks its rows: a writer waits
    rather than being overwritten. dry_run: count only.
    """
    for model in apps.get_models():
        columns = _encrypted(model)
        if columns and model._meta.managed and not model._meta.proxy:
            # Cast, because the field itself would hand out what is inside.
            stored = {name: Cast(F(name), models.TextField()) for name in columns}
            yield from _Run(model, stored, _texts_anew, dry_run).batches(batch)
    for place in WITHIN:
        model = apps.get_model(place.model)
        within = {place.column: F(place.column)}
        yield from _Run(model, within, _members_anew(place), dry_run).batches(batch)


def _encrypted(model: type[models.Model]) -> list[str]:
    sealed = (EncryptedTextField, EncryptedJSONField)
    return [
        found.attname for found in model._meta.local_concrete_fields if isinstance(found, sealed)
    ]


def _texts_anew(stored: Columns) -> Columns:
    """Return the columns that change. Raises DecryptionError."""
    anew = {name: reencrypt(text) for name, text in stored.items() if text}
    # As plain texts: the field would encrypt them once more.
    return {
        name: Value(text, output_field=models.TextField())
        for name, text in anew.items()
        if text is not None
    }


def _members_anew(place: Within) -> Callable[[Columns], Columns]:
    def members_anew(stored: Columns) -> Columns:
        whole = stored[place.column]
        anew = {name: reencrypt(whole[name]) for name in place.members if whole.get(name)}
        changed = {name: text for name, text in anew.items() if text is not None}
        return {place.column: {**whole, **changed}} if changed else {}

    return members_anew


@dataclass(slots=True)
class _Run:
    """One table's run. stored: how each column is read. anew: from a row's, those that change."""

    model: type[models.Model]
    stored: Mapping[str, Any]
    anew: Callable[[Columns], Columns]
    dry_run: bool

    def batches(self, size: int) -> Iterator[Table]:
        table, after = Table(self.model._meta.db_table), None
        while True:
            with transaction.atomic():
                rows = self._rows(after, size)
                for pk, *values in rows:
                    self._row(table, pk, dict(zip(self.stored, values, strict=True)))
            yield table
            if len(rows) < size:
                return
            after = rows[-1][0]

    def _rows(self, after: Any, size: int) -> list[tuple[Any, ...]]:
        # The base manager: rows that are history refuse changes through their own.
        rows = self.model._base_manager.select_for_update().order_by("pk")
        if after is not None:
            rows = rows.filter(pk__gt=after)
        raw = {f"{name}_stored": how for name, how in self.stored.items()}
        return list(rows.annotate(**raw).values_list("pk", *raw)[:size])

    def _row(self, table: Table, pk: Any, stored: Columns) -> None:
        table.rows += 1
        try:
            changes = self.anew(stored)
        except DecryptionError:
            table.unreadable.append(str(pk))
            return
        if changes:
            table.changed += 1
            if not self.dry_run:
                self.model._base_manager.filter(pk=pk).update(**changes)
