"""Twilio on loopback, for tests: the fixture ``twilio``, in a thread of its own.

twilio.url: what TWILIO_API_URL is to be
twilio.sid, .token, .key_sid, .key_secret: an account's credentials; .account, .world for more
twilio.add_number("+14155550100", VoiceUrl="https://..."): a number of ours: .sid, .settings
twilio.verify("+14155550101"): somebody else's number that we may call from
twilio.calls, .call: calls, oldest first, and the newest: .sid, .status, .history, .asked.get("To")
twilio.requests, twilio.asked("calls.create"): requests so far; the form fields of an operation's
twilio.findings: slips that Twilio ignores; a test at whose end there are any fails
twilio.drills.late(2) .mute() .fails(503) .refuses(20429) .resets(): spoils the next create;
    done=False: nothing was placed; operation="calls.update": spoils another operation
twilio.moves(call, "initiated", "ringing", "in-progress", "completed", answered_by="human"): moves a
    call by hand and sends a callback for each, if the create asked for it
twilio.callbacks.twice("completed") .dropped("ringing") .swapped("ringing"): spoils callbacks
twilio.post("https://.../twilio/voice/1", CallSid="CA..."): sends any signed webhook of the account;
    method="GET", or as_json=True with bodySHA256; twilio.shared_key = SharedKey(...) signs by it
twilio.deliver(client): hands the webhooks that wait to Django's test client, in the test's own
    thread (and transaction), until none is left; returns the responses
twilio.deliver_until(client, lambda: twilio.call.ended): the same, until something has happened
twilio.sent: webhooks so far: .url, .fields, .headers, .status

After ``twilio.live(speed=100)`` calls live by themselves, their seconds a hundred times as fast
(the audio of streams stays in real time): they fetch or run their TwiML, ring, talk and end.
twilio.people["+12025550143"] = Person("busy", after_s=2, hang_up_after_s=9, script=[...]): who is
    there ("answers", "machine", "silent", "rejects", ...); anybody else answers and says nothing
twilio.dial_in("+14155550100", "+12025550143", Person(...)): somebody calls one of our numbers
twilio.hangs_up(call), twilio.presses(call, "1#"): what the person at its end does
twilio.heard(call): what the line carried: ["say: Hello", "stream: wss://...", "digits: 1"]
twilio.streams(call): a CallRecord of each stream, with the audio as heard
twilio.network.habits: .detect_s, .stop = "lost" ...; twilio.world.routes: where URLs really lead

Webhooks wait for ``deliver``: nothing leaves the process. ``twilio_in_thread()`` sends them over
real HTTP instead, and ``twilio_serving()`` is the same inside a running loop.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import httpx

from apps.simulator.record import CallRecord
from apps.simulator.twilio.callbacks import StatusCallbacks
from apps.simulator.twilio.drills import Drills
from apps.simulator.twilio.network import PhoneNetwork
from apps.simulator.twilio.people import Person
from apps.simulator.twilio.rest import Request
from apps.simulator.twilio.serving import serving
from apps.simulator.twilio.signing import SharedKey
from apps.simulator.twilio.stand_in import StandIn
from apps.simulator.twilio.state import Account, Call, Finding, Resource, World
from apps.simulator.twilio.tempo import FastClock
from apps.simulator.twilio.webhooks import Hook, Sent, WebhookFailed
from apps.voice.clock import LoopClock

Result = TypeVar("Result")
_PATIENCE_S = 10.0


class Mailbox(httpx.AsyncBaseTransport):
    """A transport in which requests wait until somebody delivers them."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[httpx.Request, asyncio.Future[httpx.Response]]] = (
            queue.Queue()
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self.waiting.put((request, answer))
        return await answer


