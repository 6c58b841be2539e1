"""<Connect><Stream>: the call's audio over a WebSocket, and what Twilio tells of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC

from apps.simulator import twiml
from apps.simulator.far_end import CallOptions
from apps.simulator.observer import Observer
from apps.simulator.record import CallRecord
from apps.simulator.script import Drop, HangUp
from apps.simulator.stream import SimulatedCall
from apps.simulator.twilio.live import HangUpNow, LiveCall, Source
from apps.simulator.twilio.state import sid_new
from apps.simulator.twilio.tempo import speaking_s
from apps.simulator.twilio.webhooks import Hook
from apps.simulator.wire import Dial, StreamRefused
from apps.telephony.inbound import Stream
from apps.voice.clock import LoopClock

_TRIAL = "Media streams are not available on trial accounts."


class _Events(Observer):
    """Tells the stream's status callback that it has started."""

    def __init__(self, live: LiveCall, verb: twiml.Stream, source: Source, sid: str) -> None:
        self._live = live
        self._verb = verb
        self._source = source
        self._sid = sid
        self.began_s = live.elapsed_s()

    def stream_started(self, at_s: float) -> None:
        self.began_s = self._live.elapsed_s()
        self.tell("stream-started")

    def tell(self, event: str, error: str = "") -> None:
        live, verb = self._live, self._verb
        if not verb.status_callback:
            return
        when = live.exchange.world.now().astimezone(UTC)
        fields = {
            "AccountSid": live.call.account_sid,
            "CallSid": live.call.sid,
            "StreamSid": self._sid,
            "StreamName": verb.name or self._sid,
            "StreamEvent": event,
            "Timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if error:
            fields["StreamError"] = error
        hook = Hook(self._source.join(verb.status_callback), verb.status_callback_method)
        live.exchange.callbacks.send(self._sid, live.account, event, hook, fields)


async def connect(live: LiveCall, verb: twiml.Connect, source: Source) -> bool:
    """Stream until the server closes the socket. False if the stream never began.

    Raises HangUpNow when the person hung up. When the call ends or is redirected meanwhile, the
    server is sent ``stop`` and the socket is closed.
    """
    if live.account.kind == "Trial":
        live.exchange.world.alert(0, _TRIAL)
        live.hear("say", _TRIAL)
        await live.sleep(speaking_s(_TRIAL))
        return False
    sid = sid_new("MZ")
    events = _Events(live, verb.stream, source, sid)
    live.hear("stream", verb.stream.url)
    try:
        record = await _stream(live, verb.stream, sid, events)
    except StreamRefused as refused:
        live.exchange.world.alert(int(refused.code), refused.message)
        live.hear("stream-error", refused.code)
        events.tell("stream-error", f"{refused.code}: {refused.message}")
        return False
    for warning in record.warnings:
        live.exchange.world.alert(0, warning)
    if record.ended_by in ("script", "timeout"):
        live.party_hangs_up()
        raise HangUpNow
    return True


async def _stream(live: LiveCall, verb: twiml.Stream, sid: str, events: _Events) -> CallRecord:
    call = live.call
    stream = Stream(sid, call.sid, call.account_sid, verb.parameters)
    url = live.exchange.world.routed(verb.url)
    dialled = Dial(url, stream, auth_token=live.account.auth_token, signed_url=verb.url)
    live.script.rejoin()
    running = asyncio.ensure_future(
        SimulatedCall(
            dialled,
            live.script,
            clock=LoopClock(asyncio.get_running_loop()),
            options=CallOptions(max_s=float("inf")),
            observer=events,
        ).run()
    )
    try:
        record = await asyncio.shield(running)
    except asyncio.CancelledError:
        stop = live.exchange.habits.stop
        live.script.order(Drop() if stop == "reset" else HangUp(send_stop=stop == "sent"))
        with suppress(StreamRefused):  # it had not begun
            live.streams.append((events.began_s, await running))
        events.tell("stream-stopped")
        raise
    live.streams.append((events.began_s, record))
    events.tell("stream-stopped")
    return record
