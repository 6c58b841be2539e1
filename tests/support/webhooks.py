"""A webhook of tools on loopback, as strict as a careful one, and a bot's reins to hand to it.

Written from Daily Bots' guide "Webhooks" as far as it is public, and from ``docs/tools.md``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from apps.voice.ports import ChatMessage
from tests.vendors.serving import Exchange, StandIn, serving

KEY = "secret-words-of-a-header"
Answers = Callable[[Exchange], Awaitable[None]]


class WebhookStandIn(StandIn):
    """Answers tools by path. ``refusals`` must stay empty: a request that a strict server would not
    take is a 400 here."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Answers] = {}

    async def http(self, exchange: Exchange) -> None:
        if why := self._wrong(exchange):
            await exchange.answer(400, {"error": self.refuse(why)})
            return
        await self.answers[exchange.seen.path](exchange)

    def _wrong(self, exchange: Exchange) -> str:
        seen = exchange.seen
        if seen.path not in self.answers:
            return f"no such path: {seen.path}"
        if seen.headers.get("accept-encoding") != "identity":
            return "an encoding was asked for"
        if "cookie" in seen.headers:
            return "a cookie"
        if seen.method == "GET":
            return "a GET with a body" if seen.body or "content-type" in seen.headers else ""
        if seen.headers.get("content-type") != "application/json":
            return "no JSON"
        body = seen.json()
        if body.keys() != {"function_name", "tool_call_id", "arguments"}:
            return f"members: {sorted(body)}"
        kinds = [type(body[name]) for name in ("function_name", "tool_call_id", "arguments")]
        return "" if kinds == [str, str, dict] else "types"


@asynccontextmanager
async def webhooks(**answers: Answers) -> AsyncIterator[WebhookStandIn]:
    """Serve webhooks at ``/<name>`` until the block ends."""
    stand_in = WebhookStandIn()
    stand_in.answers = {f"/{name}": answer for name, answer in answers.items()}
    async with serving(stand_in):
        yield stand_in
    assert stand_in.refusals == []


def says(body: Any, status: int = 200, **headers: str) -> Answers:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, body, **headers)

    return answer


def moves(status: int, to: Callable[[], str]) -> Answers:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, b"", location=to())

    return answer


async def hangs(exchange: Exchange) -> None:
    """Take the request and never answer."""
    await exchange.until_gone()


def streams(*lines: bytes | dict[str, Any] | Awaitable[Any]) -> Answers:
    """Send lines; wait for what can be waited for."""

    async def answer(exchange: Exchange) -> None:
        await exchange.start(200, content_type="application/x-ndjson")
        for line in lines:
            if isinstance(line, bytes):
                await exchange.piece(line)
            elif isinstance(line, dict):
                await exchange.piece(json.dumps(line).encode() + b"\n")
            else:
                await line
        await exchange.end()

    return answer


def action(service: str, name: str, **arguments: Any) -> dict[str, Any]:
    listed = [{"name": key, "value": value} for key, value in arguments.items()]
    return {"service": service, "action": name, "arguments": listed}


class Reins:
    """Implements ``ports.Controls``: remembers what it was told."""

    def __init__(self, *, turn_is_ours: bool = True) -> None:
        self.turn_is_ours = turn_is_ours
        self.did: list[Any] = []

    async def say(self, text: str) -> bool:
        self.did.append(text)
        return self.turn_is_ours

    def append(self, messages: Sequence[ChatMessage]) -> None:
        self.did.append(("append", [(one.role, one.content) for one in messages]))

    def set_context(self, messages: Sequence[ChatMessage]) -> None:
        self.did.append(("set_context", [(one.role, one.content) for one in messages]))
