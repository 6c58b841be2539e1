"""Runs a bot's tools: asks the webhook, and words what it answers for the model.

The form is Daily Bots': a POST carries ``{"function_name", "tool_call_id", "arguments"}``, a GET
the arguments in its query. A webhook that streams answers with actions, see ``toolactions``.
Everything here is bounded: the time of the whole, the bytes that are read, the text for the model.
Nothing of a request or an answer is logged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from apps.bots.toolactions import Drive
from apps.bots.tools import TIMEOUT_DEFAULT_S
from apps.providers import connections
from apps.providers.guard import AddressRefused
from apps.voice.ports import Controls, ToolCall, ToolResult, ToolTerms
from apps.voice.toolwords import BROKEN, NO_ANSWER, NOTE, NOTHING_SAID

REDIRECTS = 3
# What is read of an answer, and what the model is given of it: a tool's result is paid for again
# with every answer that follows.
ANSWER_BYTES = 262_144
RESULT_CHARACTERS = 8_000
# What the model is given of a refusal, which may say what to do better.
REFUSAL_CHARACTERS = 1_000

UNREACHABLE = NOTE + (
    "The tool could not be reached, so it did nothing. Apologise briefly and go on without it."
)
NONSENSE = NOTE + (
    "The tool answered something that cannot be read. Whether it did its work is not known: do not "
    "say that it did. Apologise briefly and go on without it."
)
FAILED = NOTE + (
    "The tool failed (HTTP {status}). Do not say that it did its work. Apologise briefly and go on "
    "without it."
)
REFUSED = NOTE + "The tool refused (HTTP {status}), so it did not do its work. It said: {text}"

_HEADERS = {
    "accept": "application/json, application/x-ndjson",
    "accept-encoding": "identity",
    "user-agent": "botsconfig",
}
_REFUSES_ADDRESS = "The address is private: PRIVATE_ADDRESSES of the server does not allow it."
_MOVED = frozenset({301, 302, 303, 307, 308})
# Arguments that no JSON holds, a host that no name server is asked for.
_UNSENDABLE = (ValueError, TypeError)
_ERROR_NAME = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where one of a bot's tools is answered."""

    name: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    streaming: bool = False
    timeout_s: float = TIMEOUT_DEFAULT_S
    filler: str = ""

    @property
    def terms(self) -> ToolTerms:
        """A GET only reads, by what HTTP says of it; all else is taken to act."""
        return ToolTerms(self.timeout_s, self.filler, acts=self.method != "GET")


@dataclass(slots=True)
class WebhookRun:
    """What became of one request. error: for people, without a word of request or answer.

    request: None if the URL makes none. redirects: how often it was sent on. response_body: what
    was read of the answer. actions: of a stream, each with what became of it.
    """

    request: httpx.Request | None = None
    redirects: int = 0
    result: ToolResult = ToolResult(BROKEN, outcome="failed")
    error: str = ""
    response: httpx.Response | None = None
    response_body: bytes = b""
    actions: list[dict[str, Any]] = field(default_factory=list)


class _Unreadable(Exception):
    """The answer is not what a webhook answers. The text is safe to show."""


class _Astray(Exception):
    """The answer sends us on too often, or nowhere. The text is safe to show."""


def webhooks_of(document: Mapping[str, Any], secrets: Mapping[str, Any]) -> dict[str, Webhook]:
    """Return a version's webhooks by tool."""
    headers = secrets.get("tool_headers", {})
    return {
        name: Webhook(
            name=name,
            url=found["url"],
            method=found["method"],
            headers=headers.get(name, {}),
            streaming=found["streaming"],
            timeout_s=found.get("timeout_secs", TIMEOUT_DEFAULT_S),
            filler=found.get("filler", ""),
        )
        for name, found in document["webhook_tools"].items()
    }


async def webhook_run(hook: Webhook, call: ToolCall, controls: Controls) -> WebhookRun:
    """Ask a webhook, and tell what came of it. Raises nothing but its cancellation."""
    run = WebhookRun()
    drive = Drive(controls)
    try:
        run.request = request_of(hook, call)
        async with asyncio.timeout(hook.timeout_s):
            await _ask(hook, run, drive, run.request)
    except TimeoutError:
        _failed(run, "timeout", NO_ANSWER, f"No whole answer within {hook.timeout_s:g} s.")
    except AddressRefused:
        _failed(run, "refused", _not_reached(run), _REFUSES_ADDRESS)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol):
        _failed(run, "unreachable", _not_reached(run), "No connection to the webhook.")
    except (_Unreadable, _Astray) as exc:
        _failed(run, "unreadable", NONSENSE, str(exc))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, *_UNSENDABLE) as exc:
        # Its name alone: texts of these quote addresses and headers.
        name = _ERROR_NAME.sub(" ", type(exc).__name__).lower()
        _failed(run, "failed", BROKEN, f"The exchange broke off ({name}).")
    if hook.streaming:
        run.actions = drive.actions
        run.result = drive.result(run.result)
    return run


