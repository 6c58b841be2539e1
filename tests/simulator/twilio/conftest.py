"""A client that speaks to the stand-in as curl would."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.twilio import TwilioStandIn

OURS = "+14155550100"
THEIRS = "+12025550143"
Fields = dict[str, Any]


class Rest:
    """Asks over real HTTP, with the account's auth token unless told otherwise."""

    def __init__(self, twilio: TwilioStandIn) -> None:
        self.twilio = twilio
        self.auth = (twilio.sid, twilio.token)
        self.sid = twilio.sid
        self._http = httpx.Client(base_url=twilio.url, timeout=5)

    def path(self, rest: str) -> str:
        return f"/2010-04-01/Accounts/{self.sid}{rest}.json"

    def get(self, rest: str = "", **query: Any) -> httpx.Response:
        return self._http.get(self.path(rest), params=query, auth=self.auth)

    def page(self, uri: str) -> httpx.Response:
        return self._http.get(uri, auth=self.auth)

    def post(self, rest: str, **fields: Any) -> httpx.Response:
        return self._http.post(self.path(rest), data=fields, auth=self.auth)

    def delete(self, rest: str) -> httpx.Response:
        return self._http.delete(self.path(rest), auth=self.auth)

    def dial(self, **fields: Any) -> httpx.Response:
        """Create a call with what is needed, and what is given; None leaves a field out."""
        asked = {"To": THEIRS, "From": OURS, "Twiml": "<Response/>", **fields}
        return self.post("/Calls", **{k: v for k, v in asked.items() if v is not None})

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def rest(twilio: TwilioStandIn) -> Iterator[Rest]:
    twilio.add_number(OURS)
    client = Rest(twilio)
    yield client
    client.close()


def code(response: httpx.Response) -> tuple[int, int]:
    """Return the HTTP status and Twilio's code of a refusal."""
    return response.status_code, response.json()["code"]
