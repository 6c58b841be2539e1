"""Asking webhooks over real HTTP: what is sent, what is made of the answer, what is refused."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.bots import toolruns
from apps.bots.toolruns import (
    ANSWER_BYTES,
    NONSENSE,
    RESULT_CHARACTERS,
    UNREACHABLE,
    Webhook,
    WebhookRun,
    webhook_run,
)
from apps.providers import connections
from apps.voice.ports import ToolCall
from apps.voice.toolwords import BROKEN, NO_ANSWER, NOTHING_SAID
from tests.support.webhooks import (
    KEY,
    Answers,
    Reins,
    WebhookStandIn,
    action,
    hangs,
    moves,
    says,
    streams,
    webhooks,
)
from tests.vendors.serving import Cut, Exchange

ARGUMENTS = {"day": "Monday", "guests": 2, "wishes": {"window": True, "names": ["Ann", "Bo"]}}


@pytest.fixture(autouse=True)
async def _loopback_alone(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    async with connections.closing():
        yield


async def ask(
    stand_in: WebhookStandIn, name: str = "book", reins: Reins | None = None, **hook: Any
) -> WebhookRun:
    """Ask the webhook of that name."""
    given = {"headers": {"X-Key": KEY}, "timeout_s": 2.0, **hook}
    webhook = Webhook(name, f"{stand_in.url}/{name}", **given)
    call = ToolCall("call_7", name, ARGUMENTS)
    return await webhook_run(webhook, call, reins or Reins())


async def result_of(answer: Answers, **hook: Any) -> WebhookRun:
    async with webhooks(book=answer) as stand_in:
        return await ask(stand_in, **hook)


async def test_a_post_carries_the_function_the_call_and_the_arguments() -> None:
    async with webhooks(book=says({"booked": True})) as stand_in:
        run = await ask(stand_in)
    seen = stand_in.seen[0]
    assert (seen.method, seen.headers["x-key"]) == ("POST", KEY)
    assert seen.json() == {
        "function_name": "book",
        "tool_call_id": "call_7",
        "arguments": ARGUMENTS,
    }
    assert run.result.content == '{"booked":true}'
    assert (run.result.outcome, run.result.status, run.error) == ("ok", 200, "")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_other_methods_carry_the_same_body(method: str) -> None:
    async with webhooks(book=says({})) as stand_in:
        await ask(stand_in, method=method)
    assert stand_in.seen[0].method == method
    assert stand_in.seen[0].json()["arguments"] == ARGUMENTS


async def test_a_get_has_the_arguments_in_its_query_nested_ones_as_json() -> None:
    async with webhooks(book=says("noon")) as stand_in:
        webhook = Webhook("book", f"{stand_in.url}/book?v=1", "GET")
        run = await webhook_run(webhook, ToolCall("c", "book", ARGUMENTS), Reins())
    query = stand_in.seen[0].query
    assert {name: query[name] for name in ("v", "day", "guests")} == {
        "v": "1",
        "day": "Monday",
        "guests": "2",
    }
    assert json.loads(query["wishes"]) == ARGUMENTS["wishes"]
    assert run.result.content == "noon"


async def test_headers_may_hold_what_is_not_ascii_and_replace_ours() -> None:
    headers = {"X-House": " Café ", "User-Agent": "house"}
    async with webhooks(book=says({})) as stand_in:
        await ask(stand_in, headers=headers)
    seen = stand_in.seen[0].headers
    assert seen["x-house"].encode("latin-1").decode() == "Café"
    assert seen["user-agent"] == "house"


@pytest.mark.parametrize(
    ("answer", "told", "outcome"),
    [
        (says(b"", 204), NOTHING_SAID, "ok"),
        (says(b"  \n"), NOTHING_SAID, "ok"),
        (says(b"It is open.", content_type="text/plain; charset=utf-8"), "It is open.", "ok"),
        (says(b'"open"', content_type="text/html"), "open", "ok"),
        (says(b"<html>", content_type="text/html"), NONSENSE, "unreadable"),
        (says(b"{", content_type="application/json"), NONSENSE, "unreadable"),
        (says(b"\xff\xfe\x00"), NONSENSE, "unreadable"),
        (says(b"x", content_encoding="gzip"), NONSENSE, "unreadable"),
    ],
)
async def test_an_answer_is_worded_for_the_model(answer: Answers, told: str, outcome: str) -> None:
    run = await result_of(answer)
    assert (run.result.content, run.result.outcome) == (told, outcome)


@pytest.mark.parametrize("status", [500, 503, 404, 300])
async def test_a_status_of_failure_is_told_as_such(status: int) -> None:
    run = await result_of(says(b"secret-words", status))
    assert f"failed (HTTP {status})" in run.result.content
    assert "secret-words" not in run.result.content + run.error
    assert (run.result.outcome, run.result.status) == ("failed", status)


async def test_a_refusal_in_json_says_to_the_model_what_to_do_better() -> None:
    run = await result_of(says({"error": "We are closed on Mondays."}, 422))
    assert "We are closed on Mondays." in run.result.content
    assert "did not do its work" in run.result.content


async def test_a_long_answer_is_cut_and_says_so() -> None:
    run = await result_of(says({"text": "x" * 20_000}))
    assert len(run.result.content) < RESULT_CHARACTERS + 100
    assert run.result.content.endswith("(Cut here: the whole answer has 20011 characters.)")


async def test_of_an_endless_answer_no_more_is_read_than_allowed() -> None:
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.start(200, content_type="application/json")
        await exchange.piece(b'{"text": "')
        while True:
            sent += 65_536
            await exchange.piece(b"x" * 65_536)

    async with webhooks(book=endless) as stand_in:
        run = await ask(stand_in, timeout_s=5)
        await stand_in.until(lambda: stand_in.live == 0)
    assert len(run.response_body) == ANSWER_BYTES
    assert f"more than {ANSWER_BYTES} bytes" in run.result.content
    assert sent < 40 * ANSWER_BYTES  # what loopback's own buffers take


async def test_the_whole_answer_has_one_time_however_it_drips() -> None:
    async def drips(exchange: Exchange) -> None:
        await exchange.start(200, content_type="application/json")
        while True:
            await exchange.piece(b" ")
            await asyncio.sleep(0.05)

    async with webhooks(book=drips) as stand_in:
        async with asyncio.timeout(2):
            run = await ask(stand_in, timeout_s=0.5)
        await stand_in.until(lambda: stand_in.live == 0)
    assert (run.result.content, run.result.outcome) == (NO_ANSWER, "timeout")
    assert run.error == "No whole answer within 0.5 s."


async def test_a_webhook_that_hangs_is_left_in_time() -> None:
    async with webhooks(book=hangs) as stand_in:
        async with asyncio.timeout(1.5):
            run = await ask(stand_in, timeout_s=0.2)
        await stand_in.until(lambda: stand_in.live == 0)
    assert run.result.outcome == "timeout"


async def test_a_connection_that_breaks_is_told_without_claiming_anything() -> None:
    async def cuts(exchange: Exchange) -> None:
        await exchange.start(200, content_type="application/json", content_length="100")
        await exchange.piece(b"{")
        raise Cut

    run = await result_of(cuts)
    assert (run.result.content, run.result.outcome) == (BROKEN, "failed")


async def test_nobody_there_is_told_as_nothing_done() -> None:
    webhook = Webhook("book", "http://127.0.0.1:1/book")
    run = await webhook_run(webhook, ToolCall("c", "book", {}), Reins())
    assert (run.result.content, run.result.outcome) == (UNREACHABLE, "unreachable")


@pytest.mark.parametrize("arguments", [{"n": 2**70}, {"s": "\ud800"}, {"x": float("nan")}])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_arguments_that_no_json_holds_are_no_crash(
    arguments: dict[str, Any], method: str
) -> None:
    async with webhooks(book=says({})) as stand_in:
        webhook = Webhook("book", f"{stand_in.url}/book", method)
        run = await webhook_run(webhook, ToolCall("c", "book", arguments), Reins())
    assert run.result.outcome in ("ok", "failed")


# --- redirects ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        *((status, "POST", "GET") for status in (301, 302, 303)),
        *((status, "POST", "POST") for status in (307, 308)),
        *((status, "PUT", "PUT") for status in (301, 302, 307, 308)),
        (303, "PUT", "GET"),
        *((status, "GET", "GET") for status in (301, 302, 303, 307, 308)),
    ],
)
async def test_a_redirect_keeps_the_method_as_http_has_it(
    status: int, method: str, then: str
) -> None:
    async with webhooks(book=moves(status, lambda: "/new"), new=says("there")) as stand_in:
        run = await ask(stand_in, method=method)
    assert run.result.content == "there"
    assert stand_in.seen[1].method == then
    assert stand_in.seen[1].headers["x-key"] == KEY  # the same origin
    assert bool(stand_in.seen[1].body) is (then != "GET")


@pytest.mark.parametrize("status", [302, 307])
async def test_headers_are_not_told_to_another_origin(status: int) -> None:
    async with (
        webhooks(new=says("there")) as other,
        webhooks(book=moves(status, lambda: f"{other.url}/new")) as stand_in,
    ):
        run = await ask(stand_in)
    assert run.result.content == "there"
    assert KEY not in repr(other.seen[0])


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async with webhooks(inside=says("secret-words")) as inside:
        port = inside.url.rpartition(":")[2]
        for host in ("127.0.0.2", "localhost.localdomain", "[::ffff:127.0.0.1]", "0x7f000002"):
            to = f"http://{host}:{port}/inside"
            async with webhooks(book=moves(307, lambda to=to: to)) as stand_in:  # type: ignore[misc]
                run = await ask(stand_in)
            assert run.result.outcome in ("refused", "unreachable"), host
        assert inside.seen == []


async def test_it_is_not_redirected_for_ever() -> None:
    async with webhooks(book=moves(307, lambda: "/book")) as stand_in:
        run = await ask(stand_in)
    assert run.result.outcome == "unreadable"
    assert len(stand_in.seen) == 1 + toolruns.REDIRECTS


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://", "http://[x"])
async def test_a_redirect_out_of_http_is_not_followed(to: str) -> None:
    run = await result_of(moves(302, lambda: to))
    assert run.result.outcome in ("unreadable", "failed", "unreachable")
    assert run.result.content != UNREACHABLE
    assert to not in run.error


@pytest.mark.parametrize("host", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "[::1]", "0.0.0.0"])
async def test_a_private_address_is_not_asked(host: str) -> None:
    webhook = Webhook("book", f"http://{host}:9/book", timeout_s=2)
    run = await webhook_run(webhook, ToolCall("c", "book", {}), Reins())
    assert (run.result.outcome, run.result.content) == ("refused", UNREACHABLE)
    assert "PRIVATE_ADDRESSES" in run.error


async def test_a_cookie_is_not_sent_to_the_next_who_asks() -> None:
    async with webhooks(book=says({}, set_cookie="account=ours; Path=/")) as stand_in:
        await ask(stand_in)
        await ask(stand_in)
    assert len(stand_in.seen) == 2
    assert not list(connections.http(guarded=True).cookies.jar)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_nothing_of_request_or_answer_is_logged(
    caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (says({"secret-words": 1}), says(b"secret-words", 500), says(b"secret-words")):
        run = await result_of(answer, method=method)
        assert "secret-words" not in run.error
    assert logging.getLogger().isEnabledFor(logging.DEBUG)
    for secret in ("secret-words", KEY, "Monday"):
        assert secret not in caplog.text


# --- streams of actions -------------------------------------------------------------------------


async def test_actions_are_done_while_they_arrive() -> None:
    reins, more = Reins(), asyncio.Event()
    answer = streams(
        action("tts", "say", text="One."), more.wait(), action("tts", "say", text="Two.")
    )
    async with webhooks(book=answer) as stand_in:
        asking = asyncio.create_task(ask(stand_in, reins=reins, streaming=True))
        await stand_in.until(lambda: reins.did == ["One."])
        assert not asking.done()
        more.set()
        run = await asking
    assert reins.did == ["One.", "Two."]
    assert run.result.content == "The tool has told the caller: One. Two."
    assert (run.result.told, run.result.ends_call) == (True, False)


async def test_every_action_does_what_it_says() -> None:
    reins = Reins()
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "model", "parts": [{"text": "Hello."}]},
    ]
    answer = streams(
        action("llm", "set_context", messages=messages),
        action("llm", "append_to_messages", messages=[{"role": "user", "content": "Hi."}]),
        action("tts", "say", text="Bye."),
        action("system", "end"),
    )
    async with webhooks(book=answer) as stand_in:
        run = await ask(stand_in, reins=reins, streaming=True)
    assert reins.did == [
        ("set_context", [("system", "Be kind."), ("assistant", "Hello.")]),
        ("append", [("user", "Hi.")]),
        "Bye.",
    ]
    assert run.result.ends_call
    assert not run.result.told  # it wants the model to answer what it added


@pytest.mark.parametrize("immediately", [False, True])
async def test_a_stream_says_whether_the_model_is_to_speak(immediately: bool) -> None:
    adding = {"messages": [{"role": "user", "content": "Hi."}], "run_immediately": immediately}
    answer = streams(
        action("llm", "append_to_messages", **adding), action("tts", "say", text="So.")
    )
    run = await result_of(answer, streaming=True)
    assert run.result.told is not immediately


NO_ACTIONS: dict[str, bytes | dict[str, Any]] = {
    "no JSON": b"secret-words\n",
    "half": b'{"service": "tts"\n',
    "a list": b"[1]\n",
    "a number": b"7\n",
    "unknown": action("tts", "shout", text="Ho."),
    "without a text": action("tts", "say"),
    "another kind of text": action("tts", "say", text=7),
    "without messages": action("llm", "set_context"),
    "no messages": action("llm", "set_context", messages=[]),
    "odd messages": action("llm", "append_to_messages", messages=[{"role": "tool"}]),
    "odd arguments": {"service": "tts", "action": "say", "arguments": "text"},
    "too long": b"x" * 70_000 + b"\n",
}


@pytest.mark.parametrize("line", NO_ACTIONS.values(), ids=NO_ACTIONS)
async def test_what_is_no_action_is_noted_and_skipped(line: bytes | dict[str, Any]) -> None:
    reins = Reins()
    answer = streams(line, b"\n\r\n", action("tts", "say", text="On we go."))
    async with webhooks(book=answer) as stand_in:
        run = await ask(stand_in, reins=reins, streaming=True)
    assert reins.did == ["On we go."]
    skipped, done = run.actions
    assert not skipped["done"]
    assert skipped["why"]
    assert done == {"service": "tts", "action": "say", "done": True, "why": ""}
    assert "secret-words" not in repr(run.actions)


async def test_lines_may_come_in_any_pieces_and_the_last_without_an_end() -> None:
    text = json.dumps(action("tts", "say", text="Bit by bit.")).encode()
    reins = Reins()
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    async with webhooks(book=streams(*pieces)) as stand_in:
        await ask(stand_in, reins=reins, streaming=True)
    assert reins.did == ["Bit by bit."]


async def test_arguments_may_be_an_object_and_actions_in_the_clients_envelope() -> None:
    reins = Reins()
    inner = {"service": "tts", "action": "say", "arguments": {"text": "Hello."}}
    answer = streams({"label": "rtvi-ai", "type": "action", "id": "1", "data": inner})
    async with webhooks(book=answer) as stand_in:
        await ask(stand_in, reins=reins, streaming=True)
    assert reins.did == ["Hello."]


@pytest.mark.parametrize("lines", [b"{}\n" * 1_000, b"\n" * 10_000, b"x" * 10_000])
async def test_an_endless_stream_is_left(lines: bytes) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.start(200)
        while True:
            await exchange.piece(lines)

    async with webhooks(book=endless) as stand_in:
        run = await ask(stand_in, streaming=True, timeout_s=5)
        await stand_in.until(lambda: stand_in.live == 0)
    assert run.result.outcome == "ok"
    assert len(run.actions) <= 501


async def test_a_stream_that_stops_in_the_middle_tells_what_was_said() -> None:
    answer = streams(action("tts", "say", text="One."), asyncio.Event().wait())
    run = await result_of(answer, streaming=True, timeout_s=0.3)
    assert run.result.content == f"The tool has told the caller: One.\n{NO_ANSWER}"
    assert (run.result.told, run.result.outcome) == (False, "timeout")


async def test_what_the_caller_did_not_let_it_say_is_known() -> None:
    answer = streams(action("tts", "say", text="One."))
    async with webhooks(book=answer) as stand_in:
        run = await ask(stand_in, reins=Reins(turn_is_ours=False), streaming=True)
    assert run.result.content.endswith("was not said: One.")
    assert not run.result.told


async def test_a_streaming_webhook_that_refuses_is_told_as_such() -> None:
    run = await result_of(says({"error": "No."}, 403), streaming=True)
    assert (run.result.outcome, run.result.status) == ("failed", 403)
