"""A vendor's SDK is imported when a call first needs it, and by nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig as Config
from apps.bots.selectors import providers_in_use
from apps.bots.services import Write, config_delete
from apps.providers import connections
from apps.voice.ports import ProviderError
from tests.support.sdks import SDKS

PROGRAM = """
import json, sys
import botsconfig.asgi
from apps.gateway import building
from apps.providers import registry
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(program: str) -> set[str]:
    """Run a program that prints its modules, in a fresh process."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "botsconfig.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=environment,
        check=True,
        capture_output=True,
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_a_server_that_uses_no_vendor_imports_no_vendors_sdk() -> None:
    assert SDKS.isdisjoint(modules_after(PROGRAM))


IMPORTING = """
import json, sys
import botsconfig.asgi
from apps.providers import registry
registry.import_ahead([("llm", "custom_llm"), ("tts", "scripted"), ("stt", "unknown")])
print(json.dumps(sorted(sys.modules)))
"""


def test_a_server_imports_ahead_what_its_bots_use_and_nothing_else() -> None:
    assert SDKS & modules_after(IMPORTING) == {"openai"}


@pytest.mark.django_db
def test_the_providers_in_use_are_those_of_live_bots(account: Account, config: Config) -> None:
    assert providers_in_use() == {("stt", "scripted"), ("llm", "scripted"), ("tts", "scripted")}
    config_delete(Write(account, config.id, Actor()))
    assert providers_in_use() == set()


async def test_a_missing_sdk_is_told_with_the_extra_that_brings_it() -> None:
    with pytest.raises(ProviderError) as told:
        await connections.sdk("acme", "acme_sdk_that_nobody_has", "acme")
    assert told.value.reason == "missing_extra"
    assert "pip install 'botsconfig[acme]'" in told.value.message
