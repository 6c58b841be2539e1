"""``plan``, ``apply`` and ``export``: the account as a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.cli.errors import Exit
from tests.cli.conftest import Shell, Write
from tests.cli.stand_in import Fault, StandIn

FRONT = """
name: Front desk
metadata: {slug: front}
config:
  llm: {prompt: Hi., tools: [{name: hours}]}
  turns: {stop_secs: "0.8"}
webhook_tools:
  hours: {url: "https://t.example.com", custom_headers: {X-Key: "Bearer ${HOURS_KEY}"}}
api_keys: {openai: "${OPENAI_KEY}"}
"""
BACK = "name: Back\nmetadata: {slug: back}\nconfig: {llm: {prompt: Hello.}}\n"
SECRETS = {"OPENAI_KEY": "sk-openai", "HOURS_KEY": "hours-secret"}


@pytest.fixture
def filled(shell: Shell, write: Write, folder: Path) -> Path:
    """A folder with two bots, and the secrets that one needs."""
    write("front.yaml", FRONT)
    write("deep/er/back.yml", BACK)
    shell.environ |= SECRETS
    return folder


@pytest.fixture
def applied(shell: Shell, stand_in: StandIn, filled: Path) -> Path:
    """The same, and an account that is as it says."""
    assert shell("apply", "-f", filled, "--yes").code == Exit.OK
    stand_in.asked.clear()
    return filled


def _by_name(stand_in: StandIn, name: str) -> Any:
    (found,) = (
        versions[-1] for versions in stand_in.configs.values() if versions[-1]["name"] == name
    )
    return found


def _writes(stand_in: StandIn) -> list[str]:
    return [method for method in stand_in.methods() if method != "GET"]


# --- plan ---------------------------------------------------------------------------------------


def test_a_plan_says_what_would_be_created_and_writes_nothing(
    shell: Shell, stand_in: StandIn, filled: Path
) -> None:
    ran = shell("plan", "-f", filled)
    assert ran.code == Exit.DRIFT
    assert ran.out.splitlines() == [
        f"+ back ({filled}/deep/er/back.yml)",
        f"+ front ({filled}/front.yaml)",
        "    with api_keys.openai, webhook_tools.hours.custom_headers",
        "2 to create, 0 to change, 0 to delete, 0 the same.",
    ]
    assert _writes(stand_in) == []


def test_a_plan_needs_no_secrets(shell: Shell, stand_in: StandIn, filled: Path) -> None:
    for name in SECRETS:
        del shell.environ[name]
    assert shell("plan", "-f", filled).code == Exit.DRIFT


def test_after_an_apply_nothing_differs(shell: Shell, stand_in: StandIn, applied: Path) -> None:
    ran = shell("plan", "-f", applied, "--prune")
    assert (ran.code, ran.out.splitlines()) == (
        Exit.OK,
        ["= back", "= front", "0 to create, 0 to change, 0 to delete, 2 the same."],
    )
    assert shell("apply", "-f", applied, "--yes").code == Exit.OK
    assert _writes(stand_in) == []


def test_a_plan_names_paths_and_values(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK.replace("Hello.", "Good day."))
    ran = shell("plan", "-f", applied)
    assert ran.out.splitlines()[:2] == ["~ back", '    config.llm.prompt: "Hello." → "Good day."']
    step = shell("plan", "-f", applied, "--json").json["steps"][0]
    assert (step["action"], step["slug"], step["version"]) == ("change", "back", 1)
    assert step["changes"] == [
        {"path": "config.llm.prompt", "before": "Hello.", "after": "Good day."}
    ]


def test_bots_without_a_file_are_deleted_only_by_prune_and_with_a_slug(
    shell: Shell, stand_in: StandIn, applied: Path
) -> None:
    (applied / "front.yaml").unlink()
    stand_in.add("Made by hand")
    assert shell("plan", "-f", applied).code == Exit.OK
    ran = shell("plan", "-f", applied, "--prune")
    assert ran.code == Exit.DRIFT
    assert [line for line in ran.out.splitlines() if line.startswith("-")] == ["- front"]
    assert shell("apply", "-f", applied, "--prune", "--yes").code == Exit.OK
    names = sorted(versions[-1]["name"] for versions in stand_in.configs.values())
    assert names == ["Back", "Made by hand"]


def test_an_empty_folder_does_not_prune_an_account(
    shell: Shell, stand_in: StandIn, folder: Path
) -> None:
    stand_in.add("Front desk", slug="front")
    assert shell("apply", "-f", folder, "--prune", "--yes").code == Exit.ERROR
    assert len(stand_in.configs) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nconfig: {}\n", "metadata.slug is missing"),
        ("metadata: {slug: Upper}\n", "metadata.slug is missing or not of its form"),
        ("metadata: {slug: ../x}\n", "metadata.slug is missing or not of its form"),
        ("metadata: {slug: back}\n", "stands in"),
        (BACK + "---\n" + BACK, "document 2: metadata.slug back stands in"),
        ("- x\n", "a bot is an object"),
        ("config: []\nmetadata: {slug: x}\n", "Daily Bots' form"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(
    shell: Shell, stand_in: StandIn, filled: Path, write: Write, text: str, said: str
) -> None:
    file = write("zzz.yaml", text)
    ran = shell("apply", "-f", filled, "--yes")
    assert ran.code == Exit.ERROR
    assert str(file) in ran.err
    assert said in ran.err
    assert stand_in.asked == []


def test_two_bots_of_one_slug_are_refused(shell: Shell, stand_in: StandIn, filled: Path) -> None:
    ids = [stand_in.add("x", slug="front"), stand_in.add("y", slug="front")]
    ran = shell("apply", "-f", filled, "--yes")
    assert ran.code == Exit.ERROR
    assert all(id in ran.err for id in ids)
    assert _writes(stand_in) == []


def test_hidden_folders_are_not_looked_into(
    shell: Shell, stand_in: StandIn, filled: Path, write: Write
) -> None:
    write(".github/workflows/ci.yaml", "on: push\n")
    assert shell("plan", "-f", filled).code == Exit.DRIFT


# --- apply --------------------------------------------------------------------------------------


def test_an_apply_makes_the_account_so(shell: Shell, stand_in: StandIn, applied: Path) -> None:
    made = _by_name(stand_in, "Front desk")
    assert made["metadata"] == {"slug": "front"}
    assert stand_in.secrets[made["id"]] == {"openai": "sk-openai"}


def test_a_missing_variable_is_named_before_anything_is_written(
    shell: Shell, stand_in: StandIn, filled: Path
) -> None:
    del shell.environ["HOURS_KEY"]
    ran = shell("apply", "-f", filled, "--yes")
    assert ran.code == Exit.ERROR
    assert "HOURS_KEY" in ran.err
    assert _writes(stand_in) == []


def test_no_secret_is_printed(shell: Shell, stand_in: StandIn, filled: Path) -> None:
    said = ""
    for argv in (
        ("apply", "--yes", "--verbose"),
        ("apply", "--yes", "--secrets"),
        ("plan", "--secrets", "--json"),
    ):
        ran = shell(*argv, "-f", filled)
        said += ran.out + ran.err
    assert not [secret for secret in SECRETS.values() if secret in said]


def test_a_change_keeps_what_the_file_does_not_speak_of(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    made = _by_name(stand_in, "Back")
    by_hand = "max_duration: 900\nmetadata: {team: ops}\n"
    shell("config", "update", made["id"], "--patch", "-f", "-", stdin=by_hand)
    write("deep/er/back.yml", BACK.replace("Hello.", "Good day."))
    assert shell("apply", "-f", applied, "--yes").code == Exit.OK
    changed = _by_name(stand_in, "Back")
    assert changed["config"]["llm"]["prompt"] == "Good day."
    assert (changed["max_duration"], changed["metadata"]["team"]) == (900, "ops")
    assert changed["id"] == made["id"]


def test_a_bot_is_renamed_and_its_file_moved(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    id = _by_name(stand_in, "Back")["id"]
    (applied / "deep/er/back.yml").unlink()
    write("elsewhere.yaml", BACK.replace("name: Back", "name: Rear"))
    assert shell("apply", "-f", applied, "--prune", "--yes").code == Exit.OK
    assert _by_name(stand_in, "Rear")["id"] == id


def test_a_null_removes(shell: Shell, stand_in: StandIn, applied: Path, write: Write) -> None:
    write("deep/er/back.yml", BACK + "max_duration: 900\n")
    shell("apply", "-f", applied, "--yes")
    write("deep/er/back.yml", BACK.replace("slug: back", "slug: back, team: null"))
    id = _by_name(stand_in, "Back")["id"]
    shell("config", "update", id, "--patch", "-f", "-", stdin="metadata: {team: ops}")
    assert shell("apply", "-f", applied, "--yes").code == Exit.OK
    assert _by_name(stand_in, "Back")["metadata"] == {"slug": "back"}


def test_a_tool_that_the_file_leaves_out_goes(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("front.yaml", FRONT.replace("hours", "times"))
    assert shell("apply", "-f", applied, "--yes").code == Exit.OK
    made = _by_name(stand_in, "Front desk")
    assert list(made["webhook_tools"]) == ["times"]
    assert shell("plan", "-f", applied).code == Exit.OK


def test_a_value_that_does_not_stay_is_warned_of(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK.replace("Hello.}", "Hello.}, turns: {stop_secs: null}"))
    ran = shell("apply", "-f", applied, "--yes")
    assert ran.code == Exit.OK
    assert "back: still not as its file says: config.turns.stop_secs" in ran.err


def test_new_secrets_are_sent_on_demand(shell: Shell, stand_in: StandIn, applied: Path) -> None:
    shell.environ["OPENAI_KEY"] = "sk-rotated"
    shell("apply", "-f", applied, "--yes")
    assert _writes(stand_in) == []
    assert shell("apply", "-f", applied, "--yes", "--secrets").code == Exit.OK
    assert _writes(stand_in) == ["PATCH"]
    assert stand_in.secrets[_by_name(stand_in, "Front desk")["id"]] == {"openai": "sk-rotated"}


def test_an_apply_asks_first(shell: Shell, stand_in: StandIn, filled: Path) -> None:
    ran = shell("apply", "-f", filled)
    assert ran.code == Exit.USAGE
    assert "--yes" in ran.err
    assert _writes(stand_in) == []


def test_someone_elses_write_stops_an_apply_and_what_was_done_is_said(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK.replace("Hello.", "Good day."))
    write("front.yaml", FRONT.replace("Hi.", "Ho."))
    id = _by_name(stand_in, "Front desk")["id"]
    stand_in.before_write = [lambda: None, lambda: stand_in.touch(id)]
    ran = shell("apply", "-f", applied, "--yes")
    assert ran.code == Exit.ERROR
    assert "Someone else changed or deleted front since the plan was made (version 1)" in ran.err
    assert "Done: back.\nNot done: front.\n" in ran.err
    assert _by_name(stand_in, "Front desk")["config"]["llm"]["prompt"] == "Hi."
    assert _by_name(stand_in, "Back")["config"]["llm"]["prompt"] == "Good day."


def test_a_lost_answer_leaves_a_doubt_that_is_said(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK.replace("Hello.", "Good day."))
    write("front.yaml", FRONT.replace("Hi.", "Ho."))
    stand_in.faults = [Fault(), Fault(lose=True)]
    ran = shell("apply", "-f", applied, "--yes")
    assert ran.code == Exit.UNREACHABLE
    assert "Done: nothing.\nPerhaps done: back.\nNot done: front.\n" in ran.err


def test_an_apply_that_stopped_says_so_in_json_too(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK.replace("Hello.", "Good day."))
    stand_in.before_write = [lambda: stand_in.touch(_by_name(stand_in, "Back")["id"])]
    ran = shell("apply", "-f", applied, "--yes", "--json")
    assert ran.code == Exit.ERROR
    assert [step["done"] for step in ran.json["steps"]] == [False, True]
    assert "Someone else" in ran.json["error"]


def test_a_deletion_is_guarded_too(shell: Shell, stand_in: StandIn, applied: Path) -> None:
    (applied / "deep/er/back.yml").unlink()
    stand_in.before_write = [lambda: stand_in.touch(_by_name(stand_in, "Back")["id"])]
    assert shell("apply", "-f", applied, "--prune", "--yes").code == Exit.ERROR
    assert len(stand_in.configs) == 2


def test_a_create_that_is_retried_makes_one_bot(
    shell: Shell, stand_in: StandIn, filled: Path
) -> None:
    stand_in.faults = [Fault(), Fault(lose=True), Fault(503)]
    assert shell("apply", "-f", filled, "--yes").code == Exit.OK
    assert len(stand_in.configs) == 2


def test_a_second_run_after_a_lost_answer_makes_one_bot(
    shell: Shell, stand_in: StandIn, filled: Path
) -> None:
    (filled / "front.yaml").unlink()
    shell("apply", "-f", filled, "--yes")
    # As if that run had given up before its request landed, and the next had planned meanwhile.
    landing = dict(stand_in.configs)
    stand_in.configs.clear()
    stand_in.after_read = [lambda: stand_in.configs.update(landing)]
    assert shell("apply", "-f", filled, "--yes").code == Exit.OK
    assert list(stand_in.configs) == list(landing)


def test_a_create_counts_as_done_even_if_it_cannot_be_looked_at(
    shell: Shell, stand_in: StandIn, filled: Path
) -> None:
    stand_in.faults = [Fault(), Fault(), Fault(500)]
    ran = shell("apply", "-f", filled, "--yes")
    assert ran.code == Exit.OK
    assert len(stand_in.configs) == 2


def test_a_bot_that_was_deleted_is_created_anew(
    shell: Shell, stand_in: StandIn, applied: Path
) -> None:
    old = _by_name(stand_in, "Back")["id"]
    shell("config", "delete", old, "--yes")
    assert shell("apply", "-f", applied, "--yes").code == Exit.OK
    assert shell("plan", "-f", applied).code == Exit.OK


def test_a_body_that_the_server_refuses_is_said_with_its_fields(
    shell: Shell, stand_in: StandIn, filled: Path, write: Write
) -> None:
    write("deep/er/back.yml", BACK + "max_durations: 5\n")
    ran = shell("apply", "-f", filled, "--yes")
    assert ran.code == Exit.ERROR
    assert "max_durations: Unknown field." in ran.err
    assert "Done: nothing.\nNot done: back, front." in ran.err


# --- export -------------------------------------------------------------------------------------


def test_after_an_export_nothing_differs(
    shell: Shell, stand_in: StandIn, applied: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "folder"
    assert shell("export", out).out == f"Wrote 2 to {out}.\n"
    assert sorted(file.name for file in out.iterdir()) == ["back.yaml", "front.yaml"]
    assert shell("plan", "-f", out, "--prune").code == Exit.OK
    assert "sk-openai" not in (out / "front.yaml").read_text()


def test_bots_without_slug_are_left_out_or_adopted(
    shell: Shell, stand_in: StandIn, folder: Path
) -> None:
    for name in ("Front Desk!", "Front desk", "☎"):
        stand_in.add(name)
    left = shell("export", folder)
    assert "Left out: 3" in left.err
    assert list(folder.iterdir()) == []
    assert shell("export", folder, "--adopt").code == Exit.OK
    slugs = {versions[-1]["metadata"]["slug"] for versions in stand_in.configs.values()}
    assert {"front-desk", "bot"} < slugs
    assert len(slugs) == 3
    assert {file.stem for file in folder.iterdir()} == slugs
    assert shell("plan", "-f", folder, "--prune").code == Exit.OK


def test_an_export_does_not_write_over_files(
    shell: Shell, stand_in: StandIn, applied: Path
) -> None:
    before = (applied / "front.yaml").read_text()
    ran = shell("export", applied)
    assert ran.code == Exit.ERROR
    assert str(applied / "front.yaml") in ran.err
    assert (applied / "front.yaml").read_text() == before


def test_a_forced_export_keeps_the_references_to_secrets(
    shell: Shell, stand_in: StandIn, applied: Path, write: Write
) -> None:
    (applied / "deep/er/back.yml").rename(applied / "back.yaml")
    assert shell("export", applied, "--force").code == Exit.OK
    text = (applied / "front.yaml").read_text()
    assert "Bearer ${HOURS_KEY}" in text
    assert "${OPENAI_KEY}" in text
    assert shell("plan", "-f", applied, "--prune").code == Exit.OK
