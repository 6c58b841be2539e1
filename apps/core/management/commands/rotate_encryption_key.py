"""Brings every stored secret under the first of ENCRYPTION_KEYS; then the others can go."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.reencryption import Table, tables_reencrypt


class Command(BaseCommand):
    help = (
        "Re-encrypt every stored secret with the first of ENCRYPTION_KEYS. Put the new key first, "
        "restart every process, run this, then drop the old key. It may be run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *args: Any, **options: Any) -> None:
        tables: dict[str, Table] = {}
        for table in tables_reencrypt(dry_run=options["dry_run"]):
            tables[table.name] = table
            self.stderr.write(f"{table.name}: {table.rows} rows, {table.changed} of them changed")
        if options["json"]:
            self.stdout.write(json.dumps(_report(tables.values(), dry_run=options["dry_run"])))
        else:
            self._say(tables.values(), dry_run=options["dry_run"])
        lost = sum(len(table.unreadable) for table in tables.values())
        if lost:
            raise CommandError(f"{lost} rows fit none of the ENCRYPTION_KEYS; keep the old keys.")

    def _say(self, tables: Any, *, dry_run: bool) -> None:
        for table in tables:
            for pk in table.unreadable:
                self.stdout.write(f"{table.name} {pk}: fits none of the keys")
        changed = sum(table.changed for table in tables)
        verb = "would be" if dry_run else "were"
        self.stdout.write(f"{changed} rows {verb} re-encrypted.")


def _report(tables: Any, *, dry_run: bool) -> dict[str, Any]:
    tables = list(tables)
    return {
        "dry_run": dry_run,
        "rows": sum(table.rows for table in tables),
        "changed": sum(table.changed for table in tables),
        "unreadable": [
            {"table": table.name, "id": pk} for table in tables for pk in table.unreadable
        ],
    }
