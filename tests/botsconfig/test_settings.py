"""Settings and their example stay in step."""

from __future__ import annotations

import ast
import io
import os
import re
from pathlib import Path

import pytest
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]
# Says where the example's copy lies, so it cannot stand in it.
NOT_IN_A_FILE = {"ENV_FILE"}


# Providers know nothing of Django, so these ask the environment themselves.
READERS = ("botsconfig/settings.py", "apps/providers/local_gguf.py", "apps/providers/guard.py")


def _read() -> set[str]:
    """The names that the environment is asked for."""
    trees = [ast.walk(ast.parse((ROOT / path).read_text())) for path in READERS]
    nodes = [node for tree in trees for node in tree]
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.args]
    readers = {"_text", "_texts", "_mapping", "_aliases", "_prices", "bool", "get", "str", "int"}
    names = [
        call.args[0].value
        for call in calls
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in readers
        and isinstance(call.args[0], ast.Constant)
    ]
    return {name for name in names if isinstance(name, str) and name.isupper()} - NOT_IN_A_FILE


def test_every_name_stands_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^([A-Z0-9_]+)=", example, re.MULTILINE)) == _read()


def test_the_stream_url_is_the_wss_twin() -> None:
    assert settings.PUBLIC_URL == "https://voice.example.com"
    assert settings.STREAM_URL == "wss://voice.example.com/media/twilio"


def test_models_and_migrations_agree(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, stdout=io.StringIO())


@pytest.mark.skipif(not os.environ.get("REDIS_URL"), reason="of the Redis channel layer")
def test_redis_is_given_longer_to_answer_than_the_channel_layer_waits() -> None:
    layer = get_channel_layer()
    assert layer.hosts[0]["socket_timeout"] > layer.brpop_timeout
