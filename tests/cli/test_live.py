"""The command line against the server itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.accounts.services import account_create, api_key_create
from apps.bots.models import TwilioConfig
from apps.cli.errors import Exit
from tests.calls.test_calls_api import NOW, make_call
from tests.cli.conftest import Shell, Write

FULL = """
name: Front desk
metadata: {slug: front, team: ops}
max_duration: "900"
config:
  llm:
    provider: scripted
    messages:
      - {role: system, content: "You are\\nthe front desk."}
      - {role: user, content: Hello}
    tools:
      - name: hours
      - {name: book, parameters: {type: object, properties: {day: {type: string}}}}
  tts: {provider: scripted, language: de}
  stt: {provider: scripted}
  turns: {stop_secs: 0.8, interruptible: "false"}
  greeting: {mode: text, text: Welcome.}
  lines: {idle: "Are you there?"}
webhook_tools:
  hours: {url: "https://t.example.com/hours", custom_headers: {X-Key: "${HOURS_KEY}"}}
api_keys: {openai: "${OPENAI_KEY}"}
"""
BACK = "name: Back\nmetadata: {slug: back}\nconfig: {llm: {prompt: Hello.}}\n"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hotel(shell: Shell, live_server: Any) -> Account:
    """An account on a real server, to which the shell has a key."""
    account = account_create(name="Hotel")
    _, secret = api_key_create(account=account)
    shell.environ |= {"BOTSCONFIG_URL": live_server.url, "BOTSCONFIG_KEY": secret}
    shell.environ |= {"HOURS_KEY": "hours-secret", "OPENAI_KEY": "sk-openai"}
    return account


def test_a_bot_from_creation_to_deletion(shell: Shell, hotel: Account, write: Write) -> None:
    file = write("front.yaml", FULL)
    made = shell("config", "create", "-f", file, "--json").json
    id = made["id"]
    assert made["max_duration"] == 900
    assert id in shell("config", "list").out
    assert "<Response>" in shell("config", "get", id).out
    patched = shell(
        *("config", "update", id, "--patch", "--if-match", "1", "-f", "-", "--json"),
        stdin="config: {turns: {stop_secs: 0.5}}",
    )
    assert patched.json["version"] == 2
    stale = shell("config", "update", id, "--if-match", "1", "-f", file)
    assert stale.code == Exit.CONFLICT
    assert shell("config", "update", id, "--if-match", "2", "-f", file).code == Exit.OK
    assert shell("config", "delete", id, "--yes").code == Exit.OK
    assert shell("config", "get", id).code == Exit.NOT_FOUND


def test_the_servers_complaints_come_with_their_fields(shell: Shell, hotel: Account) -> None:
    body = '{"config": {"llm": {"prompt": "Hi."}, "tts": {"voice": "none"}}}'
    ran = shell("config", "create", "-f", "-", stdin=body)
    assert ran.code == Exit.ERROR
    assert "  config.tts.voice: Unknown voice of local." in ran.err
    assert "  request id: " in ran.err


def test_a_wrong_key_is_not_authorised(shell: Shell, hotel: Account) -> None:
    shell.environ["BOTSCONFIG_KEY"] = "nonsense"
    assert shell("config", "list").code == Exit.NOT_AUTHORISED


def test_lists_go_over_pages(shell: Shell, hotel: Account) -> None:
    for number in range(5):
        shell("config", "create", "-f", "-", stdin=BACK.replace("back", f"b{number}"))
    page = shell("config", "list", "--json", "--limit", "3").json
    assert len(page["results"]) == 3
    assert page["next"]


def test_providers_are_listed(shell: Shell, hotel: Account) -> None:
    rows = shell("providers").out.splitlines()
    assert any(row.split()[:2] == ["local", "tts"] for row in rows)


def test_a_call_is_read_as_a_dialogue(shell: Shell, hotel: Account) -> None:
    shell("config", "create", "-f", "-", stdin=BACK)
    config = TwilioConfig.objects.select_related("current").get()
    call = make_call(config, status="completed", ended_at=NOW)
    call.turns.create(
        stream_sid="MZ1",
        index=0,
        role="bot",
        text_said="Nine to five.",
        text_heard="Nine to five.",
        started_at=NOW,
        ended_at=NOW,
        stages_ms={"model": 120.0},
    )
    assert str(call.id) in shell("calls", "list", "--config", str(config.id)).out
    assert "There are" not in shell("calls", "list", "--status", "failed").out
    out = shell("calls", "get", str(call.id)).out
    assert "bot     Nine to five.\n        (120 ms: model 120)\n" in out
    assert shell("calls", "list", "--status", "nonsense").code == Exit.ERROR


def test_a_folder_and_the_server_agree(
    shell: Shell, hotel: Account, write: Write, folder: Path, tmp_path: Path
) -> None:
    write("front.yaml", FULL)
    write("back.yaml", BACK)
    assert shell("plan", "-f", folder).code == Exit.DRIFT
    applied = shell("apply", "-f", folder, "--yes")
    assert applied.code == Exit.OK, applied.err
    assert "still not" not in applied.err
    planned = shell("plan", "-f", folder, "--prune")
    assert planned.code == Exit.OK, planned.out
    config = TwilioConfig.objects.select_related("current").get(name="Front desk")
    assert config.current is not None
    assert config.current.secrets == {
        "api_keys": {"openai": "sk-openai"},
        "tool_headers": {"hours": {"X-Key": "hours-secret"}},
    }

    out = tmp_path / "out"
    assert shell("export", out).code == Exit.OK
    exported = shell("plan", "-f", out, "--prune")
    assert exported.code == Exit.OK, exported.out


def test_changes_and_deletions_reach_the_server(
    shell: Shell, hotel: Account, write: Write, folder: Path
) -> None:
    write("front.yaml", FULL)
    write("back.yaml", BACK)
    shell("apply", "-f", folder, "--yes")
    changed = FULL.replace("provider: scripted, language: de", "provider: local")
    write("front.yaml", changed.replace("hours", "times"))
    (folder / "back.yaml").unlink()
    ran = shell("apply", "-f", folder, "--prune", "--yes")
    assert ran.code == Exit.OK, ran.err
    assert shell("plan", "-f", folder, "--prune").code == Exit.OK
    live = TwilioConfig.objects.filter(deleted_at=None)
    assert [config.name for config in live] == ["Front desk"]
