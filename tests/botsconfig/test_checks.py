"""System checks name what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from pytest_django import Settings

from botsconfig import checks

ROOT = Path(__file__).resolve().parents[2]
KEY = Fernet.generate_key().decode()
PRODUCTION = {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "aB3-xyz" * 10,
    "ENCRYPTION_KEYS": KEY,
    "PUBLIC_URL": "https://voice.example.com",
    "ALLOWED_HOSTS": "voice.example.com",
    "PATH": os.environ["PATH"],
}


def _ids() -> set[str]:
    return {found.id or "" for found in run_checks()}


def _check(*args: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "check", *args],
        cwd=ROOT,
        env={**PRODUCTION, **changes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tests_own_environment_is_fine(db: None) -> None:
    assert not {found for found in _ids() if found.startswith("botsconfig.E")}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "", "botsconfig.E001"),
        ("ENCRYPTION_KEYS", [], "botsconfig.E002"),
        ("ENCRYPTION_KEYS", [KEY, "short"], "botsconfig.E003"),
        ("PUBLIC_URL", "voice.example.com", "botsconfig.E004"),
        ("PUBLIC_URL", "https://voice.example.com/path", "botsconfig.E004"),
        ("PUBLIC_URL", "https://voice.example.com#top", "botsconfig.E004"),
        ("PUBLIC_URL", "wss://voice.example.com", "botsconfig.E004"),
        ("PUBLIC_URL", "http://voice.example.com", "botsconfig.E005"),
        ("PUBLIC_URL", "https://voice_1.example.com", "botsconfig.E013"),
        ("PUBLIC_URL", "https://localhost:8000", "botsconfig.W003"),
        ("PUBLIC_URL", "https://192.168.0.7", "botsconfig.W003"),
        ("PUBLIC_URL", "https://[::1]:8443", "botsconfig.W003"),
        ("PUBLIC_URL", "https://gateway", "botsconfig.W003"),
        ("RATE_LIMIT", "600", "botsconfig.E007"),
        ("AUTH_FAILURE_LIMIT", "lots", "botsconfig.E007"),
        ("PROVIDER_API_URLS", {"openai": "proxy.example.com"}, "botsconfig.E008"),
        ("PROVIDER_API_URLS", {"openai": "https://[proxy"}, "botsconfig.E008"),
        ("PROVIDER_API_URLS", {"nobody": "https://proxy.example.com"}, "botsconfig.E008"),
        ("PRICES", {"llm/openai/gpt-5-mini": {"words": 1}}, "botsconfig.E010"),
        ("PRICES", {"gpt-5-mini": {"prompt": 1}}, "botsconfig.E010"),
    ],
)
def test_a_bad_value_has_its_id(
    settings: Settings, db: None, name: str, value: object, expected: str
) -> None:
    setattr(settings, name, value)
    assert expected in _ids()


def test_plain_http_is_fine_while_debugging(settings: Settings, db: None) -> None:
    settings.DEBUG = True
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert "botsconfig.E005" not in _ids()


@pytest.mark.parametrize(
    "url", ["https://voice.example.com", "https://voice.example.com:8443", "https://1.1.1.1"]
)
def test_an_address_that_the_internet_knows_is_fine(settings: Settings, db: None, url: str) -> None:
    settings.PUBLIC_URL = url
    assert not _ids() & {"botsconfig.E004", "botsconfig.E005", "botsconfig.E013", "botsconfig.W003"}


def test_a_missing_websocket_library_is_named(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(checks, "WEBSOCKET_LIBRARY", "no_such_package")
    assert "botsconfig.E006" in _ids()


def test_a_providers_origin_may_be_another(settings: Settings, db: None) -> None:
    settings.PROVIDER_API_URLS = {"openai": "https://proxy.example.com"}
    assert "botsconfig.E007" not in _ids()


@pytest.mark.parametrize("value", ["{", "[]", '{"openai": 7}'])
def test_what_is_no_object_of_texts_stops_the_start(value: str) -> None:
    done = _check(PROVIDER_API_URLS=value)
    assert done.returncode != 0
    assert "PROVIDER_API_URLS is no JSON object" in done.stderr


@pytest.mark.parametrize("value", ["{", "[]", '{"llm/openai/gpt-5": 7}'])
def test_what_is_no_object_of_prices_stops_the_start(value: str) -> None:
    done = _check(PRICES=value)
    assert done.returncode != 0
    assert "PRICES is no JSON object" in done.stderr


def test_the_operators_own_prices_pass() -> None:
    done = _check(PRICES='{"llm/openai/gpt-5-mini": {"prompt": 0.25, "completion": 2}}')
    assert done.returncode == 0, done.stderr


def test_a_broken_key_is_not_printed(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = ["not-a-real-key"]
    (found,) = checks.encryption_keys_work(None)
    assert "not-a-real-key" not in str(found)


def test_production_settings_pass_the_deployment_check() -> None:
    done = _check("--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_missing_secrets_are_named_before_anything_starts() -> None:
    done = _check(SECRET_KEY="", ENCRYPTION_KEYS="")
    assert done.returncode == 1
    assert "botsconfig.E001" in done.stderr
    assert "botsconfig.E002" in done.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(KEY + "\n")
    assert _check(ENCRYPTION_KEYS="", ENCRYPTION_KEYS_FILE=str(path)).returncode == 0


def test_a_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    done = _check(ENCRYPTION_KEYS_FILE=str(tmp_path / "missing"))
    assert done.returncode != 0
    assert "FileNotFoundError" in done.stderr


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", set()),
        ("127.0.0.1, 10.2.0.0/16", set()),
        ("10.2.0.1/16", {"botsconfig.E009"}),
        ("intranet", {"botsconfig.E009"}),
        ("all", {"botsconfig.W002"}),
    ],
)
def test_private_addresses_are_networks(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: set[str]
) -> None:
    monkeypatch.setenv("PRIVATE_ADDRESSES", value)
    found = checks.private_addresses_are_networks(None)
    assert {one.id for one in found} == expected


def test_a_place_for_recordings_that_is_none_is_named(settings: Settings) -> None:
    assert not {"botsconfig.E011", "botsconfig.E012"} & _ids()
    settings.RECORDINGS_STORAGE = "tape"
    assert "botsconfig.E011" in _ids()
    settings.RECORDINGS_STORAGE = "s3"
    assert "botsconfig.E012" in _ids()
    settings.RECORDINGS_S3_BUCKET = "recordings"
    assert "botsconfig.E012" not in _ids()
