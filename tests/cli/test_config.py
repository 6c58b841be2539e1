"""``botsconfig config``, and how its answers look."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.cli.errors import Exit
from tests.cli.conftest import Shell, Write
from tests.cli.stand_in import StandIn

BODY = "name: Front desk\nconfig:\n  llm:\n    prompt: Hi.\n"


def test_a_bot_is_created_from_yaml(shell: Shell, stand_in: StandIn, write: Write) -> None:
    ran = shell("config", "create", "-f", write("bot.yaml", BODY))
    assert ran.code == Exit.OK
    (id,) = stand_in.configs
    assert ran.out.startswith(f"Created {id}, Front desk, version 1.\n<Response>")


def test_a_bot_is_created_from_json(shell: Shell, stand_in: StandIn, write: Write) -> None:
    file = write("bot.json", '{"config": {"llm": {"prompt": "Hi."}}}')
    made = shell("config", "create", "-f", file, "--draft", "--json").json
    assert made["version"] == 1
    assert stand_in.asked[0].query == {"draft": "true"}


def test_secrets_are_filled_from_the_environment(
    shell: Shell, stand_in: StandIn, write: Write
) -> None:
    text = BODY + "api_keys: {openai: '${OPENAI_API_KEY}'}\n"
    file = write("bot.yaml", text)
    refused = shell("config", "create", "-f", file)
    assert refused.code == Exit.ERROR
    assert "OPENAI_API_KEY" in refused.err
    assert stand_in.asked == []
    shell.environ["OPENAI_API_KEY"] = "sk-123"
    ran = shell("config", "create", "-f", file, "--verbose")
    assert ran.code == Exit.OK
    assert "sk-123" not in ran.out + ran.err
    assert stand_in.asked[0].body["api_keys"] == {"openai": "sk-123"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n", "one object"),
        ("- a\n", "one object"),
        ("", "one object"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_that_is_no_body_is_refused(
    shell: Shell, stand_in: StandIn, write: Write, text: str, said: str
) -> None:
    ran = shell("config", "create", "-f", write("bot.yaml", text))
    assert (ran.code, stand_in.asked) == (Exit.ERROR, [])
    assert said in ran.err


def test_a_file_that_is_not_there_is_said_to_be(shell: Shell, tmp_path: Path) -> None:
    ran = shell("config", "create", "-f", tmp_path / "none.yaml")
    assert ran.code == Exit.ERROR
    assert "No such file" in ran.err


def test_an_update_replaces_and_a_patch_merges(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add(team="ops")
    assert shell("config", "update", id, "--patch", "-f", "-", stdin="name: New").code == Exit.OK
    assert stand_in.current(id)["metadata"] == {"team": "ops"}
    assert shell("config", "update", id, "-f", "-", stdin=BODY).code == Exit.OK
    assert stand_in.current(id)["metadata"] == {}


def test_an_update_of_another_version_is_a_conflict(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    stand_in.touch(id)
    ran = shell("config", "update", id, "--if-match", "1", "-f", "-", stdin=BODY)
    assert ran.code == Exit.CONFLICT
    assert stand_in.current(id)["version"] == 2
    assert shell("config", "update", id, "--if-match", "2", "-f", "-", stdin=BODY).code == Exit.OK


def test_deleting_asks_first(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    ran = shell("config", "delete", id)
    assert ran.code == Exit.USAGE
    assert "--yes" in ran.err
    assert id in stand_in.configs
    assert shell("config", "delete", id, "--yes").code == Exit.OK
    assert id not in stand_in.configs
    assert shell("config", "delete", id, "--yes").code == Exit.NOT_FOUND


def test_a_list_is_filtered_by_the_server(shell: Shell, stand_in: StandIn) -> None:
    stand_in.add("A", team="ops")
    wanted = stand_in.add("B", team="dev")
    filters = ("--metadata", "team=dev", "--search", "x", "--provider", "local", "--order", "name")
    page = shell("config", "list", *filters, "--json").json
    assert [config["id"] for config in page["results"]] == [wanted]
    query = {"metadata.team": "dev", "search": "x", "provider": "local", "order": "name"}
    assert stand_in.asked[0].query == {**query, "page_size": "50"}


def test_a_list_is_a_table_with_whole_ids(
    shell: Shell, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stand_in.add("Front [bold]desk[/bold]", slug="front")
    ran = shell("config", "list")
    heading, row = ran.out.splitlines()
    assert heading.split() == ["ID", "NAME", "VERSION", "SLUG", "PROVIDERS", "UPDATED"]
    assert row.startswith(f"{id}  Front [bold]desk[/bold]  1 ")
    assert "local/local/local" in row
    assert "\x1b" not in ran.out


def test_a_bot_is_shown_as_its_file_would_be(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add(slug="front")
    out = shell("config", "get", id).out
    assert f"id          {id}\nversion     1\n" in out
    assert "name: Front desk\nconfig:\n" in out
    assert "<Response>" in out


def test_what_a_server_says_cannot_command_the_terminal(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add("\x1b[31mred\x9b2J\r")
    for ran in (shell("config", "list"), shell("config", "get", id)):
        assert not {"\x1b", "\x9b", "\r"} & set(ran.out)
    ran = shell("config", "get", id, "--json")
    assert not {"\x1b", "\x9b", "\r"} & set(ran.out)
    assert ran.json["name"] == "\x1b[31mred\x9b2J\r"


def test_a_render_sends_what_it_was_given(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    ran = shell(
        *("config", "render", id, "--from", "+15550100", "--to", "+15550101"),
        *("--var", "name=Ada", "--var", "sum=1=1", "--version", "1", "--json"),
    )
    assert ran.json["variables"] == {"name": "Ada", "sum": "1=1"}
    query = stand_in.asked[0].query
    assert (query["from"], query["to"], query["version"]) == ("+15550100", "+15550101", "1")


def test_versions_say_who_changed_what(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    shell("config", "update", id, "--patch", "-f", "-", stdin="name: New")
    rows = shell("config", "versions", id).out.splitlines()
    assert [row.split()[0] for row in rows] == ["NUMBER", "2", "1"]
    assert "CI" in rows[1]
    assert rows[1].rstrip().endswith(" name")


def test_a_diff_is_of_the_newest_of_one_or_of_two(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add("One")
    for name in ("Two", "Three"):
        shell("config", "update", id, "--patch", "-f", "-", stdin=f"name: {name}")
    assert shell("config", "diff", id).out == 'name: "Two" → "Three"\n'
    assert shell("config", "diff", id, "2").out == 'name: "One" → "Two"\n'
    assert shell("config", "diff", id, "1", "3").out == 'name: "One" → "Three"\n'
    found = shell("config", "diff", id, "3", "1", "--json").json
    assert found == {"changes": [{"path": "name", "before": "Three", "after": "One"}]}


def test_a_diff_of_two_sees_what_is_gone(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add(team="ops")
    shell("config", "update", id, "-f", "-", stdin=BODY)
    assert shell("config", "diff", id, "1", "2").out == 'metadata.team: "ops" → (none)\n'
    assert shell("config", "diff", id, "2", "1").out == 'metadata.team: (none) → "ops"\n'


def test_versions_are_published_and_restored(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add("One")
    shell("config", "update", id, "--patch", "-f", "-", stdin="name: Two")
    assert shell("config", "publish", id, "2").out.startswith(f"Published {id}")
    restored = shell("config", "restore", id, "1", "--json").json
    assert (restored["name"], restored["version"]) == ("One", 3)
    assert shell("config", "restore", id, "9").code == Exit.NOT_FOUND


def test_a_token_is_rotated(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    assert "<Response>" in shell("config", "rotate-token", id, "--grace", "60").out
    assert stand_in.asked[-1].body == {"grace_seconds": 60}
    shell("config", "rotate-token", id)
    assert stand_in.asked[-1].body == {}


@pytest.mark.parametrize(
    "argv",
    [
        ("config", "list", "--limit", "-1"),
        ("config", "list", "--metadata", "x"),
        ("config", "get"),
        ("config", "publish", "x", "0"),
        ("config", "list", "--timeout", "0"),
        ("config", "get", ""),
        ("config", "delete", "../api-keys/1", "--yes"),
        ("credentials", "delete", "..", "--yes"),
        ("calls", "get", "x?y"),
        ("nonsense",),
        (),
    ],
)
def test_a_wrong_command_line_is_no_drift(shell: Shell, argv: tuple[str, ...]) -> None:
    assert shell(*argv).code == Exit.USAGE


def test_help_tells_the_exit_codes(shell: Shell) -> None:
    ran = shell("--help")
    assert ran.code == Exit.OK
    assert all(f"  {code:2}  " in ran.out for code in Exit)
