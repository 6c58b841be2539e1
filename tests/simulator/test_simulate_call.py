"""The command against a small server: what it prints, and what it exits with."""

from __future__ import annotations

import json
import threading
import uuid
import wave
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from apps.accounts.models import Account, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Turn, call_id
from apps.simulator.audio import stereo_write
from apps.simulator.management.commands import _platform
from apps.simulator.report import Line
from apps.telephony import streams
from apps.telephony.streams import Started
from tests.simulator.conftest import tone
from tests.support.twilio_requests import stream_signature_is_valid

Talk = Callable[[ServerConnection, Started], None]


class Gateway:
    """A server in a thread: reads ``start``, then does what the test told it to."""

    def __init__(self, talk: Talk) -> None:
        self.started: Started | None = None
        self.signature: str | None = None
        self._talk = talk
        self._server = serve(self._take, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/media/twilio"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()

    def _take(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.signature = socket.request.headers.get("X-Twilio-Signature")
        socket.recv()
        found = streams.parse(socket.recv())
        assert isinstance(found, Started)
        self.started = found
        try:
            self._talk(socket, found)
            while True:
                socket.recv()
        except ConnectionClosed:
            return


def greet(socket: ServerConnection, started: Started) -> None:
    socket.send(streams.media(started.stream_sid, tone(300)))


def refuse(socket: ServerConnection, _started: Started) -> None:
    socket.close(1008)


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    found = Gateway(getattr(request, "param", greet))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nobody_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "_JOURNAL_S", 0.0)


def simulate(config_id: object, **options: Any) -> tuple[str, str]:
    """Run the command; return stdout and stderr."""
    out, err = StringIO(), StringIO()
    call_command("simulate_call", str(config_id), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def simulate_badly(config_id: object, **options: Any) -> tuple[str, CommandError]:
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("simulate_call", str(config_id), stdout=out, stderr=StringIO(), **options)
    return out.getvalue(), failed.value


def test_it_brings_what_the_twiml_says(gateway: Gateway, config: TwilioConfig) -> None:
    simulate(config.pk, url=gateway.url, hangup_after=0.2)
    assert gateway.started is not None
    assert gateway.started.parameters == {
        "account": str(config.account_id),
        "bot": str(config.pk),
        "token": config.stream_token,
    }


def test_it_prints_one_json_object(gateway: Gateway, config: TwilioConfig) -> None:
    out, err = simulate(config.pk, url=gateway.url, hangup_after=0.5, json=True, quiet=True)
    found = json.loads(out)
    assert (found["ok"], found["ended_by"], found["transcript_source"]) == (
        True,
        "script",
        "script",
    )
    assert 0 <= found["first_audio_ms"] < 400
    assert err == ""


def test_it_tells_a_person_what_is_going_on(gateway: Gateway, config: TwilioConfig) -> None:
    out, err = simulate(config.pk, url=gateway.url, hangup_after=0.5)
    assert "bot speaks" in err
    assert "First bot audio after" in out
    assert "ended by script" in out


def test_it_plays_a_file_and_records_the_call(
    gateway: Gateway, config: TwilioConfig, tmp_path: Path
) -> None:
    spoken, recorded = tmp_path / "in.wav", tmp_path / "out.wav"
    stereo_write(spoken, caller=tone(400), bot=tone(400))
    out, _ = simulate(
        config.pk, url=gateway.url, wav=[spoken], out=recorded, timeout=2.2, json=True
    )
    found = json.loads(out)
    assert found["turns"][0]["to_ms"] - found["turns"][0]["from_ms"] == 400
    assert found["recording"] == str(recorded)
    with wave.open(str(recorded), "rb") as file:
        assert file.getnframes() / 8_000 == pytest.approx(found["duration_s"], abs=0.05)


def test_it_signs_with_the_token_it_is_given(gateway: Gateway, config: TwilioConfig) -> None:
    simulate(config.pk, url=gateway.url, hangup_after=0.2, auth_token="12345")
    public = "wss://voice.example.com/media/twilio"
    assert stream_signature_is_valid(auth_token="12345", url=public, signature=gateway.signature)


def test_it_signs_as_a_stored_connection_would(
    gateway: Gateway, config: TwilioConfig, connection: TwilioConnection
) -> None:
    simulate(config.pk, url=gateway.url, hangup_after=0.2)
    public = "wss://voice.example.com/media/twilio"
    token = connection.auth_token
    assert stream_signature_is_valid(auth_token=token, url=public, signature=gateway.signature)


@pytest.mark.parametrize("gateway", [refuse], indirect=True)
def test_a_stream_that_is_not_admitted_fails(gateway: Gateway, config: TwilioConfig) -> None:
    out, failed = simulate_badly(config.pk, url=gateway.url, json=True)
    assert failed.returncode == 1
    assert "1008" in str(failed)
    assert json.loads(out)["ok"] is False


@pytest.mark.parametrize("gateway", [lambda _socket, _started: None], indirect=True)
def test_a_bot_that_says_nothing_fails(gateway: Gateway, config: TwilioConfig) -> None:
    _, failed = simulate_badly(config.pk, url=gateway.url, hangup_after=0.2)
    assert (failed.returncode, "never said anything" in str(failed)) == (1, True)


def test_nobody_listening_fails_with_what_to_do(config: TwilioConfig) -> None:
    gateway = Gateway(greet)
    gateway.close()
    out, failed = simulate_badly(config.pk, url=gateway.url, json=True)
    assert str(failed).startswith(
        f"Nothing is listening at {gateway.url}: start it with `make run`"
    )
    assert json.loads(out)["code"] == "31902"


@pytest.mark.parametrize("config_id", ["nope", uuid.uuid4()])
def test_an_unknown_bot_is_bad_usage(db: None, config_id: object) -> None:
    _, failed = simulate_badly(config_id)
    assert (failed.returncode, "There is no bot" in str(failed)) == (2, True)


def test_a_file_that_is_no_wav_is_bad_usage(config: TwilioConfig, tmp_path: Path) -> None:
    path = tmp_path / "in.wav"
    path.write_bytes(b"ID3")
    _, failed = simulate_badly(config.pk, wav=[path])
    assert (failed.returncode, "not a WAV file" in str(failed)) == (2, True)


@pytest.mark.local_models
def test_it_speaks_a_text_with_the_local_voice(gateway: Gateway, config: TwilioConfig) -> None:
    out, _ = simulate(config.pk, url=gateway.url, say=["Hello."], timeout=2.5, json=True)
    found = json.loads(out)
    assert found["transcript"][0]["said"] == "Hello."
    assert found["turns"][0]["to_ms"] - found["turns"][0]["from_ms"] > 200


@pytest.fixture
def journaled(account: Account, config: TwilioConfig) -> Call:
    now = datetime.now(UTC)
    assert config.current is not None
    call = Call.objects.create(
        id=call_id(account_id=account.pk, call_sid="CA1"),
        account=account,
        config=config,
        version=config.current,
        call_sid="CA1",
        started_at=now,
        ended_at=now,
    )
    at = {"call": call, "stream_sid": "MZ1", "started_at": now, "ended_at": now}
    Turn.objects.create(**at, index=0, role="caller", text_said="Hi.", text_heard="Hi.")
    bot = {"role": "bot", "text_said": "Hello there.", "text_heard": "Hello"}
    Turn.objects.create(**at, **bot, index=1, interrupted=True, stages_ms={"voice": 90.0})
    return call


def test_the_transcript_is_the_journals(journaled: Call) -> None:
    found = _platform.transcript_of(account_id=journaled.account_id, call_sid="CA1")
    assert found == [
        Line("caller", "Hi.", "Hi."),
        Line("bot", "Hello there.", "Hello", interrupted=True, stages_ms={"voice": 90.0}),
    ]


def test_a_call_that_nobody_wrote_down_has_no_transcript(journaled: Call) -> None:
    assert _platform.transcript_of(account_id=journaled.account_id, call_sid="CA2") is None
