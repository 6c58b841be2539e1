"""Requests that Twilio makes: for TwiML, and to tell of calls.

Sources: Twilio's "Webhooks security", "Webhooks connection overrides" (limits, retries, the
fragment) and errors 11200, 11205, 11210, 11220, 11750.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from apps.simulator.twilio.signing import SharedKey, body_url, signature_headers
from apps.simulator.twilio.state import Account, World

CONNECT_S = 5.0
TOTAL_S = 15.0
BODY_BYTES = 64 * 1024
_USER_AGENT = "TwilioProxy/1.1"


class WebhookFailed(Exception):
    """No usable answer. code: the error that Twilio logs."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Sent:
    """A webhook as it was sent. answers: the status, once there is one; 0 if it failed."""

    method: str
    url: str
    fields: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    answers: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.answers[-1] if self.answers else 0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hook:
    """Where to, and how. as_json: a JSON body, signed by its hash. token: of the delivery; a
    repetition brings the same.
    """

    url: str
    method: str = "POST"
    as_json: bool = False
    token: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class _Limits:
    """From the URL's fragment: ct, rt, tt in ms, rc."""

    connect_s: float = CONNECT_S
    read_s: float = TOTAL_S
    total_s: float = TOTAL_S
    retries: int = 1


class Webhooks:
    """Signs and sends. Only a connection that does not come about is tried again.

    transport: an httpx transport to send through; none, real HTTP. shared: sign with this key and
    HMAC-SHA256. sent: everything so far. open: how many wait for their answers;
    answered: set whenever one comes.
    """

    def __init__(self, world: World, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.sent: list[Sent] = []
        self.open = 0
        self.answered = asyncio.Event()
        self.shared: SharedKey | None = None
        self.heard: Callable[[Sent], None] = lambda _sent: None
        self._world = world
        self._client = httpx.AsyncClient(
            transport=transport, trust_env=False, headers={"User-Agent": _USER_AGENT}
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(self, account: Account, hook: Hook, fields: Mapping[str, str]) -> Reply:
        """Send one request and return what was answered with 2xx.

        Raises WebhookFailed with 11205 (no connection, or no answer in time), 11210 (no such
        host), 11220 (TLS), 11200 (another status) or 11750 (an answer of more than 64 kB).
        """
        limits = _limits(hook.url)
        self.open += 1
        try:
            async with asyncio.timeout(limits.total_s):
                return await self._attempts(account, hook, fields, limits)
        except TimeoutError:
            raise WebhookFailed(11205, f"{hook.url} took longer than 15 s") from None
        finally:
            self.open -= 1

    async def _attempts(
        self, account: Account, hook: Hook, fields: Mapping[str, str], limits: _Limits
    ) -> Reply:
        failed = 0
        while True:
            request, sent = self._request(account, hook, fields, limits)
            self.sent.append(sent)
            try:
                answer = await self._client.send(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed += 1
                self.heard(sent)
                if failed > limits.retries:
                    raise _no_connection(hook.url, error) from error
            except httpx.TransportError as error:
                self.heard(sent)
                raise WebhookFailed(11205, f"{hook.url}: {type(error).__name__}") from error
            else:
                sent.answers.append(answer.status_code)
                self.answered.set()
                self.heard(sent)
                return self._reply(hook, answer)

    def _request(
        self, account: Account, hook: Hook, fields: Mapping[str, str], limits: _Limits
    ) -> tuple[httpx.Request, Sent]:
        url, body, kind = _written(hook, fields)
        signed = fields if kind == "application/x-www-form-urlencoded; charset=UTF-8" else {}
        headers = {
            "Accept": "*/*",
            "I-Twilio-Idempotency-Token": hook.token,
            **signature_headers(url, signed, account.auth_token, self.shared),
        }
        if kind:
            headers["Content-Type"] = kind
        timeout = httpx.Timeout(limits.read_s, connect=limits.connect_s)
        request = self._client.build_request(
            hook.method,
            self._world.routed(url),
            content=body or None,
            headers={"Host": urlsplit(url).netloc, **headers},
            timeout=timeout,
        )
        return request, Sent(hook.method, url, dict(fields), headers)

    def _reply(self, hook: Hook, answer: httpx.Response) -> Reply:
        if answer.is_redirect:
            self._world.finding("webhook", f"{hook.url} redirects: the form is lost on the way")
        if not answer.is_success:
            raise WebhookFailed(11200, f"{hook.url} answered {answer.status_code}")
        if len(answer.content) > BODY_BYTES:
            raise WebhookFailed(11750, f"{hook.url} answered more than 64 kB")
        return Reply(answer.status_code, answer.headers.get("content-type", ""), answer.text)


def _written(hook: Hook, fields: Mapping[str, str]) -> tuple[str, bytes, str]:
    """Write a request: the URL that is asked for and signed, the body, its content type."""
    url = urlsplit(hook.url)._replace(fragment="").geturl()
    if hook.as_json:
        body = json.dumps(dict(fields)).encode()
        return body_url(url, body), body, "application/json"
    if hook.method == "GET":
        return _with_query(url, fields), b"", ""
    return url, urlencode(fields).encode(), "application/x-www-form-urlencoded; charset=UTF-8"


def _with_query(url: str, fields: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    query = urlencode(fields)
    return parts._replace(query=f"{parts.query}&{query}" if parts.query else query).geturl()


def _limits(url: str) -> _Limits:
    given = {name: values[-1] for name, values in parse_qs(urlsplit(url).fragment).items()}

    def seconds(name: str, default: float) -> float:
        return int(given[name]) / 1_000 if name in given else default

    return _Limits(
        seconds("ct", CONNECT_S),
        seconds("rt", TOTAL_S),
        seconds("tt", TOTAL_S),
        min(5, int(given.get("rc", "1"))),
    )


def _no_connection(url: str, error: Exception) -> WebhookFailed:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return WebhookFailed(11210, f"{url}: no such host")
        if isinstance(cause, ssl.SSLError):
            return WebhookFailed(11220, f"{url}: TLS failed")
        cause = cause.__cause__ or cause.__context__
    return WebhookFailed(11205, f"{url}: no connection")
