"""Retries, errors and the exit codes they end in."""

from __future__ import annotations

import socket

import pytest

from apps.cli.errors import Exit
from apps.cli.retries import ATTEMPTS, wait_s
from tests.cli.conftest import Shell
from tests.cli.stand_in import Fault, StandIn


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_failure_is_tried_again(shell: Shell, stand_in: StandIn, status: int) -> None:
    stand_in.faults = [Fault(status), Fault(status)]
    ran = shell("config", "list")
    assert ran.code == Exit.OK
    assert len(stand_in.asked) == 3
    assert len(shell.clock.slept_s) == 2


def test_retry_after_is_honoured(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(429, {"Retry-After": "7"})]
    shell("config", "list")
    assert shell.clock.slept_s == [7]


def test_after_so_many_attempts_it_gives_up(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(429, {"Retry-After": "1"})] * 9
    ran = shell("config", "list")
    assert ran.code == Exit.RATE_LIMITED
    assert len(stand_in.asked) == ATTEMPTS


def test_it_does_not_wait_for_an_hour(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(429, {"Retry-After": "3600"})]
    assert shell("config", "list").code == Exit.RATE_LIMITED
    assert shell.clock.slept_s == []


def test_another_failure_is_not_tried_again(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(500)]
    assert shell("config", "list").code == Exit.ERROR
    assert len(stand_in.asked) == 1


def test_a_lost_answer_is_asked_for_again(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(lose=True)]
    assert shell("config", "list").code == Exit.OK


def test_a_create_whose_answer_is_lost_makes_one_bot(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(lose=True)]
    body = '{"config": {"llm": {"prompt": "Hi."}}}'
    assert shell("config", "create", "-f", "-", stdin=body).code == Exit.OK
    assert stand_in.methods() == ["POST", "POST"]
    assert len(stand_in.configs) == 1


def test_a_create_that_is_still_under_way_is_waited_for(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(lose=True), Fault(409)]
    body = '{"config": {"llm": {"prompt": "Hi."}}}'
    assert shell("config", "create", "-f", "-", stdin=body).code == Exit.OK
    assert len(stand_in.configs) == 1


def test_a_conflict_at_once_is_not_tried_again(shell: Shell, stand_in: StandIn) -> None:
    stand_in.faults = [Fault(409)]
    body = '{"config": {"llm": {"prompt": "Hi."}}}'
    assert shell("config", "create", "-f", "-", stdin=body).code == Exit.CONFLICT


