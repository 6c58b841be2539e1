"""Serves HTTP and media from one process, as measured: uvicorn, uvloop, sans-I/O WebSockets."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError
from uvicorn.supervisors import Multiprocess

from apps.gateway.protocol import MediaWebSocketProtocol

# A media message has 374 bytes; the gateway itself takes up to 96 kB.
LONGEST_MESSAGE = 128 * 1024
# Calls that still run at a stop are told so and closed; a second is enough for that.
GRACE_S = 5


def server_config(
    *, host: str, port: int, access_log: bool = False, fd: int | None = None, workers: int = 1
) -> uvicorn.Config:
    """Return how botsconfig is served, here and in benchmarks.

    fd: a socket that listens already, instead of host and port. workers: processes.
    """
    return uvicorn.Config(
        "botsconfig.asgi:application",
        host=host,
        port=port,
        fd=fd,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws=MediaWebSocketProtocol,
        ws_max_size=LONGEST_MESSAGE,
        # Twilio offers no compression, and it would cost more than it saves.
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=access_log,
        timeout_graceful_shutdown=GRACE_S,
    )


class Command(BaseCommand):
    help = "Serve HTTP and media."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--fd",
            type=int,
            help="serve on this descriptor, which listens already: several processes share a port, "
            "and one that is replaced refuses no caller",
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            help="processes that share the port; the calls of one that dies go on in another; "
            "controlling live calls then needs REDIS_URL (1)",
        )
        parser.add_argument("--access-log", action="store_true", help="log every request")

    def handle(self, *args: Any, **options: Any) -> None:
        config = server_config(
            host=options["host"],
            port=options["port"],
            access_log=options["access_log"],
            fd=options["fd"],
            workers=options["workers"],
        )
        if options["workers"] < 1:
            raise CommandError("--workers is 1 or more.")
        if options["workers"] == 1:
            uvicorn.Server(config).run()
            return
        # It starts a process anew that died, and on SIGHUP all of them, one after the other.
        Multiprocess(config, sockets=[config.bind_socket()]).run()
