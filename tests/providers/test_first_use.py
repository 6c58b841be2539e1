"""A vendor's SDK is imported when a call first needs it, and by nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.providers import connections
from apps.voice.ports import ProviderError

SDKS = frozenset({"openai", "anthropic", "aiobotocore", "botocore", "google.cloud", "grpc"})
PROGRAM = """
import json, sys
import botsconfig.asgi
from apps.gateway import building
from apps.providers import registry
print(json.dumps(sorted(sys.modules)))
"""


def test_a_server_that_uses_no_vendor_imports_no_vendors_sdk() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "botsconfig.settings"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        env=environment,
        check=True,
        capture_output=True,
    )
    assert SDKS.isdisjoint(json.loads(ran.stdout.splitlines()[-1]))


async def test_a_missing_sdk_is_told_with_the_extra_that_brings_it() -> None:
    with pytest.raises(ProviderError) as told:
        await connections.sdk("acme", "acme_sdk_that_nobody_has", "acme")
    assert told.value.reason == "missing_extra"
    assert "pip install 'botsconfig[acme]'" in told.value.message
