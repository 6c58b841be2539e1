"""Speaks to the REST API: one request, sent again where that is safe; and lists by page."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from apps.cli.errors import ApiError, Unreachable
from apps.cli.retries import Clock, is_passing, is_repeatable, wait_s

PAGE = 200
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request. body: JSON, or None for none."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Client:
    """One server, one key.

    http: carries the server's URL, the key and the timeout; the caller owns and closes it.
    say: is told of every attempt, without bodies, queries and secrets.
    """

    def __init__(self, http: httpx.Client, *, clock: Clock, say: Callable[[str], None]) -> None:
        self._http = http
        self._clock = clock
        self._say = say

    def get(self, path: str, **params: str) -> Any:
        """Return the answer's body. Raises ApiError or Unreachable, as all do here."""
        return self._call(Sent("GET", path, params))

    def post(
        self, path: str, body: Any = None, *, key: str = "", params: Mapping[str, str] | None = None
    ) -> Any:
        """Create, or do. key: the Idempotency-Key; one of its own if left out."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self._call(Sent("POST", path, params or {}, body, headers))

    def delete(self, path: str, *, version: int | None = None) -> None:
        """Delete; with a version, only if it is the current one."""
        self._call(Sent("DELETE", path, headers=_if_match(version)))

    def change(
        self,
        path: str,
        body: Any,
        *,
        patch: bool,
        version: int | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """Merge (RFC 7396) or replace; with a version, only if it is the current one."""
        headers = dict(_if_match(version))
        if patch:
            headers["Content-Type"] = MERGE_PATCH
        return self._call(Sent("PATCH" if patch else "PUT", path, params or {}, body, headers))

    def listing(self, path: str, **params: str) -> dict[str, Any]:
        """Return an answer that has ``results``; any other is not the API's."""
        answer = self.get(path, **params)
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise ApiError(200, None)
        return answer

    def page(self, path: str, limit: int, **params: str) -> dict[str, Any]:
        """Return up to ``limit`` entries as one page; 0 takes all."""
        results: list[dict[str, Any]] = []
        query = dict(params)
        while True:
            size = min(limit - len(results), PAGE) if limit else PAGE
            page = self.listing(path, **{**query, "page_size": str(size)})
            results += page["results"]
            if not page.get("next") or (limit and len(results) >= limit):
                return {"next": page.get("next"), "previous": None, "results": results}
            # Only its query: behind a proxy the URL may name another host, who is to get no key.
            query = dict(parse_qsl(urlsplit(page["next"]).query, keep_blank_values=True))

    def _call(self, sent: Sent) -> Any:
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._send(sent)
            except Unreachable as exc:
                wait = wait_s(attempt, None, self._clock.time())
                repeatable = is_repeatable(sent.method, sent.headers)
                if wait is None or (exc.maybe_done and not repeatable):
                    raise
            else:
                if answer.is_success:
                    return _json(answer) if answer.content else None
                if sent.method == "DELETE" and answer.status_code == 404 and attempt > 1:
                    return None  # an earlier attempt did it, and its answer was lost
                again = is_passing(answer.status_code, sent.method, sent.headers, attempt)
                asked = answer.headers.get("Retry-After")
                wait = wait_s(attempt, asked, self._clock.time()) if again else None
                if wait is None:
                    raise _error(answer)
            self._say(f"again in {wait:.1f} s")
            self._clock.sleep(wait)

    def _send(self, sent: Sent) -> httpx.Response:
        content = None if sent.body is None else json.dumps(sent.body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        where = f"{sent.method} {sent.path}"
        try:
            answer = self._http.request(
                sent.method,
                sent.path,
                params=dict(sent.params),
                content=content,
                headers={**headers, **sent.headers},
            )
        except httpx.HTTPError as exc:
            self._say(f"{where}: {type(exc).__name__}")
            sent_off = not isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
            maybe_done = sent_off and sent.method != "GET"
            doubt = " What was asked for may have been done all the same." if maybe_done else ""
            raise Unreachable(
                f"{self._http.base_url} {_why(exc)}.{doubt}", maybe_done=maybe_done
            ) from None
        request = answer.headers.get("X-Request-Id", "-")
        took_ms = answer.elapsed.total_seconds() * 1_000
        self._say(f"{where}: {answer.status_code} in {took_ms:.0f} ms, request {request}")
        return answer


def _if_match(version: int | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}


def _why(exc: httpx.HTTPError) -> str:
    if isinstance(exc, httpx.ConnectError):
        return "cannot be reached"
    if isinstance(exc, httpx.TimeoutException):
        return "does not answer in time"
    return f"broke the connection off ({type(exc).__name__})"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise ApiError(answer.status_code, None, answer.headers.get("X-Request-Id", "")) from None


def _error(answer: httpx.Response) -> ApiError:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "error" not in body:
        body = None
    return ApiError(answer.status_code, body, answer.headers.get("X-Request-Id", ""))
