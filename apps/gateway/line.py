"""One stream's way out: a bounded outbox and the task that writes it to the socket."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from apps.gateway.taps import Tap
from apps.telephony import streams
from apps.voice.ports import Clock

# The playout stops at 20 messages; the rest is room for marks. What comes on top is dropped,
# because a peer that reads nothing hears nothing.
OUTBOX = 200


class StreamLine:
    """Implements ``voice.ports.Line`` over a Twilio stream. The session runs ``run``."""

    def __init__(
        self, stream_sid: str, *, send: Callable[[str], Awaitable[None]], clock: Clock
    ) -> None:
        self._sid = stream_sid
        self._send = send
        self._clock = clock
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self._writing_since: float | None = None
        self.end_reason = ""
        self.tap: Tap | None = None

    def play(self, audio: bytes) -> None:
        if self.tap is not None:
            self.tap.bot(audio)
        self._put(streams.media(self._sid, audio))

    def mark(self, name: str) -> None:
        self._put(streams.mark(self._sid, name))

    def clear(self) -> None:
        # Whatever was queued behind the socket is part of what is to be dropped.
        self._outbox.clear()
        if self.tap is not None:
            self.tap.cleared()
        self._put(streams.clear(self._sid))

    def hang_up(self, reason: str) -> None:
        self.end_reason = self.end_reason or reason
        self._wake.set()

    def backlog(self) -> int:
        return len(self._outbox)

    def stuck_s(self) -> float:
        """Return for how many seconds the peer has not taken the message at hand."""
        since = self._writing_since
        return 0.0 if since is None else self._clock.now() - since

    async def run(self) -> None:
        """Write until hung up and empty. Ends early with the socket's own error."""
        while self._outbox or not self.end_reason:
            if not self._outbox:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._writing_since = self._clock.now()
            await self._send(self._outbox.popleft())
            self._writing_since = None

    def _put(self, message: str) -> None:
        if len(self._outbox) < OUTBOX and not self.end_reason:
            self._outbox.append(message)
            self._wake.set()
