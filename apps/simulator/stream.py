"""One simulated call: opens the socket, speaks and listens in real time until somebody ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed

from apps.simulator import script as steps
from apps.simulator.far_end import CallOptions, FarEnd
from apps.simulator.observer import Observer
from apps.simulator.record import CallRecord
from apps.simulator.script import Script
from apps.simulator.strictness import BUFFER_OVERFLOW
from apps.simulator.wire import Dial, Wire, socket_open
from apps.voice.ports import Clock

# A write that waits so long means that the server does not read. Twilio publishes no figure.
BLOCKED_S = 1.0
# How long past its time a call may go on before its socket is broken.
_GRACE_S = 5.0


class SimulatedCall:
    """Plays one call. ``run`` once.

    clock: the real one; the parts that decide anything (playout, script, strictness) are pure and
    are tested in virtual time.
    """

    def __init__(
        self,
        dial: Dial,
        script: Script,
        *,
        clock: Clock,
        options: CallOptions | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._dial = dial
        self._script = script
        self._clock = clock
        self._options = options or CallOptions()
        self._observer = observer or Observer()
        self._far = FarEnd(dial.stream.stream_sid, clock, self._options, self._observer)

    async def run(self) -> CallRecord:
        """Hold the call and return what came of it. Raises StreamRefused if it never began."""
        opened = await socket_open(self._dial)
        wire = Wire(opened, self._dial.stream)
        listening = asyncio.create_task(self._far.listen(opened))
        # Not in the loop that sends: that one waits for as long as the server does not read.
        alarm = self._clock.call_at(
            self._clock.now() + self._options.max_s + _GRACE_S, lambda: self._give_up(wire)
        )
        try:
            await self._hold(wire)
        except ConnectionClosed:
            self._far.end("server")
        finally:
            alarm.cancel()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await wire.close()
        return self._far.record(*wire.closed())

    async def _hold(self, wire: Wire) -> None:
        far, clock = self._far, self._clock
        await wire.connected()
        await far.pace.until(clock.now() + self._options.start_after_s)
        start_s = far.start()
        await wire.started()
        frame_s = self._options.frame_ms / 1_000
        while not far.ended_by:
            due_s = start_s + (far.caller.frames + 1) * frame_s
            await far.pace.until(due_s)
            while far.echoes:
                await wire.mark(far.echoes.popleft())
            if clock.now() >= due_s and not far.ended_by:
                await self._frame(wire, clock.now() - start_s)

    async def _frame(self, wire: Wire, elapsed_s: float) -> None:
        for act in self._script.advance(self._far.scene()):
            await _ACTS[type(act)](self, wire, act)
        if self._far.ended_by:
            return
        if elapsed_s >= min(self._options.max_s, self._options.hang_up_after_s):
            by = "timeout" if elapsed_s >= self._options.max_s else "script"
            await self._hang_up(wire, steps.HangUp(), by=by)
            return
        caller = self._far.caller
        index, before_s = caller.frames, self._clock.now()
        self._observer.frame_sent(before_s, index)
        await wire.media(caller.next_payload(), index * caller.frame_ms)
        self._far.notice_ends()
        if self._clock.now() - before_s > BLOCKED_S:
            self._lose_frames(wire)

    def _lose_frames(self, wire: Wire) -> None:
        """Throw away the audio of the time in which the server did not read, as Twilio does."""
        far, now_s = self._far, self._clock.now()
        far.inspector.record(BUFFER_OVERFLOW, "the server does not read: caller audio discarded")
        while far.start_s + (far.caller.frames + 1) * self._options.frame_ms / 1_000 < now_s:
            self._observer.frame_lost(now_s, far.caller.frames)
            far.caller.next_payload()
            wire.media_lost()

    def _give_up(self, wire: Wire) -> None:
        self._far.end("timeout")
        wire.abort()

    # --- acts -------------------------------------------------------------------------------

    async def _say(self, _wire: Wire, act: steps.Say) -> None:
        said = self._far.caller.say(act.speech)
        self._observer.caller_started(self._clock.now(), said)

    async def _press(self, wire: Wire, act: steps.Press) -> None:
        for digit in act.digits:
            await wire.dtmf(digit)

    async def _inject(self, wire: Wire, act: steps.Inject) -> None:
        await wire.raw(act.frame)

    async def _stop_reading(self, _wire: Wire, act: steps.StopReading) -> None:
        self._far.deaf_until_s = self._clock.now() + act.seconds

    async def _hang_up(self, wire: Wire, act: steps.HangUp, *, by: str = "script") -> None:
        if act.send_stop:
            await wire.stopped()
        self._far.end(by)

    async def _drop(self, wire: Wire, _act: steps.Drop) -> None:
        self._far.end("dropped")
        wire.abort()


_Perform = Callable[[SimulatedCall, Wire, Any], Awaitable[None]]
_ACTS: Mapping[type, _Perform] = {
    steps.Say: SimulatedCall._say,
    steps.Press: SimulatedCall._press,
    steps.Inject: SimulatedCall._inject,
    steps.StopReading: SimulatedCall._stop_reading,
    steps.HangUp: SimulatedCall._hang_up,
    steps.Drop: SimulatedCall._drop,
}
