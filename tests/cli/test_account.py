"""Keys, credentials, the audit log, calls: what they send and what they show."""

from __future__ import annotations

from apps.cli.calls import cost, dialogue
from apps.cli.errors import Exit
from tests.cli.conftest import Shell
from tests.cli.stand_in import StandIn


def test_a_key_is_shown_once(shell: Shell, stand_in: StandIn) -> None:
    ran = shell(
        *("keys", "create", "--name", "CI", "--scope", "configs:read", "--scope", "calls:read"),
        *("--expires", "2027-01-31"),
    )
    assert ran.out == "secret-of-key-1\n"
    assert stand_in.asked[0].body == {
        "name": "CI",
        "scopes": ["configs:read", "calls:read"],
        "expires_at": "2027-01-31T00:00:00+00:00",
    }
    listed = shell("keys", "list")
    assert "CI" in listed.out
    assert "secret" not in listed.out


def test_a_scope_that_there_is_not_is_refused_by_the_server(
    shell: Shell, stand_in: StandIn
) -> None:
    ran = shell("keys", "create", "--name", "CI", "--scope", "everything")
    assert ran.code == Exit.ERROR
    assert "scopes: everything" in ran.err


def test_an_expiry_that_is_no_time_is_refused_here(shell: Shell) -> None:
    assert shell("keys", "create", "--name", "CI", "--expires", "soon").code == Exit.USAGE


def test_a_key_is_rotated_and_revoked(shell: Shell, stand_in: StandIn) -> None:
    shell("keys", "create", "--name", "CI")
    assert shell("keys", "rotate", "key-1", "--grace", "60", "--json").json["name"] == "CI"
    assert stand_in.asked[-1].body == {"grace_seconds": 60}
    assert shell("keys", "revoke", "key-1").code == Exit.USAGE
    assert shell("keys", "revoke", "key-1", "--yes").code == Exit.OK
    assert list(stand_in.keys) == ["key-2"]


def test_a_vendors_key_comes_from_stdin_and_is_not_shown(shell: Shell, stand_in: StandIn) -> None:
    ran = shell("credentials", "put", "openai", "--verbose", stdin="sk-verysecret\n")
    assert ran.code == Exit.OK
    assert stand_in.secrets["openai"] == "sk-verysecret"
    assert "sk-verysecret" not in ran.out + ran.err
    assert "…cret" in shell("credentials", "list").out


def test_a_vendors_key_is_not_taken_from_the_command_line(shell: Shell, stand_in: StandIn) -> None:
    assert shell("credentials", "put", "openai", "sk-verysecret").code == Exit.USAGE


def test_no_key_on_stdin_is_an_error(shell: Shell, stand_in: StandIn) -> None:
    assert shell("credentials", "put", "openai", stdin=" \n").code == Exit.ERROR
    assert stand_in.asked == []


def test_a_vendors_key_is_tried(shell: Shell, stand_in: StandIn) -> None:
    shell("credentials", "put", "openai", stdin="right")
    shell("credentials", "put", "deepgram", stdin="wrong")
    works = shell("credentials", "test", "openai")
    assert (works.code, works.out) == (Exit.OK, "The key of openai works (12 ms).\n")
    refused = shell("credentials", "test", "deepgram")
    assert refused.code == Exit.ERROR
    assert "does not work (The vendor refused it., 12 ms)" in refused.out


def test_a_vendors_key_is_deleted(shell: Shell, stand_in: StandIn) -> None:
    shell("credentials", "put", "openai", stdin="right")
    assert shell("credentials", "delete", "openai", "--yes").code == Exit.OK
    assert shell("credentials", "delete", "openai", "--yes").code == Exit.NOT_FOUND


def test_the_audit_log_is_filtered_by_the_server(shell: Shell, stand_in: StandIn) -> None:
    stand_in.audit = [
        {
            "at": "2026-01-02T03:04:05Z",
            "action": "config.update",
            "target_kind": "config",
            "target_id": "c-1",
            "actor": {"kind": "key", "id": "k-1", "name": "CI"},
            "changes": [{"path": "name", "before": "a", "after": "b"}],
        }
    ]
    ran = shell(
        *("audit", "list", "--action", "config.update", "--target-kind", "config"),
        *("--target-id", "c-1", "--actor-id", "k-1", "--since", "2026-01-01", "--limit", "5"),
    )
    assert ran.out.splitlines()[1].split() == [
        *("2026-01-02T03:04:05Z", "config.update"),
        *("config", "c-1", "CI", "name"),
    ]
    assert stand_in.asked[0].query["since"] == "2026-01-01T00:00:00+00:00"


def test_a_calls_cost_is_said_with_how_sure_it_is() -> None:
    assert cost({"cost_usd": "0.25", "cost_is_complete": True}) == "$0.25"
    assert cost({"cost_usd": "0.25", "cost_is_complete": False}) == "at least $0.25"
    assert cost({"cost_usd": None}) == cost({}) == "unknown"


def test_a_call_reads_as_a_dialogue() -> None:
    turn = {"interrupted": False, "latency_ms": None, "stages_ms": None}
    stages = {"endpointing": 300.0, "model": 200.4}
    call = {
        "turns": [
            {**turn, "role": "caller", "text_said": "Hours?"},
            {
                **turn,
                "role": "bot",
                "text_said": "Nine to five.",
                "text_heard": "Nine",
                "interrupted": True,
                "latency_ms": 500.4,
                "stages_ms": stages,
            },
        ],
        "events": [{"at": "T", "kind": "mark.lost", "data": {"name": "m1"}}],
    }
    assert list(dialogue(call)) == [
        "caller  Hours?",
        "bot     Nine to five.",
        "        (interrupted; heard: Nine)",
        "        (500 ms: endpointing 300, model 200)",
        "",
        "T  mark.lost  name=m1",
    ]
