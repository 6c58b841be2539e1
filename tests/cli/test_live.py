"""The command line against the server itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, TwilioConnection
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
    account = account_create(name="Hotel", actor=Actor())
    _, secret = api_key_create(account=account, scopes=["admin"], actor=Actor())
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


def test_a_tool_is_tried(shell: Shell, hotel: Account, write: Write) -> None:
    # Nobody is asked: the server's environment allows no private address.
    body = FULL.replace("https://t.example.com", "http://127.0.0.1:9")
    id = shell("config", "create", "-f", write("front.yaml", body), "--json").json["id"]
    ran = shell("config", "test-tool", id, "hours", "--arg", "day=Monday", "--arg", "guests=2")
    assert ran.code == Exit.ERROR
    assert '"arguments": {"day": "Monday", "guests": 2}' in ran.out
    assert "The tool could not be reached" in ran.out
    assert "PRIVATE_ADDRESSES" in ran.err
    assert "hours-secret" not in ran.out + ran.err
    tried = shell("config", "test-tool", id, "hours", "-f", "-", "--json", stdin="day: Monday")
    assert tried.json["request"]["body"]["arguments"] == {"day": "Monday"}
    assert tried.json["request"]["headers"]["x-key"] == "…"
    assert shell("config", "test-tool", id, "book").code == Exit.NOT_FOUND


def test_a_bots_history_and_its_drafts(shell: Shell, hotel: Account, write: Write) -> None:
    id = shell("config", "create", "-f", write("front.yaml", FULL), "--json").json["id"]
    patch = 'config: {llm: {prompt: "You are {{mood}}."}}'
    draft = shell(
        "config", "update", id, "--patch", "--draft", "-f", "-", "--json", stdin=patch
    ).json
    assert (draft["version"], draft["status"]) == (2, "draft")
    assert shell("config", "get", id, "--json").json["version"] == 1
    assert shell("config", "get", id, "--draft", "--json").json["version"] == 2
    assert "config.llm.prompt" in shell("config", "diff", id).out
    between = shell("config", "diff", id, "1", "2").out
    assert "You are {{mood}}." in between
    assert shell("config", "diff", id, "1", "2", "--json").json["changes"][0]["path"] == (
        "config.llm.prompt"
    )
    assert shell("config", "publish", id, "2").code == Exit.OK
    assert shell("config", "publish", id, "1").code == Exit.CONFLICT
    rendered = shell("config", "render", id, "--var", "mood=kind", "--json").json
    assert rendered["config"]["llm"]["prompt"] == "You are kind."
    assert shell("config", "restore", id, "1").code == Exit.OK
    history = shell("config", "versions", id).out
    assert [row.split()[0] for row in history.splitlines()[1:]] == ["3", "2", "1"]
    assert shell("config", "get", id, "--json").json["version"] == 3
    before = shell("config", "get", id, "--json").json["twiml"]
    assert shell("config", "rotate-token", id, "--grace", "0").code == Exit.OK
    assert shell("config", "get", id, "--json").json["twiml"] != before


def test_a_create_that_is_sent_again_makes_one_bot(
    shell: Shell, hotel: Account, write: Write, folder: Path
) -> None:
    write("front.yaml", FULL)
    shell("apply", "-f", folder, "--yes")
    again = shell("apply", "-f", folder, "--yes")
    assert again.code == Exit.OK
    assert TwilioConfig.objects.count() == 1


def test_keys_from_creation_to_their_end(shell: Shell, hotel: Account) -> None:
    made = shell("keys", "create", "--name", "CI", "--scope", "configs:read", "--json").json
    rotated = shell("keys", "rotate", made["id"], "--grace", "60", "--json").json
    assert rotated["name"] == "CI"
    assert shell("keys", "revoke", made["id"], "--yes").code == Exit.OK
    listed = shell("keys", "list").out
    assert made["id"] in listed
    assert made["key"] not in listed
    shell.environ["BOTSCONFIG_KEY"] = rotated["key"]
    assert shell("config", "list").code == Exit.OK
    denied = shell("keys", "list")
    assert denied.code == Exit.NOT_AUTHORISED
    assert "admin" in denied.err
    shell.environ["BOTSCONFIG_KEY"] = made["key"]
    assert shell("config", "list").code == Exit.NOT_AUTHORISED


def test_a_vendors_key_goes_in_and_never_comes_out(shell: Shell, hotel: Account) -> None:
    assert shell("credentials", "put", "rime", stdin="a-vendors-key-1234\n").code == Exit.OK
    listed = shell("credentials", "list").out
    assert "…1234" in listed
    assert "vendors-key" not in listed
    tested = shell("credentials", "test", "rime", "--json")
    assert tested.json["reason"] == "untestable"
    assert shell("credentials", "delete", "rime", "--yes").code == Exit.OK
    assert shell("credentials", "test", "rime").code == Exit.NOT_FOUND
    assert shell("credentials", "put", "nobody", stdin="key").code == Exit.NOT_FOUND


def test_the_audit_log_says_who_did_what(shell: Shell, hotel: Account) -> None:
    shell("config", "create", "-f", "-", stdin=BACK)
    out = shell("audit", "list").out
    assert "config.create" in out
    assert "127.0.0.1" in shell("audit", "list", "--json").out
    assert "config.create" not in shell("audit", "list", "--action", "api_key.create").out


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


def test_a_call_is_scheduled_found_and_canceled(shell: Shell, hotel: Account) -> None:
    TwilioConnection.objects.create(account=hotel, account_sid="AC1", auth_token="x")
    shell("config", "create", "-f", "-", stdin=BACK)
    config = TwilioConfig.objects.get()
    at = (timezone.now() + timedelta(hours=1)).isoformat()
    dial = ("calls", "dial", "+1 415 867 5309", "--from", "+14155550100")
    made = shell(*dial, "--config", str(config.id), "--at", at, "--metadata", "order=4711")
    assert made.code == Exit.OK, made.err
    assert "scheduled" in made.out
    assert "+14158675309" in made.out
    (found,) = shell("calls", "list", "--metadata", "order=4711", "--json").json["results"]
    assert shell("calls", "list", "--direction", "inbound", "--json").json["results"] == []
    ended = shell("calls", "hangup", found["id"])
    assert ended.code == Exit.OK, ended.err
    assert "canceled" in ended.out


def test_a_call_that_cannot_be_is_said_with_what_would_be_valid(
    shell: Shell, hotel: Account
) -> None:
    refused = shell("calls", "dial", "030123456", "--from", "+14155550100", "--config", "x")
    assert refused.code == Exit.ERROR
    assert "such as +4930123456" in refused.err


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
