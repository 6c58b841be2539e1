"""Removes kept answers that are past their day. For cron, once a day."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.core.idempotency import answers_purge


class Command(BaseCommand):
    help = "Remove the answers of Idempotency-Keys older than 24 hours, in batches."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{answers_purge()} removed")
