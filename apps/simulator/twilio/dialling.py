"""<Dial>: rings people, joins the first who answers to the call, and says what came of it.

Source: Twilio's "TwiML Voice: Dial" and "Number"; errors 13214, 13223, 13224.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.simulator import twiml
from apps.simulator.twilio.checks import is_e164
from apps.simulator.twilio.form import Form
from apps.simulator.twilio.live import HangUpNow, LiveCall, Source
from apps.simulator.twilio.state import Call, Times, sid_new

Run = Callable[[LiveCall, Source, Mapping[str, str]], Awaitable[Any]]
_WORST = ("busy", "no-answer", "failed", "canceled")


@dataclass(frozen=True, slots=True)
class _Ringing:
    """One of those who are rung. source: of the <Dial>'s document; run: runs a whisper."""

    leg: LiveCall
    callee: twiml.Callee
    source: Source
    run: Run


async def dial(live: LiveCall, verb: twiml.Dial, source: Source, run: Run) -> dict[str, str] | None:
    """Ring, join, and wait for the end. Returns the fields that ``action`` gets.

    None: Twilio does not dial at all, because ``callerId`` is nobody's (13214).
    """
    caller = verb.caller_id or live.call.from_
    if not _may_show(live, caller):
        live.exchange.world.alert(13214, f"Dial: callerId {caller} is not owned or verified")
        return None
    callees = [one for one in verb.callees if _may_ring(live, one)]
    rung = [_Ringing(_leg(live, one, caller, source), one, source, run) for one in callees]
    live.hear("ring", ", ".join(one.to for one in callees))
    try:
        joined = await _first(rung, verb.timeout_s)
        if joined is None:
            return _result(rung)
        live.answer()
        return await _bridge(live, joined, verb.time_limit_s)
    finally:
        for one in rung:
            one.leg.end("completed" if one.leg.answered else "canceled")


def _may_show(live: LiveCall, number: str) -> bool:
    world, call = live.exchange.world, live.call
    owned = world.number_of(number)
    return (
        number in (call.from_, call.to)
        or number in live.account.verified
        or (owned is not None and owned.account_sid == call.account_sid)
    )


def _may_ring(live: LiveCall, callee: twiml.Callee) -> bool:
    if callee.to.startswith(("sip:", "sips:")):
        return True
    world = live.exchange.world
    if not is_e164(callee.to):
        world.alert(13223, f"Dial: Invalid phone number format: {callee.to}")
        return False
    for prefix, code in live.account.refused.items():
        if callee.to.startswith(prefix):
            world.alert(code, f"Dial: {callee.to} may not be called")
            return False
    return True


def _leg(live: LiveCall, callee: twiml.Callee, caller: str, source: Source) -> LiveCall:
    """Begin a child call, with callbacks of its own."""
    asked: list[tuple[str, str]] = []
    if callee.status_callback:
        asked = [
            ("StatusCallback", source.join(callee.status_callback)),
            ("StatusCallbackMethod", callee.status_callback_method),
            *(("StatusCallbackEvent", event) for event in callee.events),
        ]
    exchange = live.exchange
    when = exchange.world.now()
    call = Call(
        sid_new("CA"),
        live.call.account_sid,
        callee.to,
        caller,
        "outbound-dial",
        Times(when, when),
        asked=Form(tuple(asked)),
        parent_sid=live.call.sid,
    )
    exchange.world.call_add(call)
    return LiveCall(exchange, call, exchange.person_at(callee.to))


async def _first(rung: Sequence[_Ringing], timeout_s: float) -> _Ringing | None:
    """Ring all and return who is ready to be joined; the others stop ringing."""
    tasks = {asyncio.ensure_future(_answer(one, timeout_s)): one for one in rung}
    waiting = set(tasks)
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.result():
                    return tasks[task]
        return None
    finally:
        for task, one in tasks.items():
            if not task.done():
                task.cancel()
                one.leg.end("canceled")
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(one: _Ringing, timeout_s: float) -> bool:
    """Ring one person and play them what is whispered. True: ready to be joined."""
    leg = one.leg
    ready = False

    async def ring() -> None:
        nonlocal ready
        leg.initiated()
        await leg.sleep(leg.exchange.habits.setup_s)
        if await leg.ring(timeout_s):
            ready = await _whispered(one)

    await leg.until_over(ring())
    return ready and not leg.over.done()


async def _whispered(one: _Ringing) -> bool:
    if not one.callee.url:
        return True
    whisper = Source(one.source.join(one.callee.url), one.callee.method)
    try:
        following = await one.run(one.leg, whisper, {})
        while following is not None:
            following = await one.run(one.leg, *following)
    except HangUpNow:
        one.leg.end("completed")
        return False
    return True


async def _bridge(live: LiveCall, joined: _Ringing, time_limit_s: float) -> dict[str, str]:
    leg = joined.leg
    live.hear("bridge", leg.call.to)
    leg.hear("bridge", live.call.from_)
    leg.after(time_limit_s, lambda: leg.end("completed"))
    began_s = leg.elapsed_s()
    await asyncio.shield(leg.over)
    return {
        "DialCallStatus": "completed",
        "DialCallSid": leg.call.sid,
        "DialCallDuration": str(round(leg.elapsed_s() - began_s)),
        "DialBridged": "true",
    }


def _result(rung: Sequence[_Ringing]) -> dict[str, str]:
    """Say why nobody was joined."""
    found = {one.leg.call.status for one in rung}
    # A callee who answered, and heard the whisper and left, was there but was not joined.
    status = next((one for one in _WORST if one in found), "failed" if not rung else "no-answer")
    fields = {"DialCallStatus": status, "DialBridged": "false"}
    if rung:
        fields["DialCallSid"] = rung[-1].leg.call.sid
    return fields
