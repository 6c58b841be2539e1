"""Whole calls on the loopback, in real time and as short as they can be."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from apps.simulator import script as steps
from apps.simulator.caller import Said, Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.observer import Observer
from apps.simulator.record import exchanges
from apps.simulator.wire import StreamRefused
from apps.telephony import streams
from tests.simulator.conftest import STREAM, call, listening, tone
from tests.support.twilio_requests import stream_signature_is_valid

SID = STREAM.stream_sid
SOON = (steps.Pause(0.1), steps.HangUp())


async def silent(_socket: ServerConnection) -> None:
    """Say nothing."""


async def greets(socket: ServerConnection) -> None:
    await socket.send(streams.media(SID, tone(200)))
    await socket.send(streams.mark(SID, "greeting"))


def frames(heard: list[str | bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in heard]


async def test_it_opens_the_socket_as_twilio_does() -> None:
    async with listening(silent) as peer:
        await call(peer.url, SOON)
    assert peer.headers["user-agent"] == "Twilio.TmeWs/1.0"
    absent = {"origin", "sec-websocket-extensions", "sec-websocket-protocol", "x-twilio-signature"}
    assert absent.isdisjoint(peer.headers)


async def test_it_signs_the_public_url_whatever_it_dials() -> None:
    public = "wss://voice.example.com/media/twilio"
    async with listening(silent) as peer:
        await call(peer.url, SOON, auth_token="secret", signed_url=public)
    signature = peer.headers["x-twilio-signature"]
    assert stream_signature_is_valid(auth_token="secret", url=public, signature=signature)
    assert not stream_signature_is_valid(auth_token="other", url=public, signature=signature)
    assert not stream_signature_is_valid(auth_token="secret", url=peer.url, signature=signature)


async def test_it_numbers_what_it_sends() -> None:
    async with listening(greets) as peer:
        await call(peer.url, (steps.Pause(0.3), steps.Press("5"), steps.HangUp()))
        await peer.done.wait()
    connected, *numbered = frames(peer.heard)
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert [one["sequenceNumber"] for one in numbered] == [
        str(number) for number in range(1, len(numbered) + 1)
    ]
    assert {one["event"] for one in numbered} == {"start", "media", "mark", "dtmf", "stop"}
    assert (numbered[0]["event"], numbered[-1]["event"]) == ("start", "stop")


async def test_its_frames_are_numbered_and_timed() -> None:
    async with listening(silent) as peer:
        await call(peer.url, SOON, options=CallOptions(frame_ms=10))
        await peer.done.wait()
    media = [one["media"] for one in frames(peer.heard) if one["event"] == "media"]
    assert [one["chunk"] for one in media] == [str(n + 1) for n in range(len(media))]
    assert [one["timestamp"] for one in media] == [str(10 * n) for n in range(len(media))]
    assert 8 <= len(media) <= 20


async def test_what_it_sends_reads_as_a_stream() -> None:
    async with listening(greets) as peer:
        await call(peer.url, (steps.Pause(0.3), steps.Press("*"), steps.HangUp()))
        await peer.done.wait()
    found = [streams.parse(frame) for frame in peer.heard]
    assert None not in found
    started = found[1]
    assert isinstance(started, streams.Started)
    assert (started.stream_sid, started.parameters) == (SID, {"bot": "7c1e"})
    assert streams.Mark("greeting") in found
    assert streams.Dtmf("*") in found
    assert found[-1] == streams.Stopped(STREAM.call_sid)


async def test_a_mark_comes_back_when_the_audio_was_heard() -> None:
    async with listening(greets) as peer:
        await call(peer.url, (steps.Pause(0.5), steps.HangUp()))
        await peer.done.wait()
    events = [one["event"] for one in frames(peer.heard)]
    before = events[: events.index("mark")].count("media")
    assert 9 <= before <= 20  # 200 ms are 10 frames


class Ear(Observer):
    """Writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.sent: list[float] = []

    def frame_sent(self, at_s: float, index: int) -> None:
        assert index == len(self.sent)
        self.sent.append(at_s)

    def bot_started(self, at_s: float) -> None:
        self.told.append("bot")

    def bot_stopped(self, at_s: float) -> None:
        self.told.append("silence")

    def caller_started(self, at_s: float, said: Said) -> None:
        self.told.append("caller")

    def caller_stopped(self, at_s: float, said: Said) -> None:
        self.told.append("said")

    def cleared(self, at_s: float, dropped_s: float) -> None:
        self.told.append("clear")

    def call_ended(self, at_s: float, by: str) -> None:
        self.told.append(by)