class TwilioStandIn:
    """A stand-in and its reins. May be used from any thread; from its own loop's too."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.mailbox = transport if isinstance(transport, Mailbox) else None
        self.stand_in = StandIn(transport=transport)
        self.account: Account = self.world.account_add()
        self.key = self.world.key_add(self.account)
        self.url = ""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def world(self) -> World:
        return self.stand_in.world

    @property
    def drills(self) -> Drills:
        return self.stand_in.drills

    @property
    def callbacks(self) -> StatusCallbacks:
        return self.stand_in.callbacks

    @property
    def sid(self) -> str:
        return self.account.sid

    @property
    def token(self) -> str:
        return self.account.auth_token

    @property
    def key_sid(self) -> str:
        return self.key.sid

    @property
    def key_secret(self) -> str:
        return self.key.secret

    @property
    def calls(self) -> list[Call]:
        return list(self.world.calls.values())

    @property
    def call(self) -> Call:
        return self.calls[-1]

    @property
    def shared_key(self) -> SharedKey | None:
        return self.stand_in.webhooks.shared

    @shared_key.setter
    def shared_key(self, key: SharedKey | None) -> None:
        self.stand_in.webhooks.shared = key

    @property
    def requests(self) -> list[Request]:
        return self.stand_in.rest.requests

    @property
    def findings(self) -> list[Finding]:
        return self.world.findings

    @property
    def sent(self) -> list[Sent]:
        return self.stand_in.webhooks.sent

    def asked(self, operation: str) -> list[dict[str, str | list[str]]]:
        """List the fields of every request of an operation, such as ``calls.create``."""
        return [dict(one.fields) for one in self.requests if one.operation == operation]

    def add_number(self, phone_number: str, **settings: str) -> Resource:
        return self.world.number_add(self.account, phone_number, **settings)

    def verify(self, phone_number: str) -> None:
        self.account.verified.add(phone_number)

    def moves(self, call: Call | str, *statuses: str, **facts: Any) -> None:
        """Move a call (or the one of that SID) through statuses, a callback for each."""
        found = self.world.calls[call] if isinstance(call, str) else call
        for status in statuses:
            self.on_loop(partial(self.stand_in.moves, found, status, **facts))

    # --- calls that live by themselves ----------------------------------------------------------

    def live(self, speed: float = 100.0) -> None:
        """Let calls live by themselves. speed: how many of their seconds pass in one."""
        self.on_loop(lambda: self.stand_in.go_live(FastClock(LoopClock(self._loop), speed)))

    @property
    def network(self) -> PhoneNetwork:
        network = self.stand_in.network
        assert isinstance(network, PhoneNetwork), "call twilio.live() first"
        return network

    @property
    def people(self) -> dict[str, Person]:
        return self.network.people

    def dial_in(self, to: str, from_: str, person: Person | None = None) -> Call:
        return self.on_loop(partial(self.network.dial_in, to, from_, person))

    def hangs_up(self, call: Call) -> None:
        self.on_loop(partial(self.network.hang_up, call))

    def presses(self, call: Call, digits: str) -> None:
        self.on_loop(partial(self.network.press, call, digits))

    def heard(self, call: Call) -> list[str]:
        return [f"{one.kind}: {one.what}" for one in self.network.live[call.sid].heard]

    def streams(self, call: Call) -> list[CallRecord]:
        return [record for _, record in self.network.live[call.sid].streams]

    # --- webhooks -------------------------------------------------------------------------------

    def post(self, url: str, *, method: str = "POST", as_json: bool = False, **fields: str) -> None:
        """Send a signed webhook of the account, whatever is in it."""
        self.on_loop(partial(self._post, Hook(url, method, as_json), fields))

    def deliver(self, client: Any, **extra: Any) -> list[Any]:
        """Hand every webhook that waits, and those that follow from it, to a Django test client.

        extra: of the request's environment, such as ``HTTP_HOST``. Returns the responses.
        """
        return self.deliver_until(client, lambda: not self.stand_in.webhooks.open, **extra)

    def deliver_until(self, client: Any, true: Callable[[], bool], **extra: Any) -> list[Any]:
        """Hand over webhooks, as ``deliver`` does, until something has happened here."""
        assert self.mailbox is not None, "these webhooks go over real HTTP"
        answers = []
        until_s = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < until_s, "it did not happen"
            with suppress(queue.Empty):
                request, answer = self.mailbox.waiting.get(timeout=0.01)
                response = _ask(client, request, extra)
                answers.append(response)
                kind = {"content-type": response.get("content-type", "")}
                told = httpx.Response(response.status_code, headers=kind, content=response.content)
                self.on_loop(partial(_answer, answer, told))
        return answers

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait, from another thread, until something has happened here."""
        until_s = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < until_s, "it did not happen"
            time.sleep(0.002)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait, in a running loop, until something has happened here."""
        until_s = time.monotonic() + _PATIENCE_S
        while not true():
            assert time.monotonic() < until_s, "it did not happen"
            await asyncio.sleep(0.002)

    def on_loop(self, act: Callable[[], Result]) -> Result:
        """Do something on the stand-in's own loop and return what came of it."""
        if threading.get_ident() == self._thread:
            return act()

        async def perform() -> Result:
            return act()

        return asyncio.run_coroutine_threadsafe(perform(), self._loop).result(_PATIENCE_S)

    def _post(self, hook: Hook, fields: dict[str, str]) -> None:
        self.stand_in.webhooks.open += 1
        task = asyncio.create_task(self._ask(hook, fields))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, hook: Hook, fields: dict[str, str]) -> None:
        try:
            await self.stand_in.webhooks.ask(self.account, hook, fields)
        except WebhookFailed as failed:
            self.world.alert(failed.code, failed.text)
        finally:
            self.stand_in.webhooks.open -= 1


def _answer(waiting: asyncio.Future[httpx.Response], told: httpx.Response) -> None:
    if not waiting.done():  # the call may have ended while it was being answered
        waiting.set_result(told)


def _ask(client: Any, request: httpx.Request, extra: dict[str, Any]) -> Any:
    meta = {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in request.headers.items()
        if name not in ("host", "content-length", "content-type", "connection")
    }
    return client.generic(
        request.method,
        request.url.raw_path.decode(),
        request.content,
        content_type=request.headers.get("content-type", ""),
        secure=request.url.scheme == "https",
        **{**meta, **extra},
    )


@asynccontextmanager
async def twilio_serving(
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[TwilioStandIn]:
    """Serve from this event loop until the block ends. transport: of webhooks; none, real HTTP."""
    twilio = TwilioStandIn(transport)
    async with serving(twilio.stand_in) as twilio.url:
        try:
            yield twilio
        finally:
            await twilio.stand_in.aclose()


@contextmanager
def twilio_in_thread(
    transport: httpx.AsyncBaseTransport | None = None,
) -> Iterator[TwilioStandIn]:
    """Serve from a thread until the block ends."""
    ready: queue.Queue[tuple[TwilioStandIn, asyncio.AbstractEventLoop, asyncio.Event]] = (
        queue.Queue()
    )

    async def serve() -> None:
        over = asyncio.Event()
        async with twilio_serving(transport) as twilio:
            ready.put((twilio, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="twilio")
    thread.start()
    twilio, loop, over = ready.get(timeout=_PATIENCE_S)
    try:
        yield twilio
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def nothing_found(findings: Sequence[Finding]) -> None:
    """Fail if a client did something that Twilio would have ignored."""
    assert list(findings) == []