def test_a_patch_whose_answer_is_lost_is_not_repeated(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    stand_in.faults = [Fault(lose=True)]
    ran = shell("config", "update", id, "--patch", "-f", "-", stdin="name: New")
    assert ran.code == Exit.UNREACHABLE
    assert "may have been done" in ran.err
    assert stand_in.methods() == ["PATCH"]


def test_a_guarded_put_whose_answer_is_lost_is_not_repeated(
    shell: Shell, stand_in: StandIn
) -> None:
    id = stand_in.add()
    stand_in.faults = [Fault(lose=True)]
    body = "config: {llm: {prompt: Hi}}"
    ran = shell("config", "update", id, "--if-match", "1", "-f", "-", stdin=body)
    assert ran.code == Exit.UNREACHABLE
    assert stand_in.methods() == ["PUT"]


def test_a_patch_that_was_rate_limited_is_repeated(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    stand_in.faults = [Fault(429)]
    assert shell("config", "update", id, "--patch", "-f", "-", stdin="name: New").code == Exit.OK


def test_a_delete_whose_answer_is_lost_has_succeeded(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    stand_in.faults = [Fault(lose=True)]
    assert shell("config", "delete", id, "--yes").code == Exit.OK
    assert stand_in.methods() == ["DELETE", "DELETE"]
    assert stand_in.configs == {}


def test_nobody_listening_is_said_after_some_attempts(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = shell("config", "list", "--url", url, "--key", "k")
    assert ran.code == Exit.UNREACHABLE
    assert ran.err == f"botsconfig: {url} cannot be reached.\n"
    assert len(shell.clock.slept_s) == ATTEMPTS - 1


def test_a_server_that_says_nothing_is_not_waited_for(shell: Shell) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        ran = shell("config", "list", "--url", url, "--key", "k", "--timeout", "0.05")
    assert ran.code == Exit.UNREACHABLE
    assert "does not answer in time" in ran.err


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.ERROR),
        (401, Exit.NOT_AUTHORISED),
        (403, Exit.NOT_AUTHORISED),
        (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT),
        (412, Exit.CONFLICT),
        (422, Exit.ERROR),
        (302, Exit.ERROR),
    ],
)
def test_an_answer_becomes_an_exit_code(
    shell: Shell, stand_in: StandIn, status: int, code: Exit
) -> None:
    stand_in.faults = [Fault(status)]
    ran = shell("config", "get", "x")
    assert ran.code == code
    assert ran.out == ""


def test_an_error_names_fields_and_request(shell: Shell, stand_in: StandIn) -> None:
    ran = shell("config", "create", "-f", "-", stdin='{"nmae": "x"}')
    assert ran.code == Exit.ERROR
    assert ran.err.splitlines() == [
        "botsconfig: 2 fields are invalid (400 invalid-request-error)",
        "  nmae: Unknown field.",
        "  config.llm.prompt: Say what the bot is to do.",
        "  request id: req-1",
    ]


@pytest.mark.parametrize("raw", [b"[]", b"{}", b'"x"', b'{"results": {}}'])
def test_a_list_that_is_none_is_said_to_be_none(
    shell: Shell, stand_in: StandIn, raw: bytes
) -> None:
    stand_in.faults = [Fault(200, raw=raw)]
    ran = shell("config", "list")
    assert ran.code == Exit.ERROR
    assert "not an answer of the API" in ran.err


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_that_is_no_json_is_said_to_be_none(
    shell: Shell, stand_in: StandIn, status: int
) -> None:
    stand_in.faults = [Fault(status, raw=b"<html>")]
    ran = shell("config", "get", "x")
    assert ran.code == Exit.ERROR
    assert f"{status} not an answer of the API" in ran.err
    assert "req-1" in ran.err


def test_a_wrong_key_is_not_repeated_to_the_user(shell: Shell, stand_in: StandIn) -> None:
    shell.environ["BOTSCONFIG_KEY"] = "no-such-key-zzz"
    assert shell("config", "list", "--verbose").code == Exit.NOT_AUTHORISED


def test_verbose_tells_the_wire_without_queries_and_bodies(shell: Shell, stand_in: StandIn) -> None:
    id = stand_in.add()
    ran = shell("--verbose", "config", "render", id, "--from", "+15550100", "--json")
    assert f"GET /twilio-config/{id}/render: 200" in ran.err
    assert "5550100" not in ran.err


def test_pages_are_fetched_from_the_same_server(shell: Shell, stand_in: StandIn) -> None:
    made = [stand_in.add(f"Bot {number}") for number in range(450)]
    page = shell("config", "list", "--limit", "0", "--json").json
    assert [config["id"] for config in page["results"]] == made[::-1]
    assert page["next"] is None
    assert len(stand_in.asked) == 3


def test_a_limit_is_kept(shell: Shell, stand_in: StandIn) -> None:
    for number in range(300):
        stand_in.add(f"Bot {number}")
    page = shell("config", "list", "--limit", "250", "--json").json
    assert len(page["results"]) == 250
    assert page["next"]
    assert "There are more" in shell("config", "list", "--limit", "2").err


def test_waits_grow_and_end() -> None:
    waits = [wait_s(attempt, None, 0) or 0 for attempt in range(1, ATTEMPTS)]
    assert all(0.25 * 2**number <= wait <= 0.5 * 2**number for number, wait in enumerate(waits))
    assert wait_s(ATTEMPTS, None, 0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert wait_s(1, header, now_s=10) == seconds


@pytest.mark.parametrize("header", ["soon", "-1", "²", ""])
def test_a_retry_after_that_is_none_is_not_followed(header: str) -> None:
    waited = wait_s(1, header, now_s=0)
    assert waited is not None
    assert waited <= 0.5