async def interruptible(socket: ServerConnection) -> None:
    """Talk for five seconds, fall silent on the first loud frame, then answer."""
    await socket.send(streams.media(SID, tone(5_000)))
    loud = 0
    async for frame in socket:
        message = streams.parse(frame)
        loud += isinstance(message, streams.Media) and message.payload == tone(20)
        if loud == 3:
            await socket.send(streams.clear(SID))
        if loud == 20:
            await socket.send(streams.media(SID, tone(300)))
            break


async def test_talking_over_the_bot_is_measured() -> None:
    ear = Ear()
    script = steps.conversation([Speech.of(tone(400))], interrupt_after_s=0.2)
    async with listening(interruptible) as peer:
        record = await call(peer.url, script, observer=ear)
    (turn,) = exchanges(record)
    assert turn.talked_over
    assert turn.silenced_ms is not None
    assert turn.latency_ms is not None
    assert 50 <= turn.silenced_ms < 300
    assert 0 <= turn.latency_ms < 300
    assert [spurt.cut for spurt in record.spurts] == [True, False]
    ear.told.remove("said")  # at about the moment at which the answer begins
    assert ear.told == ["bot", "caller", "clear", "silence", "bot", "silence", "script"]


async def test_frames_leave_on_time_and_stay_on_time() -> None:
    ear = Ear()
    async with listening(silent) as peer:
        await call(peer.url, (steps.Pause(1.0), steps.HangUp()), observer=ear)
    late = [at - ear.sent[0] - index * 0.02 for index, at in enumerate(ear.sent)]
    assert len(ear.sent) == pytest.approx(50, abs=4)
    assert sorted(late)[len(late) // 2] < 0.01


async def test_the_two_tracks_are_as_long_as_the_call() -> None:
    async with listening(greets) as peer:
        record = await call(peer.url, (steps.Say(Speech.of(tone(200))), *SOON))
    assert len(record.caller) / 8_000 == pytest.approx(record.duration_s, abs=0.05)
    assert len(record.bot) / 8_000 == pytest.approx(record.duration_s, abs=0.01)
    assert record.caller.count(tone(200)) == 1
    assert record.bot.count(tone(200)) == 1


async def test_offences_are_recorded_with_their_time() -> None:
    async def offends(socket: ServerConnection) -> None:
        await socket.send(streams.media("MZ" + "0" * 32, tone(20)))
        await socket.send(b"\xff" * 160)

    async with listening(offends) as peer:
        record = await call(peer.url, SOON)
    assert record.warnings == ("31950", "31951")
    assert [finding.reason for finding in record.findings] == ["wrong streamSid", "binary frame"]
    assert record.spurts == ()


async def test_what_is_sent_before_start_is_an_offence() -> None:
    async with listening(greets, patient=False) as peer:
        record = await call(peer.url, SOON, options=CallOptions(start_after_s=0.2))
    assert record.findings[0].reason == "sent before start"


async def test_the_call_ends_when_the_server_closes() -> None:
    async def closes(socket: ServerConnection) -> None:
        await socket.close(1008, "no such bot")

    async with listening(closes) as peer:
        record = await call(peer.url, (steps.Pause(30),))
    assert (record.ended_by, record.close_code) == ("server", 1008)
    assert record.close_reason == "no such bot"


async def test_a_server_that_closes_before_start_has_ended_the_call() -> None:
    async def closes(socket: ServerConnection) -> None:
        await socket.close()

    async with listening(closes, patient=False) as peer:
        record = await call(peer.url, SOON, options=CallOptions(start_after_s=5.0))
    assert (record.ended_by, record.said, record.spurts) == ("server", (), ())
    assert 0 <= record.duration_s < 1


async def test_a_drop_breaks_the_connection_without_a_word() -> None:
    async with listening(silent) as peer:
        record = await call(peer.url, (steps.Pause(0.1), steps.Drop()))
        await peer.done.wait()
    assert record.ended_by == "dropped"
    assert frames(peer.heard)[-1]["event"] == "media"


async def test_a_hang_up_may_leave_out_the_stop() -> None:
    async with listening(silent) as peer:
        await call(peer.url, (steps.Pause(0.1), steps.HangUp(send_stop=False)))
        await peer.done.wait()
    assert frames(peer.heard)[-1]["event"] == "media"


async def test_it_sends_garbage_when_told_to() -> None:
    async with listening(silent) as peer:
        await call(peer.url, (steps.Inject("garbage"), steps.Inject(b"\x00\xff"), *SOON))
        await peer.done.wait()
    assert "garbage" in peer.heard
    assert b"\x00\xff" in peer.heard


async def test_a_slow_reader_takes_nothing_for_a_while() -> None:
    async def later(socket: ServerConnection) -> None:
        await socket.recv()  # by the first frame it has stopped reading
        await socket.send(streams.media(SID, tone(20)))

    script = (steps.StopReading(0.4), steps.Pause(0.6), steps.HangUp())
    async with listening(later) as peer:
        record = await call(peer.url, script, receive_buffer=4_096)
    assert 0.4 <= record.spurts[0].start_s < 0.6


async def test_a_server_that_does_not_read_loses_audio() -> None:
    lost: list[int] = []

    class Losses(Observer):
        def frame_lost(self, at_s: float, index: int) -> None:
            lost.append(index)

    async def deaf(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await socket.wait_closed()

    flood = steps.Inject("x" * 20_000_000)  # more than the two kernels hold
    async with listening(deaf) as peer:
        record = await call(peer.url, (steps.Pause(0.1), flood, *SOON), observer=Losses())
    assert record.warnings == ("31930",)
    assert lost == list(range(lost[0], lost[0] + len(lost)))


async def test_no_call_is_longer_than_it_may_be() -> None:
    async with listening(silent) as peer:
        record = await call(peer.url, (steps.Pause(30),), options=CallOptions(max_s=0.2))
        await peer.done.wait()
    assert record.ended_by == "timeout"
    assert frames(peer.heard)[-1]["event"] == "stop"


async def test_nobody_listening_is_twilios_31902() -> None:
    async with listening(silent) as peer:
        pass
    with pytest.raises(StreamRefused, match="31902"):
        await call(peer.url, SOON)


@pytest.mark.parametrize("status", [HTTPStatus.FORBIDDEN, HTTPStatus.FOUND])
async def test_a_refused_handshake_is_twilios_31920(status: HTTPStatus) -> None:
    def refuse(socket: ServerConnection, _request: Request) -> Response:
        answer = socket.respond(status, "")
        answer.headers["Location"] = "/elsewhere"
        return answer

    async with serve(silent, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(StreamRefused) as refused:
            await call(f"ws://127.0.0.1:{port}/", SOON)
    assert (refused.value.code, refused.value.status) == ("31920", status)


@pytest.mark.parametrize(("url", "code"), [("http://127.0.0.1/", "31923"), ("ws://", "31923")])
async def test_an_url_that_is_none_is_refused(url: str, code: str) -> None:
    with pytest.raises(StreamRefused, match=code):
        await call(url, SOON)
