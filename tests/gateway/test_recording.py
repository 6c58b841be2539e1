"""Calls that are recorded: the real gateway, and a phone that knows what it heard."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytest_django import Settings

from apps.bots.models import TwilioConfig
from apps.calls.models import CallEvent, Recording, Turn
from apps.calls.recordings.files import recordings_storage
from apps.gateway.runtime import gateway_close
from apps.simulator.caller import Speech
from apps.simulator.far_end import CallOptions
from apps.simulator.record import CallRecord
from apps.simulator.script import Script, conversation
from apps.simulator.stream import SimulatedCall
from apps.simulator.wire import Dial
from apps.telephony import inbound
from apps.telephony.streams import media_timestamp
from apps.voice import g711
from apps.voice.clock import LoopClock
from tests.gateway.conftest import BotWith, Phone, in_database_thread, speech
from tests.gateway.served import gateway_served

pytestmark = pytest.mark.django_db(transaction=True)

RATE = 8_000
Track = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def stored(settings: Settings, tmp_path: Path) -> Path:
    """Recordings of these tests go to a folder of their own."""
    settings.RECORDINGS_SPOOL = str(tmp_path / "spool")
    settings.STORAGES = {
        **settings.STORAGES,
        "recordings": {
            "BACKEND": "apps.calls.recordings.files.RecordingsFolder",
            "OPTIONS": {"location": str(tmp_path / "stored")},
        },
    }
    return tmp_path / "stored"


@pytest.fixture
async def url(transactional_db: None) -> AsyncIterator[str]:
    """A served gateway's media socket."""
    async with gateway_served() as found:
        yield found


RECORDED = {"enabled": True}


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def simulated(url: str, bot: TwilioConfig) -> CallRecord:
    """Say a sentence, interrupt the answer, and hang up."""
    parameters = {"account": str(bot.account_id), "bot": str(bot.id), "token": bot.stream_token}
    sentence = Speech.of(speech())
    phone = SimulatedCall(
        Dial(url, inbound.Stream("MZ" + "1" * 32, "CA" + "1" * 32, "AC" + "1" * 32, parameters)),
        Script(conversation([sentence, sentence], interrupt_after_s=0.7)),
        clock=LoopClock(asyncio.get_running_loop()),
        options=CallOptions(max_s=30),
    )
    return await phone.run()


@in_database_thread
def recording() -> Recording:
    return Recording.objects.select_related("call").get()


@in_database_thread
def events() -> list[tuple[str, Any]]:
    return list(CallEvent.objects.values_list("kind", "data"))


def channels(found: Recording) -> tuple[Track, Track]:
    assert found.bytes is not None
    sound = b"".join(recordings_storage().reading(found.path, 0, found.bytes))
    with wave.open(io.BytesIO(sound)) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0].astype(float), both[:, 1].astype(float)


def offset_ms(recorded: Track, heard: bytes, start_s: float, end_s: float) -> float:
    """Return by how much that part lies later in the recording than the phone heard it."""
    track = np.frombuffer(g711.decode(heard), "<i2").astype(float)
    reach = int(0.2 * RATE)
    first, last = int(start_s * RATE), int(end_s * RATE)
    part = track[first:last]
    around = recorded[max(0, first - reach) : last + reach]
    found = np.correlate(around, part, "valid")
    return (int(np.argmax(found)) - min(first, reach)) * 1_000 / RATE


async def test_a_call_is_recorded_as_it_was_heard(url: str, bot_with: BotWith) -> None:
    greeting = {"mode": "text", "text": "Welcome to the hotel, what can I do for you today?"}
    make = in_database_thread(bot_with)
    bot = await make(recording=RECORDED, greeting=greeting)
    record = await simulated(url, bot)
    await gateway_close()
    found = await recording()
    assert (found.status, found.is_partial) == (Recording.Status.READY, False)
    assert found.duration_s == pytest.approx(record.duration_s, abs=0.1)
    left, right = channels(found)
    assert any(spurt.cleared for spurt in record.spurts)
    for spurt in record.spurts:
        assert abs(offset_ms(right, record.bot, spurt.start_s, spurt.end_s)) <= 20
        # After its end there is silence in both, where it was cut too.
        end = int((spurt.end_s + 0.02) * RATE)
        if spurt.cleared:
            assert np.abs(right[end : end + 800]).max() == 0
    for said in record.said:
        assert abs(offset_ms(left, record.caller, said.from_ms / 1e3, said.to_ms / 1e3)) <= 20
    level = np.abs(np.frombuffer(g711.decode(record.bot), "<i2").astype(float)).max()
    assert np.abs(right).max() == level


async def test_a_bot_that_does_not_record_leaves_nothing(
    url: str, bot_with: BotWith, stored: Path
) -> None:
    await simulated(url, await in_database_thread(bot_with)())
    await gateway_close()
    assert left_in(stored.parent) == []
    assert await in_database_thread(Recording.objects.count)() == 0


CONSENT = "This call is recorded."


@pytest.fixture
def telling(bot_with: BotWith) -> TwilioConfig:
    """A bot that tells its callers, and greets them then."""
    return bot_with(
        recording={"enabled": True, "consent": CONSENT},
        greeting={"mode": "text", "text": "Welcome."},
    )


@in_database_thread
def said() -> list[tuple[str, str]]:
    return list(Turn.objects.order_by("id").values_list("source", "text_heard"))


async def test_the_caller_is_told_first_and_is_not_let_interrupt(
    running: Any, telling: TwilioConfig
) -> None:
    phone = Phone(telling)
    await phone.dial()
    await phone.until("media")
    await phone.say(speech(), quiet_s=0.2)
    while not (await phone.until("mark"))["mark"]["name"].startswith("2."):
        pass  # the second of what it says
    await phone.hang_up()
    await gateway_close()
    turns = await said()
    assert turns[0] == ("consent", CONSENT)
    assert turns[1][0] == "greeting"


async def test_who_hangs_up_before_being_told_was_not_recorded(
    running: Any, telling: TwilioConfig, stored: Path
) -> None:
    phone = Phone(telling)
    await phone.dial()
    await phone.until("media")
    await phone.hang_up()
    await gateway_close()
    assert await in_database_thread(Recording.objects.count)() == 0
    assert left_in(stored.parent) == []


def test_a_timestamp_is_read_from_a_message_or_not_at_all() -> None:
    stream = inbound.media("MZ1", sequence=3, chunk=2, timestamp_ms=40, payload="/w==")
    assert media_timestamp(stream) == 40
    assert media_timestamp('{"timestamp":"12a"}') is None
    assert media_timestamp('{"timestamp":"1234567890123"}') is None
    assert media_timestamp("{}") is None
