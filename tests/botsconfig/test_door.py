"""The shorter way for Twilio's questions: the same answers, over the real application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls import selectors
from apps.core.threads import shared_close
from botsconfig.asgi import application
from tests.gateway.conftest import in_database_thread
from tests.support.twilio_requests import ACCOUNT_SID, ORIGIN, TOKEN, signature_of

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {"AccountSid": ACCOUNT_SID, "CallSid": "CA" + "1" * 32, "From": "+14158675309"}


@pytest.fixture
async def asgi() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application."""
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client
    await shared_close()


@pytest.fixture
def path(account: Account, config: TwilioConfig) -> str:
    account.signing_secrets = {ACCOUNT_SID: {"auth_token": TOKEN, "keys": {}}}
    account.save()
    return f"/twilio/voice/{config.id}"


async def asked(asgi: httpx.AsyncClient, path: str, *, fields: Any = FORM) -> httpx.Response:
    signature = signature_of(ORIGIN + path, fields)
    return await asgi.post(path, data=fields, headers={"x-twilio-signature": signature})


async def test_a_call_is_answered_with_its_twiml(asgi: httpx.AsyncClient, path: str) -> None:
    answer = await asked(asgi, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
    assert "<Stream" in answer.text
    assert answer.headers["x-request-id"]


async def test_the_path_and_query_count_as_they_were_written(
    asgi: httpx.AsyncClient, path: str
) -> None:
    assert (await asked(asgi, path + "/?a=%7E%2f&customer=Jane%20D")).status_code == 200


async def test_a_forged_request_is_refused_in_the_envelope(
    asgi: httpx.AsyncClient, path: str
) -> None:
    answer = await asgi.post(path, data=FORM, headers={"x-twilio-signature": "forged"})
    assert answer.status_code == 403
    assert answer.json()["error"] == "forbidden-error"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/twilio/nowhere", 404),
        ("GET", "/twilio/voice/7", 404),
        ("DELETE", "/twilio/status", 405),
        ("POST", "/twilio/status", 403),
        ("GET", "/twilio/fallback", 200),  # goes by Django: it does without a database
        ("GET", "/healthz", 200),
    ],
)
async def test_everything_else_is_answered_as_ever(
    asgi: httpx.AsyncClient, db: None, method: str, path: str, status: int
) -> None:
    answer = await asgi.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"]


async def test_a_body_that_is_too_long_is_no_500(asgi: httpx.AsyncClient, path: str) -> None:
    answer = await asgi.post(path, data={"CallSid": "x" * 3_000_000})
    assert answer.status_code in (400, 413)


async def test_a_view_that_fails_is_a_500_in_the_envelope(
    asgi: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("apps.calls.ringing_views.dialled_in", fails)
    answer = await asked(asgi, path)
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_a_connection_that_has_died_costs_nobody_the_call(
    asgi: httpx.AsyncClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = selectors.dialled_in
    died: list[bool] = []

    def once_dead(*args: Any) -> Any:
        if not died:
            died.append(True)
            raise OperationalError("server closed the connection unexpectedly")
        return real(*args)

    monkeypatch.setattr("apps.calls.ringing_views.dialled_in", once_dead)
    assert (await asked(asgi, path)).status_code == 200


async def test_its_threads_give_their_connections_back(asgi: httpx.AsyncClient, path: str) -> None:
    await asked(asgi, path)
    await shared_close()
    await in_database_thread(connection.ensure_connection)()
    assert (await asked(asgi, path)).status_code == 200
