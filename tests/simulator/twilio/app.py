"""An application as Twilio sees it: documents by path, and a network in which calls live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from apps.simulator.twilio.state import Call
from tests.simulator.twilio.conftest import OURS, THEIRS
from tests.support.twilio import TwilioStandIn, twilio_serving

APP = "https://voice.example.com"
XML = "text/xml"


def twiml(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>'


class App(httpx.AsyncBaseTransport):
    """Answers by path. answers: TwiML's body, a status, or an exception; else 204."""

    def __init__(self) -> None:
        self.answers: dict[str, str | int | Exception | httpx.Response] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers.get(request.url.path, 204)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, int):
            return httpx.Response(answer)
        return httpx.Response(200, headers={"content-type": XML}, text=twiml(answer))


class Phones:
    """A stand-in whose calls live, and the application that it asks."""

    def __init__(self, twilio: TwilioStandIn, app: App) -> None:
        self.twilio = twilio
        self.app = app
        self._http = httpx.AsyncClient(
            base_url=f"{twilio.url}/2010-04-01/Accounts/{twilio.sid}",
            auth=(twilio.sid, twilio.token),
        )

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self._http.get(f"{path}.json", params=query)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self._http.post(f"{path}.json", data=fields)

    async def dial(self, body: str = "", **fields: Any) -> Call:
        """Call them; returns the call as soon as it is queued. body: of inline TwiML."""
        asked = {"To": THEIRS, "From": OURS, **fields}
        if not {"Url", "ApplicationSid"} & asked.keys():
            asked["Twiml"] = twiml(body)
        response = await self.post("/Calls", **asked)
        assert response.status_code == 201, response.text
        return self.twilio.world.calls[response.json()["sid"]]

    async def over(self, call: Call) -> Call:
        """Wait until a call and everything that is told of it is over."""
        await self.twilio.until(lambda: call.ended and not self.twilio.stand_in.webhooks.open)
        return call

    async def is_in(self, call: Call, status: str) -> None:
        await self.twilio.until(lambda: status in call.history)

    def told(self, path: str = "/status") -> list[dict[str, str]]:
        """List the fields of what was sent to a path."""
        return [
            dict(one.fields)
            for one in self.twilio.sent
            if one.url.removeprefix(APP).partition("?")[0] == path
        ]

    def heard(self, call: Call) -> list[str]:
        return self.twilio.heard(call)

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def phones(speed: float = 200.0) -> AsyncIterator[Phones]:
    """A network with one number of ours, which asks /in, and tells /status."""
    app = App()
    async with twilio_serving(app) as twilio:
        twilio.live(speed)
        twilio.account.limits.calls_per_s = 1_000.0
        twilio.add_number(OURS, VoiceUrl=f"{APP}/in", StatusCallback=f"{APP}/status")
        each = Phones(twilio, app)
        try:
            yield each
        finally:
            await each.aclose()
    assert twilio.findings == []
