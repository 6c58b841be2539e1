"""gRPC to Google: channels that all calls share, keys as a call carries them, and failures.

Sources: grpc.io (status codes, performance best practices), google.aip.dev/193 (errors) and
google.aip.dev/auth/4111 (self-signed JWT), read in November 2026.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from apps.providers import connections, failures
from apps.voice.ports import ProviderError

_EXTRA = "google"
# Google's front takes a hundred calls a connection; what is more waits in line, unseen.
CALLS_A_CHANNEL = 80
MOST_CHANNELS = 16
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else all channels share one connection
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", connections.LARGEST),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", int(connections.CONNECT_S * 1_000)),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_STATUS = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 400,
    "UNAVAILABLE": 503,
}
# Reasons that say more than the status they come with (google.rpc.ErrorInfo).
_REASONS = {"API_KEY_INVALID": 401, "BILLING_DISABLED": 402, "ACCESS_TOKEN_EXPIRED": 401}


class Lane:
    """A channel and how many calls are under way on it. used: whether one was answered."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.calls = 0
        self.used = False
        self._methods: dict[str, Any] = {}

    def stream(self, path: str) -> Any:
        """Return a method that takes a stream of bytes and answers with one."""
        if path not in self._methods:
            self._methods[path] = self.channel.stream_stream(path)
        return self._methods[path]

    def single(self, path: str) -> Any:
        """Return a method that takes bytes and answers with bytes."""
        if path not in self._methods:
            self._methods[path] = self.channel.unary_unary(path)
        return self._methods[path]


_lanes: MutableMapping[asyncio.AbstractEventLoop, dict[str, list[Lane]]] = WeakKeyDictionary()


@asynccontextmanager
async def lane(provider: str, url: str) -> AsyncIterator[Lane]:
    """Have a channel to ``url`` (an origin; http:// means: without TLS) for one call."""
    grpc = await connections.sdk(provider, "grpc.aio", _EXTRA)
    found = _least_busy(grpc, url)
    found.calls += 1
    try:
        yield found
    finally:
        found.calls -= 1


def _least_busy(grpc: Any, url: str) -> Lane:
    loop = asyncio.get_running_loop()
    if loop not in _lanes:
        _lanes[loop] = {}
        connections.at_close(_close_all)
    lanes = _lanes[loop].setdefault(url, [])
    best = min(lanes, key=lambda lane: lane.calls, default=None)
    if best is None or (best.calls >= CALLS_A_CHANNEL and len(lanes) < MOST_CHANNELS):
        best = Lane(_opened(grpc, url))
        lanes.append(best)
    return best


def _opened(grpc: Any, url: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return grpc.insecure_channel(parts.netloc, options=_OPTIONS)
    target = parts.netloc if parts.port else f"{parts.netloc}:443"
    credentials = importlib.import_module("grpc").ssl_channel_credentials()
    return grpc.secure_channel(target, credentials, options=_OPTIONS)


async def _close_all() -> None:
    for lanes in _lanes.pop(asyncio.get_running_loop(), {}).values():
        for lane in lanes:
            with contextlib.suppress(Exception):
                await lane.channel.close()


async def connect(lane: Lane, patience_s: float) -> None:
    """Have the lane's connection ready. Does not raise, and does not try again."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            state = lane.channel.get_state(try_to_connect=True)
            while state.name in ("IDLE", "CONNECTING"):
                await lane.channel.wait_for_state_change(state)
                state = lane.channel.get_state()


class Key:
    """What a call carries to be let in: an API key, or a token that a service account signs.

    The token is signed here, so that nobody has to be asked for one.
    """

    def __init__(self, provider: str, secrets: Mapping[str, str], audience: str) -> None:
        self._provider = provider
        self._secrets = secrets
        self._audience = audience
        self._signer: Any = None

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the headers. Raises ProviderError (auth)."""
        text = str(self._secrets.get("api_key") or "").strip()
        if not text.startswith("{"):
            return (("x-goog-api-key", failures.key_of(self._provider, self._secrets)),)
        jwt = await connections.sdk(self._provider, "google.auth.jwt", _EXTRA)
        try:
            # In a thread: reading an RSA key and signing with it takes some milliseconds.
            return await asyncio.to_thread(self._signed, jwt, text)
        except Exception:  # noqa: BLE001 - the library's errors may quote the key
            message = "the service account's key file cannot be used"
            raise ProviderError(self._provider, message, reason="auth") from None

    def _signed(self, jwt: Any, text: str) -> tuple[tuple[str, str], ...]:
        if self._signer is None:
            self._signer = jwt.Credentials.from_service_account_info(
                json.loads(text), audience=self._audience
            )
        headers: dict[str, str] = {}
        self._signer.before_request(None, "POST", self._audience, headers)
        return (("authorization", headers["authorization"]),)


def is_broken(error: Any) -> bool:
    """Whether the connection broke, rather than that Google said so: that comes with details."""
    return error.code().name == "UNAVAILABLE" and not error.trailing_metadata()


def is_masked(error: Any) -> bool:
    """Whether a call was refused while it was still sending, and gRPC's library lost the refusal.

    Seen with grpcio 1.85: a message that can no longer be sent replaces the status that came.
    """
    return (error.code().name, error.details()) == ("INTERNAL", "Internal error from Core")


def failure(provider: str, error: Any) -> ProviderError:
    """Return ours for a gRPC error."""
    name = error.code().name
    if name == "DEADLINE_EXCEEDED":
        return failures.silent(provider)
    if name == "CANCELLED" or is_broken(error):
        return failures.lost(provider)
    reason = failures.code_of({"code": _reason(error)})
    status = _REASONS.get(reason, _STATUS.get(name, 500))
    return failures.status_error(provider, status, code=reason or name)


def _reason(error: Any) -> str:
    """Return the reason in a google.rpc.ErrorInfo, if one came with the error."""
    from google.rpc import error_details_pb2, status_pb2

    info = error_details_pb2.ErrorInfo()
    with contextlib.suppress(Exception):
        for name, value in error.trailing_metadata() or ():
            if name == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    if detail.Unpack(info):
                        return str(info.reason)
    return ""
