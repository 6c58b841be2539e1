"""A call while it runs, for a page: what is said as text messages, what is heard as binary ones.

Text messages are events as JSON, one each: those of ``apps.calls.watching``, and these of ours.

=============  =================================================================================
kind           what else
=============  =================================================================================
call           status, end_reason, started_at, answered_at, ended_at: at first, and as they change
turn           as ever; those from before, and those that were missed, out of the database: a turn
               may come twice, and is the same by ``stream`` and ``index``
listening      audio: whether the voices are sent too; why not, where they were asked for
unreachable    why: nothing live comes, and turns are read from the database every two seconds
over           the call has ended; nothing comes after it
=============  =================================================================================

Binary messages are the voices, as ``watching.sound`` packs them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer

from apps.calls import control
from apps.calls.control import ControlError, GatewayNotReached
from apps.calls.live import call_listened
from apps.calls.models import Call, Turn
from apps.calls.watching import RENEW_S, turn_event
from apps.core.threads import shared
from apps.dashboard.consumers.viewers import session_key_of, viewer_of
from apps.dashboard.scoping import actor_in, may

logger = logging.getLogger(__name__)

# What a socket is closed by; by RFC 6455, but for the last: nothing is left to say; the server met
# something that it did not expect.
OVER: Final = 1000
FAILED: Final = 1011
NOT_ALLOWED: Final = 4403

# How soon it is looked again: for a call that has no stream yet, one that was just reached (what
# was on its way into the database meanwhile is there then), and one that is out of reach.
SOON_S: Final = 0.3
CAUGHT_UP_S: Final = 1.0
POLL_S: Final = 2.0
THREADS: Final = 4
WORDS, VOICES = "calls:read", "calls:write"


@dataclass(frozen=True, slots=True)
class _Look:
    """What the database says. turns: those that were not seen yet, in order."""

    call: Call
    turns: tuple[Turn, ...]


class WatchConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One viewer of one call. Owns the task that keeps it watched; ``disconnect`` ends that.

    Whether they may is asked again with every look, so that a log-out is noticed in seconds.
    """

    async def connect(self) -> None:
        self._session = session_key_of(self.scope)
        self._call_id = uuid.UUID(self.scope["url_route"]["kwargs"]["pk"])
        self._audio = False
        self._task: asyncio.Task[None] | None = None
        self._seen = 0
        self._told: Mapping[str, Any] = {}
        self._wake = asyncio.Event()
        self._reached: Call | None = None
        look = await self._look()
        if look is None:
            await self.close()
            return
        await self.accept()
        await self._listen()
        self._task = asyncio.create_task(self._keep(look), name="watch")

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._reached is not None:
            with contextlib.suppress(ControlError):
                await asyncio.to_thread(control.unwatch, self._reached, channel=self.channel_name)

    async def watch_batch(self, message: Mapping[str, Any]) -> None:
        """Pass on what the gateway has sent."""
        for item in message["items"]:
            if isinstance(item, bytes):
                await self.send(bytes_data=item)
            else:
                await self._tell(item)
                if item["kind"] == "stream.ended":
                    self._wake.set()

    # --- inside ---------------------------------------------------------------------------------

    async def _keep(self, look: _Look) -> None:
        try:
            code = await self._watch(look)
        except Exception:  # the edge of a task: the page opens another socket
            logger.exception("A call could not be watched", extra={"call": str(self._call_id)})
            code = FAILED
        await self.close(code)

    async def _watch(self, look: _Look | None) -> int:
        """Show the call to its end, or for as long as they may see it; returns what to close by."""
        while look is not None:
            await self._show(look)
            if look.call.is_over:
                await self._tell({"kind": "over"})
                return OVER
            pause_s = await self._renew(look.call)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)
                await asyncio.sleep(SOON_S)  # its end is on its way into the database
            look = await self._look()
        return NOT_ALLOWED

    async def _renew(self, call: Call) -> float:
        """Have the gateway go on sending; returns when to look again, in seconds."""
        first = self._reached is None
        try:
            await asyncio.to_thread(
                control.watch, call, channel=self.channel_name, audio=self._audio
            )
        except GatewayNotReached as why:
            if self._told.get("unreachable") != str(why):
                self._told = {**self._told, "unreachable": str(why)}
                await self._tell({"kind": "unreachable", "why": str(why)})
            return POLL_S
        except ControlError:
            self._reached = None
            return SOON_S
        self._reached = call
        return CAUGHT_UP_S if first else RENEW_S

    async def _listen(self) -> None:
        """Say whether there is something to hear; who hears it stands in the audit log."""
        why = ""
        if b"1" in parse_qs(self.scope.get("query_string", b"")).get(b"audio", []):
            self._audio = await shared("dashboard", THREADS).run(self._may_listen)
            why = "" if self._audio else "Listening to calls needs the role of an operator."
        await self._tell({"kind": "listening", "audio": self._audio, "why": why})

    def _may_listen(self) -> bool:
        viewer = viewer_of(self._session)
        call = Call.objects.select_related("account").get(pk=self._call_id)
        if not may(viewer, VOICES, call.account_id):
            return False
        if not call.is_over:
            call_listened(call, actor=actor_in(viewer))
        return True

    async def _show(self, look: _Look) -> None:
        call = look.call
        state = {
            "status": call.status,
            "end_reason": call.end_reason,
            **{
                name: moment and moment.isoformat()
                for name in ("started_at", "answered_at", "ended_at")
                for moment in (getattr(call, name),)
            },
        }
        if self._told.get("call") != state:
            self._told = {**self._told, "call": state}
            await self._tell({"kind": "call", **state})
        for turn in look.turns:
            self._seen = turn.pk
            await self._tell(turn_event(turn))

    async def _look(self) -> _Look | None:
        """Read the call, if whoever it is may still see it."""
        return await shared("dashboard", THREADS).run(self._read)

    def _read(self) -> _Look | None:
        call = Call.objects.filter(pk=self._call_id).first()
        viewer = viewer_of(self._session)
        if call is None or not may(viewer, WORDS, call.account_id):
            return None
        self._audio = self._audio and may(viewer, VOICES, call.account_id)
        turns = Turn.objects.filter(call=call, pk__gt=self._seen).order_by("pk")
        return _Look(call, tuple(turns))

    async def _tell(self, event: Mapping[str, Any]) -> None:
        await self.send(text_data=orjson.dumps(event).decode())