def request_of(hook: Webhook, call: ToolCall) -> httpx.Request:
    """Return the request that asks the webhook."""
    body = None
    if hook.method == "GET":
        url = httpx.URL(hook.url).copy_merge_params(
            {name: _query_value(value) for name, value in call.arguments.items()}
        )
    else:
        url = httpx.URL(hook.url)
        body = orjson.dumps(
            {
                "function_name": call.name,
                "tool_call_id": call.id,
                "arguments": dict(call.arguments),
            }
        )
    typed = {"content-type": "application/json"} if body is not None else {}
    headers = httpx.Headers({**_HEADERS, **typed})
    # As bytes: httpx would have them in ASCII. Spaces around a value are no part of it.
    headers.update([(k.encode(), v.strip().encode()) for k, v in hook.headers.items()])
    return httpx.Request(hook.method, url, headers=headers, content=body)


def _not_reached(run: WebhookRun) -> str:
    # One that sent us on may have done its work before it did.
    return BROKEN if run.redirects else UNREACHABLE


def _query_value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _failed(run: WebhookRun, outcome: str, told: str, error: str) -> None:
    status = run.response.status_code if run.response is not None else 0
    run.result = ToolResult(told, outcome=outcome, status=status)
    run.error = error


async def _ask(hook: Webhook, run: WebhookRun, drive: Drive, request: httpx.Request) -> None:
    async with _followed(request, run) as response:
        run.response = response
        status = response.status_code
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _Unreadable("The answer is compressed, which was not asked for.")
        if hook.streaming and response.is_success:
            run.result = ToolResult(NOTHING_SAID, status=status)
            await drive.follow(response.aiter_raw())
            return
        run.response_body, whole = await _read(response)
    if response.is_success:
        text = _text_of(response, run.response_body, whole=whole)
        run.result = ToolResult(text, status=status)
    else:
        _failed(run, "failed", _refusal(response, run.response_body), f"HTTP {status}.")


@asynccontextmanager
async def _followed(request: httpx.Request, run: WebhookRun) -> AsyncIterator[httpx.Response]:
    """Send a request and what it is redirected to. Each hop's address is judged anew."""
    client = connections.http(guarded=True)
    for _ in range(REDIRECTS + 1):
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code not in _MOVED or "location" not in response.headers:
                yield response
                return
        finally:
            await response.aclose()
        run.redirects += 1
        request = _redirected(request, response)
    raise _Astray(f"Redirected more than {REDIRECTS} times.")


def _redirected(request: httpx.Request, response: httpx.Response) -> httpx.Request:
    """Return what a redirect asks for (RFC 9110, 15.4): 303 is a GET; so, by old custom, is a POST
    that is moved by 301 or 302. What was meant for one origin is not told to another."""
    url = request.url.join(response.headers["location"])
    if url.scheme not in ("http", "https") or not url.host:
        raise _Astray("Redirected to something that is no http or https URL.")
    status, method = response.status_code, request.method
    if status == 303 or (status in (301, 302) and method == "POST"):
        method = "GET"
    kept = request.headers if _origin(url) == _origin(request.url) else httpx.Headers(_HEADERS)
    headers = [(k, v) for k, v in kept.raw if k.lower() not in (b"host", b"content-length")]
    content = None if method == "GET" else request.content
    if method == "GET":
        headers = [(k, v) for k, v in headers if k.lower() != b"content-type"]
    elif kept is not request.headers:
        headers.append((b"content-type", b"application/json"))
    return httpx.Request(method, url, headers=headers, content=content)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


async def _read(response: httpx.Response) -> tuple[bytes, bool]:
    """Return what may be read of an answer, and whether that is all of it."""
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > ANSWER_BYTES:
            return bytes(body[:ANSWER_BYTES]), False
    return bytes(body), True


def _text_of(response: httpx.Response, body: bytes, *, whole: bool) -> str:
    """Word an answer for the model. Raises _Unreadable for what is neither JSON nor plain text."""
    if not body.strip():
        return NOTHING_SAID
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if whole:
        try:
            return cut(_json_text(body))
        except orjson.JSONDecodeError:
            if kind != "text/plain":
                raise _Unreadable("The answer is no JSON.") from None
    elif kind != "text/plain" and not kind.endswith("json"):
        raise _Unreadable("The answer is no JSON, and too long.")
    return cut(body.decode("utf-8", "replace"), of=None if whole else f"{ANSWER_BYTES} bytes")


def _json_text(body: bytes) -> str:
    found = orjson.loads(body)
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def cut(text: str, *, limit: int = RESULT_CHARACTERS, of: str | None = None) -> str:
    """Return a text that is not too long for a model, saying so where it was cut."""
    text = text.replace("\x00", "")
    if len(text) <= limit and of is None:
        return text
    length = f"more than {of}" if of else f"{len(text)} characters"
    return f"{text[:limit]}\n(Cut here: the whole answer has {length}.)"


def _refusal(response: httpx.Response, body: bytes) -> str:
    """Word an error for the model: a refusal in JSON may say how to ask better."""
    status = response.status_code
    if 400 <= status < 500:
        try:
            text = cut(_json_text(body), limit=REFUSAL_CHARACTERS)
            return REFUSED.format(status=status, text=text)
        except orjson.JSONDecodeError:
            pass
    return FAILED.format(status=status)
