"""Takes orders for the calls of this process: from its own threads, and over the channel layer."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from channels.layers import get_channel_layer
from django.conf import settings

from apps.calls import control
from apps.calls.control import STALE_S, Answer, channel_of
from apps.gateway.session import Session
from apps.voice.orders import Order

logger = logging.getLogger(__name__)

# How long a channel layer that failed is left alone.
AGAIN_S = 1.0
LET_GO_S = 2.0

Find = Callable[[uuid.UUID], Session | None]
# Carries one kind of order out.
Act = Callable[[Session, Mapping[str, Any]], Answer]


class ControlDesk:
    """Owns the task that listens. Whoever made it awaits ``aclose``.

    more: what can be ordered besides what a session does itself, by kind.
    """

    def __init__(
        self, gateway: uuid.UUID, find: Find, *, more: Mapping[str, Act] | None = None
    ) -> None:
        self._channel = channel_of(gateway)
        self._find = find
        self._acts = {**_ACTS, **(more or {})}
        self._loop = asyncio.get_running_loop()
        self._deaf = control.listen(gateway, self._from_thread)
        self._task: asyncio.Task[None] | None = None
        if settings.REDIS_URL:
            self._task = asyncio.create_task(self._listen(), name="control")

    async def aclose(self) -> None:
        self._deaf()
        if self._task is not None:
            self._task.cancel()
            # The channel layer has swallowed cancellations before.
            await asyncio.wait([self._task], timeout=LET_GO_S)

    def take(self, order: Mapping[str, Any]) -> Answer:
        """Carry an order out, at once. Never raises."""
        try:
            session = self._find(uuid.UUID(str(order.get("call"))))
            act = self._acts.get(str(order.get("kind")))
            if session is None or act is None:
                return {"ok": False, "reason": "unknown"}
            return act(session, order)
        except Exception:  # an order's fault must not reach the calls
            logger.exception("An order failed")
            return {"ok": False, "reason": "unknown"}

    def _from_thread(self, order: Mapping[str, Any], done: Future[Answer]) -> None:
        def take() -> None:
            # Who asked may have given up: then it is not done either.
            if done.set_running_or_notify_cancel() and not _is_stale(order):
                done.set_result(self.take(order))

        self._loop.call_soon_threadsafe(take)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        failing = False
        while True:
            try:
                order = await layer.receive(self._channel)
                failing = False
                if not _is_stale(order):
                    await layer.send(order["reply"], {"type": "control", **self.take(order)})
            except Exception:  # the edge of a task
                if not failing:
                    logger.exception("The channel layer failed")
                failing = True
                await asyncio.sleep(AGAIN_S)


def _is_stale(order: Mapping[str, Any]) -> bool:
    return time.time() - float(order.get("at", 0)) > STALE_S


# --- what can be done -----------------------------------------------------------------------------


def _ordered(session: Session, order: Order) -> Answer:
    reason = session.conversation.order(order)
    return {"ok": not reason, "reason": reason}


def _say(session: Session, asked: Mapping[str, Any]) -> Answer:
    return _ordered(session, Order(str(asked["text"]), interrupt=bool(asked["interrupt"])))


def _message(session: Session, asked: Mapping[str, Any]) -> Answer:
    return _ordered(session, Order(str(asked["text"]), source="message", then="leave"))


def _end(session: Session, asked: Mapping[str, Any]) -> Answer:
    session.line.hang_up(str(asked["reason"]))
    return {"ok": True}


def _pause(session: Session, _asked: Mapping[str, Any]) -> Answer:
    reason = session.pause()
    return {"ok": not reason, "reason": reason, "attempt": session.attempt}


def _unpause(session: Session, _asked: Mapping[str, Any]) -> Answer:
    session.unpause()
    return {"ok": True}


def _transfer(session: Session, asked: Mapping[str, Any]) -> Answer:
    target = str(asked["target"])
    order = Order(str(asked["text"]), then="transfer", target=target)
    reason = session.hand_over(order, dict(asked["terms"]))
    return {"ok": not reason, "reason": reason}


_ACTS: Mapping[str, Act] = {
    "say": _say,
    "message": _message,
    "end": _end,
    "pause": _pause,
    "unpause": _unpause,
    "transfer": _transfer,
}
