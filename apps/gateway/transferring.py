"""Puts a call through: Twilio is given other TwiML for it, and the stream ends with the old one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from django.conf import settings

from apps.accounts.signing import secrets_of
from apps.bots.selectors import Admission
from apps.providers import connections
from apps.telephony.streams import Started
from apps.telephony.twiml import dial_document

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0


class TwilioTransferrer:
    """Implements ``voice.ports.Transferrer`` by Twilio's REST API. Whoever made it awaits
    ``aclose``.

    targets: ``{name: {"to"}}``.
    """

    def __init__(
        self, account_sid: str, call_sid: str, auth_token: str, targets: Mapping[str, Any]
    ) -> None:
        self._account_sid = account_sid
        self._call_sid = call_sid
        self._auth_token = auth_token
        self._targets = targets
        self._task: asyncio.Task[None] | None = None

    def transfer(self, target: str, done: Callable[[bool], None]) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._transfer(target, done), name="transfer")

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _transfer(self, target: str, done: Callable[[bool], None]) -> None:
        worked = False
        try:
            async with asyncio.timeout(PATIENCE_S):
                worked = await self._update(dial_document(self._targets[target]["to"]))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as exc:
            logger.warning("Twilio was not reached", extra={"error": type(exc).__name__})
        except Exception:  # the edge of a task
            logger.exception("A call could not be put through")
        done(worked)

    async def _update(self, twiml: str) -> bool:
        account, call = quote(self._account_sid, safe=""), quote(self._call_sid, safe="")
        answer = await connections.http().post(
            f"{settings.TWILIO_API_URL}/2010-04-01/Accounts/{account}/Calls/{call}.json",
            data={"Twiml": twiml},
            auth=(self._account_sid, self._auth_token),
        )
        if not answer.is_success:
            logger.warning("Twilio refused a transfer", extra={"status": answer.status_code})
        return answer.is_success


def transferrer_of(admission: Admission, started: Started) -> TwilioTransferrer | None:
    """Return what can put this call through, or None: Twilio is asked in the account's name."""
    targets = admission.document.get("transfers")
    known = secrets_of(admission.account, account_sid=started.account_sid)
    token = next((found.auth_token for found in known if found.auth_token), "")
    if not targets or not token or not started.account_sid:
        return None
    return TwilioTransferrer(started.account_sid, started.call_sid, token, targets)
