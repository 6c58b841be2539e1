"""Whole calls without audio models: Twilio's stand-in, the real server, and bots by script.

Everything runs in the test's loop, over real HTTP and real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn

from apps.accounts.audit import Actor
from apps.accounts.connections import connection_create
from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.callbacks import callbacks_sweep
from apps.calls.models import Call
from apps.gateway.runtime import Gateway, gateway, gateway_close
from apps.gateway.session import Session
from apps.simulator.twilio.people import Person
from apps.simulator.twilio.state import Call as TwilioCall
from botsconfig.asgi import application
from tests.conftest import ApiFor
from tests.gateway.conftest import in_database_thread
from tests.support.twilio import TwilioStandIn, nothing_found, twilio_serving

OURS, CALLER, HUMAN = "+14155550100", "+12025550143", "+12025550199"
PATIENCE_S = 15.0


class Exchange:
    """A served application and Twilio's stand-in, for calls to a bot of one account."""

    def __init__(self, twilio: TwilioStandIn, account: Account, api_for: ApiFor) -> None:
        self.twilio = twilio
        self.account = account
        self._api_for = api_for
        self.call: TwilioCall

    async def connect(self, **given: str) -> None:
        """Store the account's connection to the stand-in, by its auth token unless said."""
        given = given or {"account_sid": self.twilio.sid, "auth_token": self.twilio.token}
        await in_database_thread(connection_create)(
            account=self.account, given=given, actor=Actor()
        )

    async def ring(self, bot: TwilioConfig, person: Person | None = None) -> Session:
        """Call the bot; returns its session when the stream has begun."""
        origin = "https://voice.example.com/twilio"
        self.twilio.add_number(
            OURS,
            VoiceUrl=f"{origin}/voice/{bot.id}",
            StatusCallback=f"{origin}/status?account={self.account.pk}",
        )
        self.call = self.twilio.dial_in(OURS, CALLER, person)
        await self.until(lambda: bool(self.gateway.sessions))
        await self.written()
        return self.session

    @property
    def gateway(self) -> Gateway:
        return gateway()

    @property
    def session(self) -> Session:
        (found,) = self.gateway.sessions.values()
        return found

    async def written(self) -> None:
        """Wait until the journal has written what it knows, and callbacks have been applied."""
        await self.gateway.journal.flushed(PATIENCE_S)
        await in_database_thread(callbacks_sweep)()

    async def post(self, path: str, **body: Any) -> Any:
        """Ask the API about the call, as a client in another thread."""

        def ask() -> Any:
            call = Call.objects.get()
            url = f"/calls/{call.pk}{path}"
            return self._api_for(self.account).post(url, body, format="json")

        return await in_database_thread(ask)()

    async def row(self) -> Call:
        return await in_database_thread(Call.objects.get)()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - many things may make it so
                await asyncio.sleep(0.005)

    async def until_row(self, true: Callable[[Call], bool]) -> Call:
        """Wait until the call's row is so, with callbacks applied as they come."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.written()
                row = await self.row()
                if true(row):
                    return row
                await asyncio.sleep(0.02)

    def leg(self, to: str) -> TwilioCall:
        """The newest call of the stand-in's to somebody."""
        return [call for call in self.twilio.calls if call.to == to][-1]

    def heard(self) -> list[str]:
        """What the caller's line carried."""
        return self.twilio.heard(self.call)


@contextlib.asynccontextmanager
async def exchange_of(
    account: Account, api_for: ApiFor, settings: Any, *, speed: float = 20.0
) -> AsyncIterator[Exchange]:
    """Serve until the block ends. speed: of everything but the streams' audio."""
    port = _free_port()
    config = uvicorn.Config(
        application, port=port, ws="websockets-sansio", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it no other way
        await asyncio.sleep(0.005)
    async with twilio_serving() as twilio:
        settings.TWILIO_API_URL = twilio.url
        twilio.world.routes["https://voice.example.com"] = f"http://127.0.0.1:{port}"
        twilio.live(speed)
        try:
            yield Exchange(twilio, account, api_for)
        finally:
            await twilio.network.aclose()
            await gateway_close()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving
    nothing_found(twilio.findings)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
