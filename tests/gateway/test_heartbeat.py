"""A gateway says that it lives, in a thread of its own, and takes its name off the list."""

from __future__ import annotations

import threading
import uuid

import pytest

from apps.bots.models import TwilioConfig
from apps.calls.models import Call, GatewayProcess
from apps.calls.processes import pulse_take
from apps.gateway import heartbeat
from apps.gateway.heartbeat import Heartbeat
from apps.gateway.runtime import Gateway, gateway_close
from tests.gateway.conftest import BotWith, Phone, in_database_thread


class Beats:
    """A database that counts, and can be away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.seen: list[str] = []
        self._beat = threading.Condition()
        monkeypatch.setattr(heartbeat, "process_beat", lambda process, host: self._take("beat"))
        monkeypatch.setattr(heartbeat, "process_end", lambda process: self._take("end"))

    def _take(self, what: str) -> None:
        with self._beat:
            self.seen.append("away" if self.away else what)
            self._beat.notify_all()
        if self.away:
            raise OSError("gone")

    def wait_for(self, count: int, what: str = "beat") -> None:
        with self._beat:
            assert self._beat.wait_for(lambda: self.seen.count(what) >= count, 10)


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Beats:
    return Beats(monkeypatch)


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    """One that greets."""
    return bot_with(greeting={"mode": "text", "text": "Welcome."})


async def test_it_beats_until_it_is_closed(beats: Beats) -> None:
    beating = Heartbeat(uuid.uuid4(), every_s=0.001)
    beats.wait_for(3)
    await beating.aclose()
    assert beats.seen[-1] == "end"
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


async def test_a_database_that_is_away_is_mentioned_once_and_tried_again(
    beats: Beats, caplog: pytest.LogCaptureFixture
) -> None:
    beats.away = True
    beating = Heartbeat(uuid.uuid4(), every_s=0.001)
    beats.wait_for(5, "away")
    beats.away = False
    beats.wait_for(2)
    await beating.aclose()
    assert caplog.text.count("A heartbeat failed") == 1


async def test_the_call_says_which_process_holds_it(running: Gateway, bot: TwilioConfig) -> None:
    phone = Phone(bot)
    await phone.dial()
    await phone.until("media")
    await running.journal.flushed(5)
    call = await in_database_thread(Call.objects.get)()
    alive = (await in_database_thread(pulse_take)()).alive
    assert call.gateway == running.id
    assert running.id in alive
    await phone.hang_up()


async def test_a_process_that_ends_is_not_missed(running: Gateway) -> None:
    await gateway_close()
    assert not await in_database_thread(GatewayProcess.objects.exists)()
