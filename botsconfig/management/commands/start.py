"""What ``make run`` runs: migrations, the demo account, the task worker and the server."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from botsconfig.demo import demo_ensure, welcome
from botsconfig.management.commands.serve import server_config

WORKER_PATIENCE_S = 10
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Command(BaseCommand):
    help = "Migrate, make a demo account at the first start, and serve with a task worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        if not 0 < port < 65_536:
            raise CommandError("PORT is a number from 1 to 65535.")
        call_command("migrate", verbosity=0)
        demo = demo_ensure()
        server = Announced(server_config(host="127.0.0.1", port=port))
        server.announcement = welcome(demo, port=port)
        worker = self._worker()
        # uvicorn passes a signal on when it has shut down; by default this one would end the
        # process there and then, and leave the worker behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            server.run()
        except KeyboardInterrupt:
            pass  # uvicorn has shut down by now and only passes the signal on
        finally:
            _end(worker)
        if not server.started:
            raise CommandError(f"The server did not start; is port {port} taken? PORT= changes it.")
        self.stdout.write("Stopped.")

    def _worker(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches this process alone, which ends the worker in turn.
        return subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"],
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


class Announced(uvicorn.Server):
    """Says that it is ready when it is."""

    announcement = ""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.announcement)
            sys.stdout.flush()


def _die_with_parent() -> None:
    """Have the worker ended if this process is killed; only Linux knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(WORKER_PATIENCE_S)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
