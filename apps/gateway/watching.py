"""Sends what happens in calls to those who watch them: see ``apps.calls.watching``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer

from apps.calls.control import Answer
from apps.calls.watching import TTL_S
from apps.gateway.controlling import Act
from apps.gateway.session import Session
from apps.gateway.taps import Tap, Viewer
from apps.voice.ports import Clock

logger = logging.getLogger(__name__)

TICK_S = 0.1
# How long the channel layer may take for one batch, before that is dropped.
SEND_S = 1.0
LET_GO_S = 1.0
# Viewers of one call.
MOST = 8


class WatchDesk:
    """Owns a task for each call that is watched. Whoever made it awaits ``aclose``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pumps: set[asyncio.Task[None]] = set()
        self._failing = False
        self.acts: Mapping[str, Act] = {"watch": self._watch, "unwatch": self._unwatch}

    async def aclose(self) -> None:
        """Send the last words of calls that have ended, and end."""
        if self._pumps:
            _, left = await asyncio.wait(self._pumps, timeout=LET_GO_S)
            for pump in left:
                pump.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _watch(self, session: Session, order: Mapping[str, Any]) -> Answer:
        channel = str(order["channel"])
        tap = session.tap or self._open(session)
        if channel not in tap.viewers and len(tap.viewers) >= MOST:
            return {"ok": False, "reason": "crowded"}
        tap.see(channel, audio=bool(order["audio"]), until=self._clock.now() + TTL_S)
        return {"ok": True, "stream": session.stream_sid}

    def _unwatch(self, session: Session, order: Mapping[str, Any]) -> Answer:
        if session.tap is not None:
            session.tap.viewers.pop(str(order["channel"]), None)
        return {"ok": True}

    def _open(self, session: Session) -> Tap:
        tap = Tap(session.conversation, session.stream_sid, self._clock)
        session.tell(tap)
        pump = asyncio.create_task(self._pump(session, tap), name="watch")
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return tap

    async def _pump(self, session: Session, tap: Tap) -> None:
        """Send until nobody watches, or there is nothing more to see."""
        try:
            while tap.viewers:
                await asyncio.sleep(TICK_S)
                tap.forget_old()
                tap.look()
                over = tap.over  # what is told last lies there already
                for viewer in list(tap.viewers.values()):
                    await self._send(viewer, tap, str(session.call_id))
                if over:
                    return
        finally:
            session.tell(None)

    async def _send(self, viewer: Viewer, tap: Tap, call: str) -> None:
        items = viewer.take()
        if not items:
            return
        batch = {"type": "watch.batch", "call": call, "stream": tap.stream_sid, "items": items}
        try:
            async with asyncio.timeout(SEND_S):
                await get_channel_layer().send(viewer.channel, batch)
            self._failing = False
        except (ChannelFull, TimeoutError):
            viewer.lose(items)
        except Exception:  # the channel layer's fault is not the call's
            if not self._failing:
                logger.exception("The channel layer failed")
            self._failing = True
            viewer.lose(items)
