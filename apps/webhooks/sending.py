"""One request to an endpoint. Bounded in time and in what is read; nothing of it is logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from apps.core.logs import redact
from apps.providers import connections
from apps.providers.guard import AddressRefused
from apps.webhooks.addresses import host_check, url_parts

logger = logging.getLogger(__name__)

# The specification advises 15 to 30 s.
DEADLINE_S = 15.0
ANSWER_BYTES = 4_096
ANSWER_CHARACTERS = 500
GONE = 410

_HEADERS = {
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "botsconfig",
}
_MOVED = "Redirects are not followed: give the endpoint the new URL."
_REFUSED = "The address is private: PRIVATE_ADDRESSES of the server does not allow it."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request. status: None if no answer came. error: empty, or one of
    ``status``, ``timeout``, ``address``, ``unreachable``, ``broken``, ``secret``; info says more.

    answer: its first characters. retry_after_s: what it asks for, not less than 0.
    """

    status: int | None = None
    error: str = ""
    info: str = ""
    answer: str = ""
    duration_ms: int = 0
    retry_after_s: float = 0.0


@dataclass(slots=True)
class _Answer:
    """What has arrived so far."""

    status: int | None = None
    body: bytes = b""
    retry_after: str = ""


async def post(
    url: str, *, headers: Mapping[str, str], body: bytes, deadline_s: float = DEADLINE_S
) -> Outcome:
    """Send an event. Raises nothing but its cancellation.

    The status decides: an answer that then breaks off, or does not end, is an answer all the same.
    """
    answer, began = _Answer(), time.perf_counter()
    error, info = "", ""
    try:
        async with asyncio.timeout(deadline_s):
            await _exchange(url, {**_HEADERS, **headers}, body, answer)
    except TimeoutError:
        error, info = "timeout", f"No answer within {deadline_s:g} s."
    except AddressRefused:
        error, info = "address", _REFUSED
    except (httpx.ConnectError, httpx.ConnectTimeout, OSError) as exc:
        # Texts of these are names of errors, such as SSLCertVerificationError.
        error, info = "unreachable", f"No connection ({_name(exc)})."
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as exc:
        error, info = "broken", f"The exchange broke off ({type(exc).__name__})."
    except Exception as exc:  # the edge of a task: one request must not end the others
        logger.exception("Sending an event failed")
        error, info = "broken", f"The exchange broke off ({type(exc).__name__})."
    duration_ms = round((time.perf_counter() - began) * 1_000)
    if answer.status is None:
        return Outcome(error=error, info=info, duration_ms=duration_ms)
    return _answered(answer, duration_ms)


async def _exchange(url: str, headers: Mapping[str, str], body: bytes, answer: _Answer) -> None:
    parts = url_parts(url)
    if parts.scheme == "http":
        await host_check(parts)
    request = httpx.Request("POST", url, headers=headers, content=body)
    client = connections.http(guarded=True)
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        answer.retry_after = response.headers.get("retry-after", "")
        answer.status = response.status_code
        async for piece in response.aiter_raw():
            answer.body += piece
            if len(answer.body) >= ANSWER_BYTES:
                return
    finally:
        await response.aclose()


def _answered(answer: _Answer, duration_ms: int) -> Outcome:
    status = answer.status or 0
    error = "" if 200 <= status < 300 else "status"
    info = f"HTTP {status}." if error else ""
    if 300 <= status < 400:
        info = f"{info} {_MOVED}"
    text = answer.body[:ANSWER_BYTES].decode("utf-8", "replace").replace("\x00", "")
    return Outcome(
        status=status,
        error=error,
        info=info,
        answer=redact(text)[:ANSWER_CHARACTERS],
        duration_ms=duration_ms,
        retry_after_s=_seconds(answer.retry_after),
    )


def _name(exc: Exception) -> str:
    text = str(exc)
    return text if text.isidentifier() else type(exc).__name__


def _seconds(text: str) -> float:
    """Read a Retry-After: seconds, or a time. What is neither is none."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
