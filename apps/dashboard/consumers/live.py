"""The card of live calls, as HTML: sent at first and whenever it changes, to who may see it.

The database is asked once a second, in a thread: so it works with any number of processes, and
with nothing beside the database.
"""

from __future__ import annotations

import asyncio
import logging
import zoneinfo
from typing import Any, Final
from urllib.parse import unquote

from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import HttpRequest
from django.utils import timezone

from apps.calls.statistics.selectors import Live, live_calls
from apps.core.threads import shared
from apps.dashboard.consumers.viewers import session_key_of, viewer_of
from apps.dashboard.consumers.watch import FAILED, NOT_ALLOWED, THREADS
from apps.dashboard.gate import may_enter
from apps.dashboard.home.views import LIVE_SHOWN, READS, live_html
from apps.dashboard.middleware import COOKIE, zone_named
from apps.dashboard.scoping import accounts_shown, may, shows_several

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
# How soon a log-out, or a role that was taken away, is noticed.
ASK_EVERY_S: Final = 30.0


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One viewer's card. Owns the task that keeps it; ``disconnect`` ends that."""

    # It looks into the database: with a channel of its own, Redis would hold a connection for it.
    channel_layer_alias = None

    async def connect(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._session = session_key_of(self.scope)
        self._zone = _zone_of(self.scope)
        viewer = await self._ask()
        if viewer is None:
            await self.close()
            return
        await self.accept()
        self._task = asyncio.create_task(self._keep(viewer), name="live")

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self, viewer: HttpRequest) -> None:
        code = NOT_ALLOWED
        try:
            await self._show(viewer)
        except Exception:  # the edge of a task: the page opens another socket
            logger.exception("The card of live calls could not be kept")
            code = FAILED
        await self.close(code)

    async def _show(self, viewer: HttpRequest | None) -> None:
        """Send the card as it changes, for as long as they may see it."""
        loop = asyncio.get_running_loop()
        shown: Live | None = None
        ask_at = loop.time() + ASK_EVERY_S
        while viewer is not None:
            found = await _in_thread(_look, viewer)
            if found != shown:
                shown = found
                await self.send(text_data=await _in_thread(_html, found, viewer, self._zone))
            await asyncio.sleep(LOOK_EVERY_S)
            if loop.time() >= ask_at:
                viewer, ask_at = await self._ask(), loop.time() + ASK_EVERY_S

    async def _ask(self) -> HttpRequest | None:
        found: HttpRequest | None = await _in_thread(_viewer, self._session)
        return found


async def _in_thread(work: Any, *given: Any) -> Any:
    return await shared("dashboard", THREADS).run(lambda: work(*given))


def _viewer(session_key: str) -> HttpRequest | None:
    """Return whoever holds the session now, if they may see calls."""
    viewer = viewer_of(session_key)
    return viewer if may_enter(viewer.user, viewer.session) and may(viewer, READS) else None


def _look(viewer: HttpRequest) -> Live:
    return live_calls(accounts_shown(viewer, READS), at_most=LIVE_SHOWN)


def _html(found: Live, viewer: HttpRequest, zone: zoneinfo.ZoneInfo | None) -> str:
    with timezone.override(zone):
        return live_html(found, several=shows_several(viewer))


def _zone_of(scope: Any) -> zoneinfo.ZoneInfo | None:
    return zone_named(unquote(scope.get("cookies", {}).get(COOKIE, "")))
