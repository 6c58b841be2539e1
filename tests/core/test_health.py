"""Alive and ready."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from apps.core import health
from apps.core.health import _all_migrated


def test_it_is_alive_without_a_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready(client: Client, db: None) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert {"database", "migrations", "channel_layer"} <= answer.json()["checks"].keys()


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/"])
def test_a_trailing_slash_is_no_redirect(client: Client, db: None, path: str) -> None:
    assert client.get(path).status_code == 200


def test_reversed_paths_have_no_trailing_slash() -> None:
    assert reverse("healthz") == "/healthz"


def test_a_probe_of_another_app_can_take_it_out(client: Client, db: None) -> None:
    health.register("draining", lambda: "draining")
    try:
        answer = client.get("/readyz")
    finally:
        health.unregister("draining")
    assert answer.status_code == 503
    assert answer.json()["checks"]["draining"] == "draining"


def test_a_probe_that_dies_says_of_what_kind_only(client: Client, db: None) -> None:
    def dies() -> str:
        raise ConnectionError("redis://user:password@host")

    health.register("broken", dies)
    try:
        answer = client.get("/readyz")
    finally:
        health.unregister("broken")
    assert answer.json()["checks"]["broken"] == "failed: ConnectionError"


@pytest.mark.django_db(transaction=True)
def test_a_missing_migration_keeps_it_from_being_ready(client: Client) -> None:
    _all_migrated.cache_clear()
    call_command("migrate", "bots", "zero", fake=True, verbosity=0)
    try:
        answer = client.get("/readyz")
    finally:
        call_command("migrate", fake=True, verbosity=0)
    assert answer.status_code == 503
    assert "not applied" in answer.json()["checks"]["migrations"]
