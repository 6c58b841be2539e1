"""Twilio's stand-in, put together: one object that is the ASGI application and holds the rest."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from apps.simulator.twilio.asking import ByHand, Network
from apps.simulator.twilio.callbacks import StatusCallbacks
from apps.simulator.twilio.drills import Drills
from apps.simulator.twilio.network import PhoneNetwork
from apps.simulator.twilio.rest import RestApi
from apps.simulator.twilio.state import Call, World
from apps.simulator.twilio.webhooks import Webhooks
from apps.voice.ports import Clock

_NEWS_S = 10.0


class StandIn:
    """One Twilio. Everything about it happens on one event loop.

    transport: of its webhooks; none, real HTTP. Calls are moved by hand until ``go_live``.
    """

    def __init__(
        self, world: World | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.world = world or World()
        self.drills = Drills()
        self.webhooks = Webhooks(self.world, transport)
        self.callbacks = StatusCallbacks(self.world, self.webhooks)
        self.network: Network = ByHand(self.world)
        self.rest = RestApi(self.world, self.network, self.drills)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.rest(scope, receive, send)

    def go_live(self, clock: Clock) -> PhoneNetwork:
        """Let calls live by themselves from now on."""
        self.network = network = PhoneNetwork(self.world, self.webhooks, self.callbacks, clock)
        self.rest.network = network
        self.rest.news = self._news
        return network

    def moves(self, call: Call, status: str, **facts: Any) -> None:
        """Put a call into a status by hand, and send the callback of it.

        status: any of Twilio's, or ``initiated``, which is an event and no status. facts: such as
        ``answered_by`` or ``sip_code``.
        """
        call.facts |= facts
        if status != "initiated":
            self.world.call_move(call, status)
        self.callbacks.tell(call, status)

    async def aclose(self) -> None:
        if isinstance(self.network, PhoneNetwork):
            await self.network.aclose()
        await self.callbacks.aclose()
        await self.webhooks.aclose()

    async def _news(self) -> None:
        self.webhooks.answered.clear()
        async with asyncio.timeout(_NEWS_S):
            await self.webhooks.answered.wait()
