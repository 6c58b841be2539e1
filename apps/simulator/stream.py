"""One simulated call: opens the socket, speaks and listens in real time until somebody ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from apps.simulator import script as steps
from apps.simulator.far_end import CallOptions, FarEnd
from apps.simulator.observer import Observer
from apps.simulator.record import CallRecord
from apps.simulator.script import Script
from apps.simulator.strictness import BUFFER_OVERFLOW
from apps.simulator.wire import Dial, Wire, socket_open
from apps.voice.ports import Clock


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
        try:
            await self._hold(wire)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await wire.close()
        if not listening.cancelled():
            listening.result()  # raises what went wrong in us; a closed socket is no fault
        return self._far.record(*wire.closed())

    async def _hold(self, wire: Wire) -> None:
        far, clock = self._far, self._clock
        wire.connected()
        await far.pace.until(clock.now() + self._options.start_after_s)
        if far.ended_by:
            return
        start_s = far.start(echo=wire.mark)
        wire.started()
        frame_s = self._options.frame_ms / 1_000
        while not far.ended_by:
            due_s = start_s + (far.caller.frames + 1) * frame_s
            await far.pace.until(due_s)
            if clock.now() >= due_s and not far.ended_by:
                self._frame(wire, clock.now() - start_s)

    def _frame(self, wire: Wire, elapsed_s: float) -> None:
        for act in self._script.advance(self._far.scene()):
            _ACTS[type(act)](self, wire, act)
        if self._far.ended_by:
            return
        if elapsed_s >= min(self._options.max_s, self._options.hang_up_after_s):
            by = "timeout" if elapsed_s >= self._options.max_s else "script"
            self._hang_up(wire, steps.HangUp(), by=by)
            return
        self._send(wire)
        self._far.notice_ends()

    def _send(self, wire: Wire) -> None:
        """Send the next frame, or throw it away as Twilio does if the server does not read."""
        caller, now_s = self._far.caller, self._clock.now()
        index = caller.frames
        payload = caller.next_payload()
        if wire.congested():
            wire.media_lost()
            self._far.inspector.record(BUFFER_OVERFLOW, "caller audio discarded: nobody reads")
            self._observer.frame_lost(now_s, index)
            return
        self._observer.frame_sent(now_s, index)
        wire.media(payload, index * caller.frame_ms)

    # --- acts -------------------------------------------------------------------------------

    def _say(self, _wire: Wire, act: steps.Say) -> None:
        said = self._far.caller.say(act.speech)
        self._observer.caller_started(self._clock.now(), said)

    def _press(self, wire: Wire, act: steps.Press) -> None:
        for digit in act.digits:
            wire.dtmf(digit)

    def _inject(self, wire: Wire, act: steps.Inject) -> None:
        wire.raw(act.frame)

    def _stop_reading(self, _wire: Wire, act: steps.StopReading) -> None:
        self._far.deaf_until_s = self._clock.now() + act.seconds

    def _hang_up(self, wire: Wire, act: steps.HangUp, *, by: str = "script") -> None:
        if act.send_stop:
            wire.stopped()
        self._far.end(by)

    def _drop(self, wire: Wire, _act: steps.Drop) -> None:
        self._far.end("dropped")
        wire.abort()


_Perform = Callable[[SimulatedCall, Wire, Any], None]
_ACTS: Mapping[type, _Perform] = {
    steps.Say: SimulatedCall._say,
    steps.Press: SimulatedCall._press,
    steps.Inject: SimulatedCall._inject,
    steps.StopReading: SimulatedCall._stop_reading,
    steps.HangUp: SimulatedCall._hang_up,
    steps.Drop: SimulatedCall._drop,
}
