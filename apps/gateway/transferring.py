"""Puts a call through: Twilio is given other TwiML for it, and the stream ends with the old one."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from apps.calls.control import OrderRefused
from apps.calls.models import Call, Transfer
from apps.calls.transfers import transfer_begin, transfer_make

logger = logging.getLogger(__name__)

# How long the caller waits in silence for Twilio's answer.
PATIENCE_S = 8.0


class CallTransferrer:
    """Implements ``voice.ports.Transferrer`` for one call. Whoever made it awaits ``aclose``.

    targets: the bot's own, ``{name: {"to", "mode"}}``.
    """

    def __init__(self, call_id: uuid.UUID, targets: Mapping[str, Any]) -> None:
        self._call_id = call_id
        self._targets = targets
        self._summaries: dict[str, str] = {}
        self._wanted: dict[str, Mapping[str, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        # Twilio may have the call for somebody else, though it has not said so.
        self.may_have_left = False

    def summarise(self, target: str, summary: str) -> None:
        """Note what the human is told, when a model asks for a transfer."""
        self._summaries[target] = summary

    def want(self, target: str, terms: Mapping[str, Any]) -> None:
        """Note the terms of a transfer that is written down already, under the name of a target."""
        self._wanted[target] = terms

    def transfer(self, target: str, done: Callable[[bool], None]) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._transfer(target, done), name="transfer")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _transfer(self, target: str, done: Callable[[bool], None]) -> None:
        self.may_have_left, worked = True, None
        try:
            async with asyncio.timeout(PATIENCE_S):
                worked = await asyncio.to_thread(self._begin, target)
            self.may_have_left = worked is not False
        except TimeoutError:
            logger.warning("Twilio did not say whether it puts a call through")
        except Exception:  # the edge of a task
            logger.exception("A call could not be put through")
            self.may_have_left = False
        done(bool(worked))

    def _begin(self, target: str) -> bool | None:
        """Ask Twilio, in a thread of its own."""
        try:
            terms = self._wanted.pop(target, None)
            if terms is not None:
                return transfer_begin(
                    uuid.UUID(str(terms["id"])),
                    timeout=int(terms["timeout"]),
                    caller_id=str(terms["caller_id"]),
                )
            return transfer_begin(self._make(target).pk)
        except (OrderRefused, Call.DoesNotExist, Transfer.DoesNotExist):
            return False
        finally:
            connection.close()

    def _make(self, target: str) -> Transfer:
        found = self._targets[target]
        return transfer_make(
            Call.objects.get(pk=self._call_id),
            to=found["to"],
            mode=found.get("mode") or Transfer.Mode.COLD,
            summary=self._summaries.pop(target, ""),
        )
