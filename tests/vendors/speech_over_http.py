"""What the stand-ins of voices behind one HTTP request have in common: how an answer goes wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.vendors.kinds import VoiceStandIn
from tests.vendors.serving import Cut, Exchange, FaultKind


class HttpVoiceStandIn(VoiceStandIn):
    """Answers a sentence with its audio, chunked, in pieces of at most 100 ms."""

    AUDIO_TYPE = "audio/basic"

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[tuple[str, bool], list[bytes]] = {}

    async def refuse_with(self, exchange: Exchange, status: int, why: str, code: str = "") -> None:
        """Refuse in the vendor's own form."""
        raise NotImplementedError

    async def goes_wrong(self, exchange: Exchange, fault: FaultKind) -> bool:
        """Answer as the fault wants, where that is no audio at all."""
        if fault == "status":
            await self.refuse_with(exchange, self.fault.status, "set by the test")
        elif fault == "mute":
            await exchange.until_gone()
        elif fault == "error_body":
            await exchange.answer(200, {"error": {"code": "server_error", "message": "No."}})
        elif fault == "garbage":
            page = b"<html><body><h1>It works!</h1></body></html>" * 40
            await exchange.answer(200, page, content_type="text/html")
        elif fault == "empty":
            await exchange.answer(200, b"", content_type=self.AUDIO_TYPE)
        else:
            return False
        return True

    async def play(self, exchange: Exchange, pieces: Sequence[bytes], fault: FaultKind) -> None:
        """Stream the pieces; hold and break off after the first, where that is asked for."""
        await self.before_first()
        await exchange.start(200, content_type=self.AUDIO_TYPE)
        for number, piece in enumerate(pieces):
            await exchange.piece(piece)
            if number == 0:
                await self._held(exchange)
                if fault == "cut":
                    raise Cut
        await exchange.end()

    async def _held(self, exchange: Exchange) -> None:
        """Hold, but not longer than the client is there."""
        if self.hold is None:
            return
        held = asyncio.ensure_future(self.hold.wait())
        gone = asyncio.ensure_future(exchange.until_gone())
        await asyncio.wait({held, gone}, return_when=asyncio.FIRST_COMPLETED)
        held.cancel()

    def mulaw(self, text: str, fault: FaultKind = "none") -> list[bytes]:
        return self._once(text, fault, super().mulaw)

    def pcm(self, text: str, rate: int, fault: FaultKind) -> list[bytes]:
        """Return the text's sound as 16-bit PCM at ``rate``, cut in the middle of samples too."""
        return self._once(text, fault, lambda text, fault: self._pcm(text, rate, fault))

    def _once(
        self, text: str, fault: FaultKind, make: Callable[[str, FaultKind], list[bytes]]
    ) -> list[bytes]:
        """Make a text's sound but once: a benchmark must not measure how it is made."""
        key = (text, fault == "silence")
        if key not in self._made:
            self._made[key] = make(text, fault)
        return self._made[key]

    def _pcm(self, text: str, rate: int, fault: FaultKind) -> list[bytes]:
        sound = self.tone(text, rate) * (fault != "silence")
        whole = np.rint(sound * 32_767).astype("<i2").tobytes()
        most = rate // 10 * 2
        return _cut(whole, (most - 1, most, most - 333))


def _cut(whole: bytes, lengths: Any) -> list[bytes]:
    starts = [0]
    for length in itertools.cycle(lengths):
        if starts[-1] >= len(whole):
            return [whole[a:b] for a, b in itertools.pairwise(starts)]
        starts.append(starts[-1] + length)
    raise AssertionError
