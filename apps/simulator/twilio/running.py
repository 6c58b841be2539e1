"""Runs TwiML on a call, verb by verb, until the document or the call is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from apps.simulator import twiml
from apps.simulator.twilio.dialling import dial
from apps.simulator.twilio.fetching import application_error, document_of
from apps.simulator.twilio.live import HangUpNow, LiveCall, Source
from apps.simulator.twilio.streaming import connect
from apps.simulator.twilio.tempo import speaking_s

# What a verb leads to: another document with fields for its request, or the next verb.
Next = tuple[Source, Mapping[str, str]] | None
_KEY_S = 0.25
_PLAY_S = 1.0


async def talk(live: LiveCall, source: Source, extra: Mapping[str, str]) -> None:
    """Run documents until one of them ends the call; REST may put others in their place."""
    following: tuple[Source, Mapping[str, str]] | None = (source, extra)
    while following is not None:
        running = asyncio.ensure_future(_documents(live, *following))
        order = asyncio.ensure_future(live.redirects.get())
        try:
            await asyncio.wait({running, order}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (running, order):
                task.cancel()
            await asyncio.gather(running, order, return_exceptions=True)
        if not running.cancelled():
            running.result()
        following = None if order.cancelled() else (order.result(), {})
    live.end("completed")


async def _documents(live: LiveCall, source: Source, extra: Mapping[str, str]) -> None:
    following: Next = (source, extra)
    try:
        while following is not None:
            following = await document_run(live, *following)
    except HangUpNow:
        return


async def document_run(live: LiveCall, source: Source, extra: Mapping[str, str]) -> Next:
    """Run one document; return what it leads to."""
    document, source = await document_of(live, source, extra)
    for index, verb in enumerate(document.verbs):
        if isinstance(verb, twiml.Reject) and index == 0 and not live.answered:
            status, code = ("busy", 486) if verb.reason == "busy" else ("no-answer", 603)
            live.end(status, sip_code=code)
            raise HangUpNow
        if not (isinstance(verb, twiml.Dial) and verb.answer_on_bridge):
            live.answer()
        following = await _VERBS[type(verb)](live, verb, source)
        if following is not None:
            return following
    live.answer()
    return None


# --- verbs --------------------------------------------------------------------------------------


async def _say(live: LiveCall, verb: twiml.Say, _source: Source) -> Next:
    live.hear("say", verb.text)
    await live.sleep(speaking_s(verb.text))
    return None


async def _pause(live: LiveCall, verb: twiml.Pause, _source: Source) -> Next:
    live.hear("pause", str(verb.seconds))
    await live.sleep(verb.seconds)
    return None


async def _play(live: LiveCall, verb: twiml.Play, source: Source) -> Next:
    if verb.digits:
        live.hear("digits", verb.digits)
        await live.sleep(_KEY_S * len(verb.digits))
    else:
        live.hear("play", source.join(verb.url))
        await live.sleep(_PLAY_S)
    return None


async def _hangup(_live: LiveCall, _verb: twiml.Hangup, _source: Source) -> Next:
    raise HangUpNow


async def _redirect(_live: LiveCall, verb: twiml.Redirect, source: Source) -> Next:
    return replace(source, twiml="", url=source.join(verb.url), method=verb.method), {}


async def _pass(_live: LiveCall, _verb: Any, _source: Source) -> Next:
    return None


async def _connect(live: LiveCall, verb: twiml.Connect, source: Source) -> Next:
    ran = await connect(live, verb, source)
    if verb.action and (ran or live.exchange.habits.action_after_refusal):
        return replace(source, twiml="", url=source.join(verb.action), method=verb.method), {}
    return None


async def _dial(live: LiveCall, verb: twiml.Dial, source: Source) -> Next:
    fields = await dial(live, verb, source, document_run)
    if fields is None:
        await application_error(live)
        raise HangUpNow
    live.answer()
    if verb.action:
        url = source.join(verb.action)
        return replace(source, twiml="", url=url, method=verb.method), fields
    return None


_Perform = Callable[[LiveCall, Any, Source], Awaitable[Next]]
_VERBS: Mapping[type, _Perform] = {
    twiml.Connect: _connect,
    twiml.Dial: _dial,
    twiml.Hangup: _hangup,
    twiml.Pause: _pause,
    twiml.Play: _play,
    twiml.Record: _pass,
    twiml.Redirect: _redirect,
    twiml.Reject: _pass,
    twiml.Say: _say,
}
