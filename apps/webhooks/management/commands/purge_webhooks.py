"""Removes old events now; workers do so every hour."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.webhooks.retention import events_purge


class Command(BaseCommand):
    help = "Remove outgoing events older than WEBHOOK_LOG_DAYS, and the log of their deliveries."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{events_purge(now=timezone.now())} removed")
