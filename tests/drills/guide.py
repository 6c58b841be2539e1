"""Follows docs/phones.md as it is written: the product and the simulator, and every block of shell.

    .venv/bin/python -m tests.drills.guide [--page docs/phones.md] [--port 8000] [--without-npm]

Blocks marked ``sh`` run one after the other in one shell that stops at the first failure; what they
print is shown. Ports 8080 and 8081 are the simulator's, as the page says. Needs curl and jq, and
npm for twilio-cli.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "phones.md")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--without-npm", action="store_true", help="leave out twilio-cli")
    asked = parser.parse_args()
    blocks = _BLOCK.findall(asked.page.read_text())
    if asked.without_npm:
        blocks = [block for block in blocks if "twilio-cli" not in block and "cli/" not in block]
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder), asked.port) as told:
        failed = _follow(blocks, told, Path(folder))
    if failed:
        sys.exit(f"{asked.page.name}: a command failed.")
    print(f"{asked.page.name}: {len(blocks)} blocks, as written")


def _follow(blocks: list[str], told: Mapping[str, str], folder: Path) -> int:
    script = "set -euo pipefail\n" + "\n".join(
        f"echo '--- {number}'\n{block}" for number, block in enumerate(blocks, start=1)
    )
    return subprocess.run(["bash", "-c", script], cwd=folder, env={**os.environ, **told}).returncode


@contextlib.contextmanager
def _running(folder: Path, port: int) -> Iterator[dict[str, str]]:
    """Run both in a folder of their own; yields what they have printed, as variables."""
    state = folder / "var" / "simulator"
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DEBUG": "1",
        "SECRET_KEY": "only-for-guides-" + "x" * 44,
        "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "PORT": str(port),
        "TWILIO_API_URL": "http://127.0.0.1:8080",
    }
    manage = [sys.executable, str(ROOT / "manage.py")]
    with (
        _process([*manage, "run_simulator", "--state", str(state)], environment),
        _process([*manage, "start", "--port", str(port)], environment),
    ):
        _await(f"http://127.0.0.1:{port}/readyz")
        _await("http://127.0.0.1:8080/_simulator")
        made = subprocess.run(
            [*manage, "createaccount", "Guide", "--json"],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
        )
        credentials = json.loads((state / "credentials.json").read_text())
        yield {
            "API": f"http://127.0.0.1:{port}",
            "KEY": json.loads(made.stdout)["api_key"],
            "TWILIO_ACCOUNT_SID": _found(credentials, "AC"),
            "TWILIO_AUTH_TOKEN": credentials["auth_token"],
        }


def _found(credentials: Mapping[str, Any], prefix: str) -> str:
    return next(str(one) for one in credentials.values() if str(one).startswith(prefix))


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _await(url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
