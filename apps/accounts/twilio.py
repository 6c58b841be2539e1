"""Asks Twilio's REST API in an account's name."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from typing import Any

import httpx
from django.conf import settings

from apps.accounts.models import TwilioConnection
from apps.telephony import rest
from apps.telephony.rest import Login, Request, TwilioError

CONNECT_S = 5.0
DEADLINE_S = 15.0
_client: httpx.Client | None = None
_lock = threading.Lock()


def ask(
    connection: TwilioConnection, request: Request, *, login: Login | None = None
) -> dict[str, Any]:
    """Send a request, once, and return the answer's object. Takes up to 15 s.

    login: instead of what the connection signs in with. Raises TwilioError; its ``settled`` says
    whether Twilio is known to have done nothing.
    """
    url = base_url(connection) + request.path
    login = login or login_of(connection)
    reads = request.method == "GET"
    try:
        answer = _http().request(
            request.method,
            url,
            params=dict(request.fields) or None if reads else None,
            data=None if reads else dict(request.fields),
            auth=(login.user, login.password),
        )
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
        hint = f"Twilio's API was not reached ({type(exc).__name__}), and did nothing."
        raise TwilioError("unreachable", hint) from exc
    except httpx.HTTPError as exc:
        hint = f"Twilio did not answer ({type(exc).__name__}); what it did is not known."
        raise TwilioError("unavailable", hint, settled=False) from exc
    return rest.answer_read(status=answer.status_code, body=answer.content)


def ask_pages(connection: TwilioConnection, request: Request, key: str) -> Iterator[dict[str, Any]]:
    """Yield every item of a list, page after page. key: the list's name in the answer."""
    page = ask(connection, request)
    while True:
        yield from page.get(key) or []
        following = page.get("next_page_uri")
        if not following:
            return
        page = ask(connection, rest.page_get(str(following)))


def base_url(connection: TwilioConnection) -> str:
    """Return the origin that a connection's requests go to."""
    return rest.origin(
        base_url=settings.TWILIO_API_URL, region=connection.region, edge=connection.edge
    )


def login_of(connection: TwilioConnection) -> Login:
    """Return what a connection signs in with: its API key, its auth token, or its parent's."""
    if connection.api_key_sid and connection.api_key_secret:
        return Login(connection.api_key_sid, connection.api_key_secret)
    if not connection.auth_token and connection.parent is not None:
        return login_of(connection.parent)
    return Login(connection.account_sid, connection.auth_token)


def _http() -> httpx.Client:
    """Return the process's client. It follows no redirect, and no proxy of the environment."""
    global _client
    with _lock:
        if _client is None:
            _client = httpx.Client(
                timeout=httpx.Timeout(DEADLINE_S, connect=CONNECT_S), trust_env=False
            )
            atexit.register(_client.close)
        return _client
