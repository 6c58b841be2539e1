"""Brings every encrypted column under the first of ENCRYPTION_KEYS, so that old keys can go.

Only ciphertexts change, never what they hold: so this may write to rows that are history, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import F, Value
from django.db.models.functions import Cast

from apps.core.crypto import DecryptionError, reencrypt
from apps.core.fields import EncryptedJSONField, EncryptedTextField

BATCH = 500


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
            yield from _table(model, columns, dry_run, batch)


def _encrypted(model: type[models.Model]) -> list[str]:
    sealed = (EncryptedTextField, EncryptedJSONField)
    return [
        found.attname for found in model._meta.local_concrete_fields if isinstance(found, sealed)
    ]


def _table(
    model: type[models.Model], columns: Sequence[str], dry_run: bool, batch: int
) -> Iterator[Table]:
    table, after = Table(model._meta.db_table), None
    while True:
        with transaction.atomic():
            rows = _batch(model, columns, after, batch)
            for pk, *stored in rows:
                _row(table, model, pk, dict(zip(columns, stored, strict=True)), dry_run)
        yield table
        if len(rows) < batch:
            return
        after = rows[-1][0]


def _batch(
    model: type[models.Model], columns: Sequence[str], after: Any, batch: int
) -> list[tuple[Any, ...]]:
    # The base manager: rows that are history refuse changes through their own. Cast, because the
    # field itself would hand out what is inside.
    rows = model._base_manager.select_for_update().order_by("pk")
    if after is not None:
        rows = rows.filter(pk__gt=after)
    raw = {f"{name}_stored": Cast(F(name), models.TextField()) for name in columns}
    return list(rows.annotate(**raw).values_list("pk", *raw)[:batch])


def _row(
    table: Table, model: type[models.Model], pk: Any, stored: dict[str, str | None], dry_run: bool
) -> None:
    table.rows += 1
    try:
        anew = {name: reencrypt(text) for name, text in stored.items() if text}
    except DecryptionError:
        table.unreadable.append(str(pk))
        return
    # As plain texts: the field would encrypt them once more.
    changes = {
        name: Value(text, output_field=models.TextField())
        for name, text in anew.items()
        if text is not None
    }
    if changes:
        table.changed += 1
        if not dry_run:
            model._base_manager.filter(pk=pk).update(**changes)
