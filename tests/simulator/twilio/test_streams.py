"""<Connect><Stream> in a call that lives: who closes, what follows, what is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from apps.simulator import script as steps
from apps.simulator.twilio.people import Person
from apps.simulator.twilio.state import Call
from apps.telephony import streams
from tests.simulator.conftest import Peer, listening, tone
from tests.simulator.twilio.app import Phones, phones
from tests.simulator.twilio.conftest import OURS, THEIRS
from tests.support.twilio_requests import stream_signature_is_valid

PUBLIC = "wss://voice.example.com/media/twilio"


async def stays(_socket: ServerConnection) -> None:
    """Say nothing, and leave the socket open."""


async def leaves(socket: ServerConnection) -> None:
    await socket.close()


def _route(net: Phones, peer: Peer) -> None:
    net.twilio.world.routes["https://voice.example.com"] = peer.url.replace("ws:", "http:").replace(
        "/media/twilio", ""
    )


def _connect(action: str = "", after: str = "") -> str:
    on = f' action="{action}"' if action else ""
    return (
        f'<Connect{on}><Stream url="{PUBLIC}" name="bot" statusCallback="/stream">'
        f'<Parameter name="token" value="t0k"/></Stream></Connect>{after}'
    )


def _events(peer: Peer) -> list[dict[str, Any]]:
    return [json.loads(one) for one in peer.heard]


async def _streaming(net: Phones, peer: Peer, body: str, person: Person | None = None) -> Call:
    """Call in and wait until the stream has started."""
    _route(net, peer)
    net.app.answers["/in"] = body
    call = net.twilio.dial_in(OURS, THEIRS, person)
    await net.twilio.until(lambda: len(peer.heard) >= 2)
    return call


async def test_a_stream_is_signed_over_its_public_url_and_brings_its_parameters() -> None:
    async with phones() as net, listening(stays) as peer:
        call = await _streaming(net, peer, _connect())
        net.twilio.hangs_up(call)
        await net.over(call)

        signature = peer.headers["x-twilio-signature"]
        assert stream_signature_is_valid(
            auth_token=net.twilio.token, url=PUBLIC, signature=signature
        )
        start = _events(peer)[1]["start"]
        assert (start["callSid"], start["customParameters"]) == (call.sid, {"token": "t0k"})


async def test_when_the_server_closes_the_action_is_asked() -> None:
    async with phones() as net, listening(leaves) as peer:
        net.app.answers["/after"] = "<Say>Back again</Say>"
        call = await _streaming(net, peer, _connect(action="/after", after="<Say>Never</Say>"))
        await net.over(call)

        assert net.told("/after")[0]["CallSid"] == call.sid
        assert net.heard(call) == [f"stream: {PUBLIC}", "say: Back again"]


async def test_without_an_action_the_next_verb_follows_and_then_the_call_ends() -> None:
    async with phones() as net, listening(leaves) as peer:
        call = await _streaming(net, peer, _connect(after="<Say>Goodbye</Say>"))
        await net.over(call)
        assert net.heard(call) == [f"stream: {PUBLIC}", "say: Goodbye"]
        assert call.status == "completed"


async def test_the_streams_own_callback_is_told() -> None:
    async with phones() as net, listening(leaves) as peer:
        await net.over(await _streaming(net, peer, _connect()))
        await net.twilio.until(lambda: len(net.told("/stream")) == 2)

        started, stopped = net.told("/stream")
        assert (started["StreamEvent"], stopped["StreamEvent"]) == (
            "stream-started",
            "stream-stopped",
        )
        assert started["StreamName"] == "bot"
        assert started["StreamSid"].startswith("MZ")
        assert started["Timestamp"].endswith("Z")


async def test_a_hang_up_sends_stop_and_closes() -> None:
    async with phones() as net, listening(stays) as peer:
        call = await _streaming(net, peer, _connect(action="/after"))
        net.twilio.hangs_up(call)
        await net.over(call)
        await peer.done.wait()

        assert _events(peer)[-1]["event"] == "stop"
        assert net.told("/after") == []


@pytest.mark.parametrize("stop", ["lost", "reset"])
async def test_stop_may_be_missing(stop: Any) -> None:
    async with phones() as net, listening(stays) as peer:
        net.twilio.network.habits.stop = stop
        call = await _streaming(net, peer, _connect())
        net.twilio.hangs_up(call)
        await net.over(call)
        await peer.done.wait()

        assert "stop" not in [one["event"] for one in _events(peer)]


async def test_a_person_may_hang_up_by_script() -> None:
    async with phones() as net, listening(stays) as peer:
        person = Person(script=[steps.Press("5"), steps.Pause(0.1), steps.HangUp()])
        call = await net.over(await _streaming(net, peer, _connect(action="/after"), person))
        await peer.done.wait()

        assert [one["event"] for one in _events(peer)].count("dtmf") == 1
        assert call.status == "completed"
        assert net.told("/after") == []


async def test_keys_reach_the_stream() -> None:
    async with phones() as net, listening(stays) as peer:
        call = await _streaming(net, peer, _connect())
        net.twilio.presses(call, "1#")
        await net.twilio.until(lambda: [one["event"] for one in _events(peer)].count("dtmf") == 2)
        net.twilio.hangs_up(call)
        await net.over(call)


async def test_rest_replaces_the_document_and_stops_the_stream() -> None:
    async with phones() as net, listening(stays) as peer:
        call = await _streaming(net, peer, _connect(action="/after"))

        await net.post(f"/Calls/{call.sid}", Twiml="<Response><Say>Bye</Say></Response>")
        await net.over(call)
        await peer.done.wait()

        assert _events(peer)[-1]["event"] == "stop"
        assert net.heard(call) == [f"stream: {PUBLIC}", "say: Bye"]
        assert net.told("/after") == []


@pytest.mark.parametrize("action", [True, False])
async def test_a_handshake_that_fails_is_an_error_and_the_call_goes_on(action: bool) -> None:
    async with phones() as net:
        net.twilio.world.routes["https://voice.example.com"] = "http://127.0.0.1:9"
        net.app.answers |= {
            "/in": _connect(action="/after" if action else "", after="<Say>Next</Say>"),
            "/after": "<Say>After</Say>",
        }
        call = net.twilio.dial_in(OURS, THEIRS)
        await net.over(call)

        told = net.told("/stream")
        assert [one["StreamEvent"] for one in told] == ["stream-error"]
        assert told[0]["StreamError"].startswith("31902")
        assert net.heard(call)[-1] == ("say: After" if action else "say: Next")


async def test_a_trial_account_has_no_streams() -> None:
    async with phones() as net, listening(stays) as peer:
        net.twilio.account.kind = "Trial"
        _route(net, peer)
        net.app.answers["/in"] = _connect(after="<Say>Next</Say>")
        call = await net.over(net.twilio.dial_in(OURS, THEIRS))
        assert "trial" in net.heard(call)[0]
        assert peer.heard == []


async def test_what_the_caller_heard_is_kept() -> None:
    async def talks(socket: ServerConnection) -> None:
        sid = json.loads(peer.heard[1])["streamSid"]
        await socket.send(streams.media(sid, tone(200)))
        await asyncio.sleep(0.3)
        await socket.close()

    async with phones() as net, listening(talks) as peer:
        call = await net.over(await _streaming(net, peer, _connect()))
        (record,) = net.twilio.streams(call)
        assert record.ended_by == "server"
        assert round(record.spurts[0].end_s - record.spurts[0].start_s, 2) == 0.2
