"""Works in the background: tasks that requests enqueued, and sweeps by the clock."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils.module_loading import autodiscover_modules

from apps.core import periodic

# One that hangs must not keep the others from running.
THREADS = 8


def scheduler_of(sweeps: list[periodic.Sweep]) -> BackgroundScheduler:
    """Run each sweep by its interval, never twice at once here, and once for what was missed."""
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(THREADS)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    now = datetime.now().astimezone()
    for number, sweep in enumerate(sweeps):
        # The first ones soon, for what a dead worker left behind; not all at the same moment.
        first = now + timedelta(seconds=min(sweep.every_s, 0.2 * number))
        scheduler.add_job(
            periodic.run,
            "interval",
            args=[sweep],
            seconds=sweep.every_s,
            id=sweep.name,
            next_run_time=first,
        )
    return scheduler


class Command(BaseCommand):
    help = "Run background tasks and sweeps. Run as many as you like, on as many machines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--list", action="store_true", help="list the sweeps and their intervals, and end"
        )
        parser.add_argument(
            "--interval", type=float, default=1.0, help="seconds between looks for tasks (1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        autodiscover_modules("sweeps")
        sweeps = periodic.sweeps()
        if options["list"]:
            for sweep in sweeps:
                self.stdout.write(f"{sweep.name}\tevery {sweep.every_s:g} s")
            return
        scheduler = scheduler_of(sweeps)
        scheduler.start()
        try:
            call_command("db_worker", reload=False, interval=options["interval"])
        finally:
            scheduler.shutdown(wait=False)
