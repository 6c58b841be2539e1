"""Reaches the gateway process that holds a call, from any other, and hears whether it did it.

A gateway of this process is told directly. One elsewhere has a channel of its own on the channel
layer, which only Redis carries between processes. Orders are small, live two seconds, and are
answered; none is kept for later.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import orjson
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

from apps.calls.models import Call

PATIENCE_S: Final = 2.0
# What is older when it arrives is not done: who asked was told long ago that nobody answered.
STALE_S: Final = 5.0
LARGEST: Final = 16 * 1024

Order = Mapping[str, Any]
Answer = Mapping[str, Any]
# Takes an order on any thread, and resolves the future when it is done. Never raises.
Holder = Callable[[Order, "Future[Answer]"], None]


class ControlError(Exception):
    """The order was not carried out. The text says why, for people."""


class OrderRefused(ControlError):
    """The state of the call forbids it."""


class GatewayNotReached(ControlError):
    """The process that holds the call could not be asked, or did not answer: ask again."""


_holders: dict[uuid.UUID, Holder] = {}

_REASONS: Mapping[str, str] = {
    "ending": "The call is ending, or on its way to somebody else.",
    "crowded": "Too many watch this call already.",
    "full": "Too many sentences wait already.",
    "unknown": "No conversation of this call is running.",
}


def channel_of(gateway: uuid.UUID) -> str:
    """Return the name of a gateway's channel."""
    return f"gateway.{gateway.hex}"


def listen(gateway: uuid.UUID, holder: Holder) -> Callable[[], None]:
    """Have a gateway of this process take orders. Returns what ends that."""
    _holders[gateway] = holder
    return lambda: _holders.pop(gateway, None) and None


# --- what can be ordered --------------------------------------------------------------------------


def say(call: Call, text: str, *, interrupt: bool = False) -> None:
    """Have the bot say something: behind what it says, or instead of it."""
    _order(call, "say", text=text, interrupt=interrupt)


def end(call: Call, reason: str) -> None:
    """Have the gateway hang up, which needs no connection to Twilio."""
    _order(call, "end", reason=reason)


def leave_message(call: Call, text: str) -> None:
    """Have the bot say something to a machine, and hang up."""
    _order(call, "message", text=text)


def pause(call: Call) -> int:
    """Announce that the call leaves its stream for a moment; returns which stream that is."""
    return int(_order(call, "pause").get("attempt", 0))


def unpause(call: Call) -> None:
    """It does not leave after all."""
    _order(call, "unpause")


def transfer(call: Call, *, target: str, say: str, terms: Mapping[str, Any]) -> None:
    """Have the call handed over: say something, and once that was heard put the call through.

    target: what its event names. terms: of the transfer, see ``calls.transfers``.
    """
    _order(call, "transfer", target=target, text=say, terms=dict(terms))


def watch(call: Call, *, channel: str, audio: bool) -> str:
    """Have it send what happens in the call to a channel; see ``apps.calls.watching``.

    Returns which stream is watched. To be renewed before ``watching.TTL_S`` are over.
    """
    return str(_order(call, "watch", channel=channel, audio=audio).get("stream", ""))


def unwatch(call: Call, *, channel: str) -> None:
    """Have it send no more."""
    _order(call, "unwatch", channel=channel)


# --- the way there --------------------------------------------------------------------------------


def _order(call: Call, kind: str, **fields: Any) -> Answer:
    """Send an order and return its answer. Takes up to 2 s. Raises ControlError.

    Not to be called on the loop of the gateway, which it waits for.
    """
    if call.is_over:
        raise OrderRefused("The call is over.")
    if call.gateway is None or call.stream_ended_at is not None:
        raise OrderRefused(_REASONS["unknown"])
    order = {"kind": kind, "call": str(call.pk), "at": time.time(), **fields}
    if len(orjson.dumps(order)) > LARGEST:
        raise ValueError(f"An order has {LARGEST} bytes at the most.")
    answer = _deliver(call.gateway, order)
    if not answer.get("ok"):
        raise OrderRefused(_REASONS.get(str(answer.get("reason")), _REASONS["unknown"]))
    return answer


def _deliver(gateway: uuid.UUID, order: Order) -> Answer:
    holder = _holders.get(gateway)
    if holder is not None:
        return _directly(holder, order)
    if not settings.REDIS_URL:
        raise GatewayNotReached(
            "The process that holds the call is another one, or gone: set REDIS_URL in every "
            "process, so that they can reach each other."
        )
    try:
        return async_to_sync(_over_redis)(gateway, dict(order))
    except TimeoutError:
        raise GatewayNotReached("The gateway did not answer within two seconds.") from None
    except (ChannelFull, OSError, RedisError) as exc:  # Redis's own errors are neither
        raise GatewayNotReached(f"The gateway was not reached ({type(exc).__name__}).") from exc


def _directly(holder: Holder, order: Order) -> Answer:
    done: Future[Answer] = Future()
    try:
        holder(order, done)
        return done.result(PATIENCE_S)
    except TimeoutError:
        done.cancel()
        raise GatewayNotReached("The gateway did not answer within two seconds.") from None
    except RuntimeError:  # its loop is closed
        raise GatewayNotReached("The gateway is shutting down.") from None


async def _over_redis(gateway: uuid.UUID, order: dict[str, Any]) -> Answer:
    layer = get_channel_layer()
    reply: str = await layer.new_channel("control")
    async with asyncio.timeout(PATIENCE_S):
        await layer.send(channel_of(gateway), {**order, "type": "control", "reply": reply})
        answer: Answer = await layer.receive(reply)
        return answer
