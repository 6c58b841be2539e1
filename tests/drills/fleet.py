"""Gateways and workers as a machine runs them: they share a port, and whoever dies is replaced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[2]
SERVER = os.environ.get("DRILLS_DATABASE_SERVER", "postgres://postgres@127.0.0.1:5432")
REDIS = os.environ.get("DRILLS_REDIS", "redis://127.0.0.1:6379")
PATIENCE_S = 60.0

Role = Literal["gateway", "worker"]


@dataclass(slots=True)
class Member:
    """One place in the fleet, and the process that holds it now."""

    role: Role
    process: subprocess.Popen[bytes]
    born: float = field(default_factory=time.monotonic)


class Fleet:
    """Starts its members, replaces those that die, and ends them all.

    down_s: how long a place stays empty, as a supervisor waits before it starts another.
    """

    def __init__(
        self, *, gateways: int, workers: int, environment: Mapping[str, str], down_s: float = 0.5
    ) -> None:
        self.environment = {**os.environ, **environment}
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])
        self.environment["PUBLIC_URL"] = self.url
        self._down_s = down_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._roles = [*_places("gateway", gateways), *_places("worker", workers)]
        self.members: list[Member] = []
        self.kills: list[tuple[Role, float]] = []
        self._keeper = threading.Thread(target=self._keep, name="keeper")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> str:
        """Run a command of the product's and return what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode()

    def start(self) -> None:
        """Migrate, start everybody, and wait until they are ready."""
        self.manage("migrate", "-v0")
        self.members = [Member(role, self._spawn(role)) for role in self._roles]
        self._keeper.start()
        until = time.monotonic() + PATIENCE_S
        while self.ask("GET", "/readyz", patience_s=PATIENCE_S)[0] != 200:
            if time.monotonic() > until:
                raise TimeoutError("the fleet is not ready")
            time.sleep(0.1)

    def living(self, role: Role) -> list[Member]:
        with self._lock:
            return [one for one in self.members if one.role == role and one.process.poll() is None]

    def kill(self, member: Member, *, gently: bool = False) -> None:
        """Kill a process with SIGKILL; gently: ask it to stop, as a deployment does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(member.process.pid, signal.SIGTERM if gently else signal.SIGKILL)
        self.kills.append((member.role, time.monotonic()))

    def await_gateways(self) -> None:
        """Wait until every gateway's place is filled by a process that says it lives."""
        since = datetime.now(UTC)
        wanted = self._roles.count("gateway")
        asked = "SELECT count(*) FROM calls_gatewayprocess WHERE beat_at > %s"
        until = time.monotonic() + PATIENCE_S
        with database_of(self) as database:
            while True:
                found = database.execute(asked, [since]).fetchone()
                if found and found[0] >= wanted:
                    return
                if time.monotonic() > until:
                    raise TimeoutError("a gateway is missing")
                time.sleep(0.1)

    def holder(self, local_ports: set[int]) -> Member | None:
        """Return the gateway that a connection from one of these ports ends at."""
        for member in self.living("gateway"):
            with contextlib.suppress(psutil.Error):
                for one in psutil.Process(member.process.pid).net_connections("tcp"):
                    if _port(one.raddr) in local_ports:
                        return member
        return None

    def ask(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        body: Any = None,
        patience_s: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Ask the REST API once. Returns status and body; an error of the line is an OSError."""
        told = {"Content-Type": "application/json", **(headers or {})}
        if key:
            told["Authorization"] = f"Bearer {key}"
        asked = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=told,
        )
        try:
            with urllib.request.urlopen(asked, timeout=patience_s) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read() or b"{}")

    def close(self) -> None:
        self._over.set()
        self._keeper.join()
        for member in self.members:
            member.process.terminate()
        for member in self.members:
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.process.wait(10)
            member.process.kill()
            member.process.wait()
        self._socket.close()

    def _spawn(self, role: Role) -> subprocess.Popen[bytes]:
        fd = self._socket.fileno()
        doing = ["serve", "--fd", str(fd)] if role == "gateway" else ["worker"]
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *doing],
            cwd=ROOT,
            env=self.environment,
            pass_fds=(fd,) if role == "gateway" else (),
        )

    def _keep(self) -> None:
        while not self._over.wait(0.05):
            for place, member in enumerate(self.members):
                if member.process.poll() is None or self._over.wait(self._down_s):
                    continue
                replaced = Member(member.role, self._spawn(member.role))
                with self._lock:
                    self.members[place] = replaced


def _places(role: Role, count: int) -> list[Role]:
    return [role] * count


def _port(address: Any) -> int:
    # A socket that listens has no other side.
    return int(address.port) if address else 0


@contextlib.contextmanager
def fleet_of(
    *, gateways: int, workers: int, environment: Mapping[str, str], down_s: float = 0.5
) -> Iterator[Fleet]:
    """Run a fleet on a database of its own, which is dropped in the end."""
    name = f"drill_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    usual = {
        "ENV_FILE": os.devnull,
        "DEBUG": "1",
        "WARM_UP": "0",
        "SECRET_KEY": "only-for-drills-" + "x" * 44,
        "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
        "DATABASE_URL": f"{SERVER}/{name}",
        "REDIS_URL": f"{REDIS}/5",
        "ENABLE_TEST_PROVIDERS": "1",
        "PRIVATE_ADDRESSES": "127.0.0.1",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        "RATE_LIMIT": "0",
    }
    fleet = Fleet(
        gateways=gateways, workers=workers, environment={**usual, **environment}, down_s=down_s
    )
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.close()
        with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def database_of(fleet: Fleet) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to the fleet's database, to look at what stands there."""
    return psycopg.connect(fleet.environment["DATABASE_URL"], autocommit=True)
