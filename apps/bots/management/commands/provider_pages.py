"""Writes docs/providers: a page for each provider, and an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.providers.pages import pages


class Command(BaseCommand):
    """Makes the pages anew; with --check says whether they are what the code says."""

    help = "Write docs/providers from the providers' declarations and prices."
    # It needs no database and no secrets.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; fail if stale.")
        parser.add_argument("--folder", type=Path, default=settings.BASE_DIR / "docs" / "providers")

    def handle(self, *args: Any, check: bool, folder: Path, **options: Any) -> None:
        made = pages()
        there = {path.name: path.read_text() for path in sorted(folder.glob("*.md"))}
        stale = sorted(name for name in {*made, *there} if made.get(name) != there.get(name))
        if check:
            if stale:
                raise CommandError(f"Stale: {', '.join(stale)}. Run manage.py provider_pages.")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for name in stale:
            if name in made:
                (folder / name).write_text(made[name])
            else:
                (folder / name).unlink()
        self.stdout.write(f"{len(made)} pages, {len(stale)} changed.")
