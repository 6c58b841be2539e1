"""Servers under measurement: each a process of its own, pinned to one core."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, LOAD_CORE = 0, 1
# Asked before anything is pinned: a child inherits what its parent was pinned to.
CORES = sorted(os.sched_getaffinity(0))
START_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    process: psutil.Process
    database: str = ""

    def cpu_s(self) -> float:
        """Return the seconds of CPU that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Return its resident memory."""
        return float(self.process.memory_info().rss) / 2**20

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())


@contextlib.contextmanager
def gateway_server(
    program: Sequence[str] | None = None,
    more: Mapping[str, str] | None = None,
    auth_token: str = "",
    restarts: Callable[[Server, dict[str, str]], None] | None = None,
) -> Iterator[tuple[Server, dict[str, str]]]:
    """Serve botsconfig on a database of its own; yields it and an account's id and key.

    program: arguments of Python that serve it otherwise than ``manage.py serve``; the port follows.
    restarts: work on a first server, which is then replaced by the one that is yielded.
    more: environment on top of the usual one. auth_token: the account's, of its Twilio project.
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = {
            **os.environ,
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-benchmarks-" + "x" * 40,
            "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
            "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{folder}/db.sqlite3",
            "PUBLIC_URL": "https://voice.example.com",
            "ALLOWED_HOSTS": "127.0.0.1",
            "ENABLE_TEST_PROVIDERS": "1",
            "TASKS_IMMEDIATE": "1",
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT": "0",
            "RECORDINGS_FOLDER": f"{folder}/recordings",
            "RECORDINGS_SPOOL": f"{folder}/spool",
            **(more or {}),
        }
        manage = [sys.executable, str(ROOT / "manage.py")]
        subprocess.run([*manage, "migrate", "-v0"], check=True, env=environment)
        made = subprocess.run(
            [*manage, "createaccount", "Benchmark", "--json", *_token(folder, auth_token)],
            check=True,
            env=environment,
            stdout=subprocess.PIPE,
        )
        serve = program or [str(ROOT / "manage.py"), "serve", "--port"]
        command = [sys.executable, *serve, str(port)]
        account: dict[str, str] = json.loads(made.stdout)
        if restarts is not None:
            with _running(command, environment, port) as server:
                restarts(server, account)
        with _running(command, environment, port) as server:
            found = replace(server, database=environment["DATABASE_URL"])
            yield found, account


def _token(folder: str, auth_token: str) -> list[str]:
    if not auth_token:
        return []
    file = Path(folder) / "token"
    file.write_text(auth_token)
    return ["--twilio-auth-token-file", str(file)]


@contextlib.contextmanager
def echo_server() -> Iterator[Server]:
    """Serve the yardstick: the same server, sending every frame back as it came."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.echo", str(port)]
    with _running(command, dict(os.environ), port) as server:
        yield server


def request(
    server: Server, method: str, path: str, *, key: str, body: Any = None
) -> dict[str, Any]:
    """Ask the REST API."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin(core: int) -> None:
    """Keep this process on one core, where there is more than one to choose from."""
    os.sched_setaffinity(0, {CORES[min(core, len(CORES) - 1)]})


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, preexec_fn=lambda: pin(SERVER_CORE)
    )
    try:
        _await(process, port)
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_PATIENCE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError("the server ended at its start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError("the server did not start")
