"""Connections that are there before they are needed: a call's providers, connected ahead.

A handshake with a vendor takes three round trips, which a caller would hear as silence. Where
Twilio asks for our TwiML, a call is known some hundred ms before its stream: its providers are
built then and wait under the CallSid. Where the TwiML lies in a Bin, they connect beside the
greeting.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from apps.bots.selectors import Admission
from apps.calls.ringing import Ringing
from apps.gateway.admission import Gate
from apps.gateway.building import ProviderMissing, Providers, kinds_of
from apps.voice.ports import ProviderError, Warmable

logger = logging.getLogger(__name__)

# Twilio connects within a second of our answer; a call that does not was hung up.
EXPECT_S = 15.0
# More calls than that in 15 s, and the oldest ones connect when they arrive.
EXPECTED = 200
LET_GO_S = 2.0

Build = Callable[[Admission], Providers]


class Warmth:
    """Warms one call's providers, each in a task of its own. Whoever owns it awaits ``aclose``."""

    def __init__(self, providers: Providers) -> None:
        self._tasks = {
            id(provider): asyncio.create_task(_warm(provider), name="warmth")
            for provider in providers.each()
            if isinstance(provider, Warmable)
        }

    async def ready(self, provider: object) -> None:
        """Wait until a provider is warm, or has failed to be: it is used either way."""
        task = self._tasks.get(id(provider))
        if task is not None and not task.done():
            await asyncio.wait([task])

    async def aclose(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def _warm(provider: Warmable) -> None:
    try:
        await provider.warm()
    except Exception:  # it fails again at its use, and is told there
        logger.exception("A provider did not warm up")


@dataclass(slots=True)
class Prepared:
    """A call's providers, and the tasks that connect them."""

    providers: Providers
    warmth: Warmth

    @classmethod
    def now(cls, providers: Providers) -> Prepared:
        return cls(providers, Warmth(providers))

    async def aclose(self) -> None:
        """Let everything go. A provider that does not let go in time is left behind."""
        await self.warmth.aclose()
        for provider in self.providers.each():
            try:
                async with asyncio.timeout(LET_GO_S):
                    await provider.aclose()
            except Exception:  # a provider's fault at its end must not keep the others open
                logger.exception("A provider did not close")


@dataclass(slots=True)
class _Guest:
    """A call that was announced: first its admission is looked up, then it is prepared."""

    task: asyncio.Task[None]
    admission: Admission | None = None
    prepared: Prepared | None = field(default=None, repr=False)


class Reception:
    """Expects calls: prepares them when they ring, hands them over when their stream starts."""

    def __init__(self, gate: Gate, build: Build) -> None:
        self._gate = gate
        self._build = build
        self._guests: OrderedDict[str, _Guest] = OrderedDict()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    def expect(self, ringing: Ringing) -> None:
        """Prepare a call that rings. Announced twice, it is prepared once."""
        if self._closed or not ringing.call_sid or ringing.call_sid in self._guests:
            return
        guest = _Guest(asyncio.create_task(self._prepare(ringing), name="reception"))
        self._guests[ringing.call_sid] = guest
        while len(self._guests) > EXPECTED:
            self._dismiss(next(iter(self._guests)))

    def claim(self, call_sid: str, admission: Admission) -> Prepared | None:
        """Hand over what was prepared for a call, if it is what the call needs now."""
        guest = self._guests.get(call_sid)
        if guest is None:
            return None
        prepared, known = guest.prepared, guest.admission
        if prepared is None or known is None or not _same(known, admission):
            self._dismiss(call_sid)
            return None
        guest.prepared = None
        self._dismiss(call_sid)
        return prepared

    async def aclose(self) -> None:
        self._closed = True
        for call_sid in list(self._guests):
            self._dismiss(call_sid)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _prepare(self, ringing: Ringing) -> None:
        try:
            admission = await self._gate.expect(ringing)
            guest = self._guests.get(ringing.call_sid)
            if admission is None or guest is None:
                return
            guest.prepared = Prepared.now(self._build(admission))
            guest.admission = admission
            await asyncio.sleep(EXPECT_S)
            self._dismiss(ringing.call_sid)
        except (ProviderMissing, ProviderError):
            pass  # the call says so when it arrives
        except Exception:  # the edge of a task
            logger.exception("A ringing call could not be prepared")

    def _dismiss(self, call_sid: str) -> None:
        task = asyncio.create_task(self._let_go(self._guests.pop(call_sid)), name="reception")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _let_go(self, guest: _Guest) -> None:
        guest.task.cancel()
        await asyncio.gather(guest.task, return_exceptions=True)
        if guest.prepared is not None:
            await guest.prepared.aclose()


def _same(one: Admission, other: Admission) -> bool:
    """Whether two admissions need the same providers: a bot may have changed while it rang."""
    kinds = kinds_of(one)
    return (
        (one.account_id, one.config_id) == (other.account_id, other.config_id)
        and kinds == kinds_of(other)
        and all(one.services(kind) == other.services(kind) for kind in kinds)
    )
