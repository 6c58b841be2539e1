"""A strict receiver of events on loopback, which verifies signatures by itself.

Written from the Standard Webhooks specification, without our own code. It serves on a loop of its
own, because a sweep runs one of its own, too.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from tests.vendors.serving import Exchange, Seen, StandIn, serving

Answer = Callable[[Exchange], Awaitable[None]]


class Receiver(StandIn):
    """Accepts what is signed by one of its secrets; anything else is a refusal.

    secrets: by path; a path without one is not verified. answers: what to answer, by path; the last
    stays. received: payloads in order. most_at_once: requests that were under way together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, list[str]] = {}
        self.answers: dict[str, list[Answer]] = {}
        self.received: list[dict[str, Any]] = []
        self.most_at_once: dict[str, int] = {}
        self.release = threading.Event()
        self._at_once: dict[str, int] = {}

    def ids(self, path: str = "") -> list[str]:
        return [seen.headers["webhook-id"] for seen in self.seen if path in ("", seen.path)]

    async def http(self, exchange: Exchange) -> None:
        seen, path = exchange.seen, exchange.seen.path
        if why := wrong(seen, self.secrets.get(path, [])):
            await exchange.answer(400, {"error": self.refuse(why)})
            return
        self.received.append(seen.json())
        self._at_once[path] = self._at_once.get(path, 0) + 1
        self.most_at_once[path] = max(self.most_at_once.get(path, 0), self._at_once[path])
        try:
            waiting = self.answers.get(path, [says(204)])
            await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(exchange)
        finally:
            self._at_once[path] -= 1


def wrong(seen: Seen, secrets: list[str]) -> str:
    """Say what is wrong with a request; nothing, if nothing is."""
    headers, body = seen.headers, seen.body
    if seen.method != "POST" or headers.get("content-type") != "application/json":
        return "no POST of JSON"
    if "authorization" in headers or "cookie" in headers:
        return "credentials"
    id_, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not id_ or "." in id_ or not stamp.isdigit():
        return "id or timestamp"
    payload = json.loads(body)
    if payload.keys() != {"id", "type", "timestamp", "data"} or payload["id"] != id_:
        return f"members: {sorted(payload)}"
    given = headers.get("webhook-signature", "").split(" ")
    if not all(one.startswith("v1,") for one in given) or len(set(given)) != len(given):
        return "the form of the signatures"
    wanted = [signed(secret, f"{id_}.{stamp}.".encode() + body) for secret in secrets]
    if secrets and not any(hmac.compare_digest(one, two) for one in given for two in wanted):
        return "no signature fits"
    return ""


def signed(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.split("_", 1)[1])
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


class Serving:
    """Serves a receiver until the block ends."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._ready, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Receiver:
        self._thread.start()
        assert self._ready.wait(5)
        return self._receiver

    def __exit__(self, *_exc: object) -> None:
        self._receiver.release.set()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with serving(self._receiver):
            self._ready.set()
            await self._over.wait()


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(status, body, **headers)

    return answer


async def hangs(exchange: Exchange) -> None:
    """Take the request and never answer."""
    await exchange.until_gone()


async def cuts(exchange: Exchange) -> None:
    """Take the request and break the connection off."""
    exchange.hang_up()


async def floods(exchange: Exchange) -> None:
    """Accept, and send an answer without an end."""
    await exchange.start(200, content_type="text/plain")
    while True:
        await exchange.piece(b"x" * 65_536)
