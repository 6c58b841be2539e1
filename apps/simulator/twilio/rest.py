"""Twilio's REST API as an ASGI application: routes, credentials, drills, JSON."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.simulator.twilio import calls, resources
from apps.simulator.twilio.asking import Answer, Ask, Network
from apps.simulator.twilio.bodies import VERSION
from apps.simulator.twilio.drills import Drill, Drills
from apps.simulator.twilio.errors import Refused
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.state import Account, World

Operation = Callable[[Ask], Answer]
FORM = "application/x-www-form-urlencoded"

_PATH = re.compile(
    rf"/{VERSION}/Accounts(?:/(?P<account>AC\w+)(?:/(?P<kind>\w+)(?:/(?P<sid>\w+))?)?)?\.json"
)
# By (method, kind, is one of them): the operation's name and what does it.
_OPERATIONS: Mapping[tuple[str, str, bool], tuple[str, Operation]] = {
    ("GET", "Accounts", False): ("accounts.list", resources.account_list),
    ("GET", "Accounts", True): ("accounts.get", resources.account_get),
    ("GET", "IncomingPhoneNumbers", False): ("numbers.list", resources.number_list),
    ("GET", "IncomingPhoneNumbers", True): ("numbers.get", resources.number_get),
    ("POST", "IncomingPhoneNumbers", True): ("numbers.update", resources.number_update),
    ("GET", "Applications", False): ("applications.list", resources.application_list),
    ("POST", "Applications", False): ("applications.create", resources.application_create),
    ("GET", "Applications", True): ("applications.get", resources.application_get),
    ("POST", "Applications", True): ("applications.update", resources.application_update),
    ("DELETE", "Applications", True): ("applications.delete", resources.application_delete),
    ("GET", "Calls", False): ("calls.list", calls.call_list),
    ("POST", "Calls", False): ("calls.create", calls.call_create),
    ("GET", "Calls", True): ("calls.get", calls.call_get),
    ("POST", "Calls", True): ("calls.update", calls.call_update),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived, whether or not it was taken. fields: of its form or its query.

    status: what was answered; 0 if nothing was.
    """

    method: str
    path: str
    operation: str
    fields: Mapping[str, str | list[str]]
    user: str
    headers: Mapping[str, str] = field(repr=False)
    answered: list[int] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.answered[0] if self.answered else 0


class RestApi:
    """Serves a world. requests: every one so far. ``heard`` is told of each once it is answered.

    news: waits for the next webhook to be answered, for the drill ``early``.
    """

    def __init__(self, world: World, network: Network, drills: Drills) -> None:
        self.world = world
        self.network = network
        self.drills = drills
        self.requests: list[Request] = []
        self.heard: Callable[[Request], None] = lambda _request: None
        self.news: Callable[[], Awaitable[None]] = _no_news

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = await _body(receive)
        if body is None:
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        request = self._request(scope, headers, body)
        self.requests.append(request)
        drill = self.drills.take(request.operation)
        try:
            status, answer = self._perform(request, scope, body, drill)
        except Refused as refused:
            status, answer = refused.status, refused.body()
        if drill is not None and drill.kind == "early":
            await self.news()
        elif drill is not None and not await _spoilt(drill, receive):
            self.heard(request)
            return
        if drill is not None and drill.kind == "status":
            status, answer = drill.status, {"message": "upstream connect error"}
        elif drill is not None and drill.kind == "stale":
            self._age(answer)
        request.answered.append(status)
        self.heard(request)
        await _answer(send, status, answer)

    def _request(self, scope: dict[str, Any], headers: dict[str, str], body: bytes) -> Request:
        route = _route(scope["method"], scope["path"])
        fields = Form.parse(body if scope["method"] == "POST" else scope["query_string"])
        return Request(
            scope["method"],
            scope["path"],
            route[0] if route else "",
            fields.asdict(),
            _credentials(headers)[0],
            headers,
        )

    def _perform(
        self, request: Request, scope: dict[str, Any], body: bytes, drill: Drill | None
    ) -> Answer:
        matched = _PATH.fullmatch(request.path)
        route = _route(request.method, request.path)
        if matched is None or _kind(matched) not in {kind for _, kind, _ in _OPERATIONS}:
            raise Refused(20404, request.path)
        account, asking = self._account(matched["account"], request.headers)
        if route is None:
            raise Refused(20004)
        if drill is not None and drill.kind == "refused":
            raise Refused(drill.code, request.path)
        if drill is not None and not drill.done:
            return 0, None
        self._allowed(request.operation, account, asking)
        if request.method == "POST" and body and not _is_form(request.headers):
            self.world.finding(
                request.operation, f"the body is not {FORM}: Twilio reads none of it"
            )
            body = b""
        ask = Ask(
            self.world,
            self.network,
            account,
            request.operation,
            request.path,
            matched["sid"] or "",
            Form.parse(body),
            Form.parse(scope["query_string"]),
        )
        return route[1](ask)

    def _age(self, answer: dict[str, Any] | None) -> None:
        rows = (answer or {}).get("calls", [answer])
        for row in rows:
            call = self.world.calls.get((row or {}).get("sid", ""))
            if call is not None and len(call.history) > 1:
                row["status"] = call.history[-2]

    def _account(self, wanted: str | None, headers: Mapping[str, str]) -> tuple[Account, str]:
        """Find the account of the path, which the credentials' own account must be or own."""
        user, password = _credentials(headers)
        for account in self.world.accounts.values():
            secret = account.auth_token if user == account.sid else None
            if user in account.keys:
                secret = account.keys[user].secret
            if secret is None or not hmac.compare_digest(secret.encode(), password.encode()):
                continue
            found = self.world.accounts.get(wanted or account.sid)
            if found is not None and account.sid in (found.sid, found.owner_sid):
                return found, user
        raise Refused(20003)

    def _allowed(self, operation: str, account: Account, user: str) -> None:
        if operation.startswith("accounts."):
            owner = self.world.accounts[account.owner_sid]
            key = account.keys.get(user) or owner.keys.get(user)
            if key is not None and key.standard:
                raise Refused(20003)
        elif account.status != "active":
            raise Refused(10001)


def _kind(matched: re.Match[str]) -> str:
    return matched["kind"] or "Accounts"


def _route(method: str, path: str) -> tuple[str, Operation] | None:
    matched = _PATH.fullmatch(path)
    if matched is None:
        return None
    kind = _kind(matched)
    one = bool(matched["sid"]) or (kind == "Accounts" and bool(matched["account"]))
    return _OPERATIONS.get((method, kind, one))


def _is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


async def _body(receive: Any) -> bytes | None:
    """Read the body; None if the client left before its end."""
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return None
        body += bytes(event.get("body", b""))
        if not event.get("more_body"):
            return body


async def _no_news() -> None:
    pass


async def _spoilt(drill: Drill, receive: Any) -> bool:
    """Do what the drill does to the answer; False if there is none."""
    if drill.kind == "late":
        await asyncio.sleep(drill.seconds)
    if drill.kind == "reset":
        receive.__self__.transport.abort()  # uvicorn's; ASGI has no word for it
        return False
    if drill.kind == "mute":
        while (await receive())["type"] != "http.disconnect":
            pass
        return False
    return True


async def _answer(send: Any, status: int, answer: dict[str, Any] | None) -> None:
    body = b"" if answer is None else json.dumps(answer).encode()
    headers = [
        (b"content-type", b"application/json;charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="Twilio API"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
