"""The simulator's own API, TwiML Bins, the journal, and the way to https://api.twilio.com."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection

from apps.simulator.twilio.bins import ORIGIN
from apps.simulator.twilio.control import Control
from apps.simulator.twilio.front import Front
from apps.simulator.twilio.journal import Journal
from apps.simulator.twilio.serving import serving
from apps.simulator.twilio.stand_in import StandIn
from apps.simulator.twilio.state import Account
from apps.simulator.twilio.tempo import FastClock
from apps.simulator.twilio.tunnel import certificates_make, tunnelling
from apps.telephony import streams
from apps.voice.clock import LoopClock
from tests.simulator.conftest import listening, tone
from tests.simulator.twilio.app import App
from tests.simulator.twilio.conftest import OURS, THEIRS


async def speaks(text: str) -> bytes:
    return tone(20 * len(text))


class Laptop:
    """A simulator as a person runs it, and a client for it."""

    def __init__(self, stand_in: StandIn, account: Account, app: App, speed: float) -> None:
        clock = FastClock(LoopClock(asyncio.get_running_loop()), speed)
        self.stand_in = stand_in
        self.account = account
        self.app = app
        self.network = stand_in.go_live(clock)
        self.control = Control(self.network, account, stand_in.drills, stand_in.callbacks, speaks)
        self.front = Front(stand_in, self.control)
        self.http = httpx.AsyncClient()

    async def until(self, true: Any) -> None:
        for _ in range(5_000):
            if true():
                return
            await asyncio.sleep(0.002)
        raise TimeoutError("It did not happen.")


@asynccontextmanager
async def laptop(speed: float = 200.0) -> AsyncIterator[Laptop]:
    app = App()
    stand_in = StandIn(transport=app)
    account = stand_in.world.account_add()
    stand_in.world.number_add(account, OURS, VoiceUrl="https://voice.example.com/in")
    one = Laptop(stand_in, account, app, speed)
    async with serving(one.front) as url, one.http:
        one.http.base_url = httpx.URL(url)
        yield one
    await stand_in.aclose()


async def test_somebody_calls_a_number_and_hangs_up() -> None:
    async with laptop() as it:
        it.app.answers["/in"] = '<Say>Hello</Say><Pause length="6000"/>'
        made = await it.http.post("/_simulator/calls", json={"to": OURS, "from": THEIRS})
        one = f"/_simulator/calls/{made.json()['sid']}"

        assert made.status_code == 201
        await it.until(lambda: len(it.network.live[made.json()["sid"]].heard) == 2)
        shown = (await it.http.get(one)).json()
        assert [(each["kind"], each["what"]) for each in shown["heard"]] == [
            ("say", "Hello"),
            ("pause", "6000"),
        ]
        ended = await it.http.post(f"{one}/hangup")
        assert ended.json()["status"] == "completed"
        listed = (await it.http.get("/_simulator/calls")).json()["calls"]
        assert [each["status"] for each in listed] == ["completed"]


async def test_a_person_speaks_presses_keys_and_is_recorded() -> None:
    heard: list[dict[str, Any]] = []

    async def answers(socket: ServerConnection) -> None:
        sid = json.loads(peer.heard[1])["streamSid"]
        await socket.send(streams.media(sid, tone(100)))
        async for frame in socket:
            heard.append(json.loads(frame))

    async with laptop() as it, listening(answers) as peer:
        it.app.answers["/in"] = f'<Connect><Stream url="{peer.url}"/></Connect>'
        await it.http.post("/_simulator/calls", json={"to": OURS, "from": THEIRS})
        await it.until(lambda: len(heard) > 3)
        pressed = await it.http.post("/_simulator/calls/last/press", json={"digits": "1#"})
        said = await it.http.post("/_simulator/calls/last/say", json={"text": "Towels"})
        await it.until(lambda: [each["event"] for each in heard].count("dtmf") == 2)
        (live,) = it.network.live.values()
        before = len(heard)
        await it.until(lambda: len(heard) > before + 10)
        assert (await it.http.get("/_simulator/calls/last/recording.wav")).status_code == 404
        await it.http.post("/_simulator/calls/last/hangup")
        await it.until(lambda: live.streams)

        recording = await it.http.get("/_simulator/calls/last/recording.wav")

        assert (pressed.status_code, said.status_code) == (200, 200)
        assert recording.headers["content-type"] == "audio/wav"
        with wave.open(io.BytesIO(recording.content)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, 8_000)
            assert file.getnframes() >= 8_000 * 0.2
        (_, record) = live.streams[0]
        assert [one.speech.label for one in record.said] == ["Towels"]


async def test_a_caller_with_lines_says_them_and_leaves() -> None:
    async with laptop() as it:
        body = {"to": OURS, "from": "anonymous", "say": ["Hello?", "Bye."], "hang_up_after_s": 9}
        made = await it.http.post("/_simulator/calls", json=body)
        person = it.network.live[made.json()["sid"]].person
        assert person.hang_up_after_s == 9
        assert len(person.script) == 6


async def test_people_are_put_behind_numbers() -> None:
    async with laptop() as it:
        put = await it.http.put(f"/_simulator/people/{THEIRS}", json={"temper": "busy"})
        assert put.json() == {"number": THEIRS, "temper": "busy"}
        assert it.network.people[THEIRS].temper == "busy"
        overview = (await it.http.get("/_simulator")).json()
        assert overview["people"] == {THEIRS: "busy"}
        assert overview["numbers"][0]["phone_number"] == OURS


async def test_drills_are_set_and_taken_back() -> None:
    async with laptop() as it:
        await it.http.post("/_simulator/drills", json={"kind": "status", "status": 502})
        await it.http.post("/_simulator/callbacks", json={"event": "ringing", "kind": "twice"})
        assert [one.kind for one in it.stand_in.drills.waiting] == ["status"]
        await it.http.delete("/_simulator/drills")
        assert it.stand_in.drills.waiting == []


async def test_habits_change() -> None:
    async with laptop() as it:
        await it.http.put("/_simulator/habits", json={"stop": "lost", "detect_s": 7})
        assert (it.network.habits.stop, it.network.habits.detect_s) == ("lost", 7)


async def test_a_number_can_be_had() -> None:
    async with laptop() as it:
        made = await it.http.post("/_simulator/numbers", json={"phone_number": "+442079460000"})
        assert made.json()["sid"] in it.stand_in.world.numbers


async def test_a_bin_is_filled_in_with_the_requests_parameters() -> None:
    async with laptop() as it:
        it.stand_in.world.routes[ORIGIN] = str(it.http.base_url).rstrip("/")
        document = "<Response><Say>{{ From }} &amp; {{To}}{{Nothing}}</Say></Response>"
        made = await it.http.post("/_simulator/bins", json={"twiml": document})
        url = made.json()["url"]
        assert url.startswith("https://handler.twilio.com/twiml/EH")

        path = url.removeprefix("https://handler.twilio.com")
        answer = await it.http.post(path, data={"From": "<you>", "To": OURS})

        assert answer.headers["content-type"] == "text/xml"
        assert answer.text == f"<Response><Say>&lt;you&gt; &amp; {OURS}</Say></Response>"
        assert (await it.http.get("/twiml/EH0")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", "/calls", {"to": "+12125550199", "from": THEIRS}, 422, OURS),
        ("POST", "/calls", {"to": OURS, "from": "you"}, 422, "E.164"),
        ("POST", "/calls/CA0/hangup", {}, 404, "CA0"),
        ("POST", "/nothing", {}, 404, "docs/simulator.md"),
        ("POST", "/drills", {"knid": "mute"}, 422, "knid"),
        ("POST", "/numbers", {"phone_number": OURS}, 422, "E.164"),
        ("PUT", f"/people/{THEIRS}", {"temper": "cross"}, 422, "busy"),
    ],
)
async def test_what_cannot_be_says_what_could(
    method: str, path: str, body: dict[str, Any], status: int, word: str
) -> None:
    async with laptop() as it:
        answer = await it.http.request(method, f"/_simulator{path}", json=body)
        assert answer.status_code == status
        assert word in answer.json()["error"]


async def test_a_form_from_a_page_elsewhere_steers_nothing() -> None:
    async with laptop() as it:
        answer = await it.http.post("/_simulator/calls", data={"to": OURS, "from": THEIRS})
        assert answer.status_code == 415
        assert it.network.live == {}


# --- the journal --------------------------------------------------------------------------------


async def _journal(as_json: bool) -> list[str]:
    lines: list[str] = []
    async with laptop() as it:
        journal = Journal(lines.append, it.stand_in.world.now)
        journal.as_json = as_json
        journal.watch(it.stand_in)
        auth = (it.account.sid, it.account.auth_token)
        for _ in range(2):
            await it.http.post(
                f"/2010-04-01/Accounts/{it.account.sid}/Calls.json",
                data={
                    "To": THEIRS,
                    "From": OURS,
                    "Twiml": "<Response><Say>Hello</Say></Response>",
                    "StatusCallback": "http://127.0.0.1:8000/status",
                    "Tiemout": "3",
                },
                auth=auth,
            )
        await it.until(lambda: len(it.stand_in.webhooks.sent) == 2)
    return lines


async def test_a_person_reads_what_happens() -> None:
    text = "\n".join(await _journal(as_json=False))
    assert f"-> POST Calls.json 201  To={THEIRS} From={OURS} Twiml=" in text
    assert f"{OURS} -> {THEIRS}: in-progress" in text
    assert "hears say: Hello" in text
    assert "<- POST http://127.0.0.1:8000/status 204" in text
    assert "!! calls.create: Twilio knows no parameter Tiemout" in text
    assert text.count("Twilio itself could not reach this URL") == 1


async def test_a_program_reads_json_lines() -> None:
    lines = [json.loads(line) for line in await _journal(as_json=True)]
    kinds = {line["kind"] for line in lines}
    assert {"request", "webhook", "call", "heard", "finding", "warning"} <= kinds
    request = next(line for line in lines if line["kind"] == "request")
    assert (request["status"], request["fields"]["To"]) == (201, THEIRS)


# --- https://api.twilio.com ---------------------------------------------------------------------


async def test_clients_reach_the_stand_in_at_twilios_own_address(tmp_path: Path) -> None:
    files = certificates_make(tmp_path)
    trusts = ssl.create_default_context(cafile=str(files.authority))
    async with laptop() as it, serving(it.front, tls=(files.chain, files.key)) as https:
        port = httpx.URL(https).port
        assert port is not None
        async with (
            tunnelling(0, port) as proxy,
            httpx.AsyncClient(proxy=proxy, verify=trusts) as client,
        ):
            url = f"https://api.twilio.com/2010-04-01/Accounts/{it.account.sid}.json"
            answer = await client.get(url, auth=(it.account.sid, it.account.auth_token))
            assert answer.json()["sid"] == it.account.sid
            with pytest.raises(httpx.ProxyError, match="403"):
                await client.get("https://example.com/")
    assert files.key.stat().st_mode & 0o077 == 0
