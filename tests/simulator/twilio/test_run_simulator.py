"""The command as a process: what it prints, that it keeps its account, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import phonenumbers
import pytest
from django.conf import settings

from apps.simulator.management.commands._laptop import NEIGHBOURS, OURS, STRANGER


@contextmanager
def running(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run it until the block ends; yields its first line too."""
    command = [sys.executable, "manage.py", "run_simulator", "--state", str(folder), "--mute"]
    command += ["--port", "0", "--proxy-port", "-1", *options]
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DEBUG": "1",
        "SECRET_KEY": "x" * 60,
        "ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGU=",
    }
    process = subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(10) == 0
        process.stdout.close()


def test_it_keeps_its_account_and_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    for _ in range(2):
        with running(tmp_path, "--json") as (process, first):
            ready = json.loads(first)
            seen.append(ready)
            auth = (ready["key_sid"], ready["key_secret"])
            path = f"/2010-04-01/Accounts/{ready['account_sid']}/IncomingPhoneNumbers.json"
            page = httpx.get(ready["url"] + path, auth=auth).json()
            assert [one["phone_number"] for one in page["incoming_phone_numbers"]] == list(OURS)
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["kind"] == "request"
    assert seen[0]["account_sid"] == seen[1]["account_sid"]
    assert (tmp_path / "credentials.json").stat().st_mode & 0o077 == 0


def test_a_person_is_told_how_to_use_it(tmp_path: Path) -> None:
    with running(tmp_path) as (process, first):
        assert process.stdout is not None
        assert first.startswith("Twilio's stand-in answers at http://127.0.0.1:")
        process.stdout.readline()
        text = "".join(iter(process.stdout.readline, "\n"))
        assert "Account SID  AC" in text
        people = "".join(iter(process.stdout.readline, "\n"))
    assert [line.split()[0] for line in people.splitlines()[1:]] == [
        one.number for one in NEIGHBOURS
    ]


@pytest.mark.parametrize("number", [*OURS, STRANGER, *(one.number for one in NEIGHBOURS)])
def test_its_numbers_are_taken_for_real_ones(number: str) -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse(number))
