"""A call's providers connect while its phone still rings, and wait for nobody who does not come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.test import AsyncClient
from twilio.request_validator import RequestValidator

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.accounts.services import account_update
from apps.bots.models import TwilioConfig
from apps.bots.selectors import Admission, call_expected
from apps.calls.ringing import Ringing
from apps.gateway import warmth
from apps.gateway.admission import Gate
from apps.gateway.building import Providers
from apps.gateway.runtime import Gateway
from apps.gateway.warmth import Prepared, Reception
from apps.providers.base import ServiceSettings
from apps.providers.scripted_services import ScriptedMind, ScriptedTranscriber, ScriptedVoice
from apps.telephony.signatures import stream_signature
from tests.gateway.conftest import BotWith, Phone, in_database_thread

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = ServiceSettings("scripted")


class WarmVoice(ScriptedVoice):
    """Connects when it is let, and remembers what became of it."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.may = asyncio.Event()
        self.warming = asyncio.Event()
        self.closed = asyncio.Event()
        self.story: list[str] = []

    async def warm(self) -> None:
        self.warming.set()
        try:
            await self.may.wait()
            self.story.append("warm")
        except asyncio.CancelledError:
            self.story.append("cancelled")
            raise

    async def aclose(self) -> None:
        self.story.append("closed")
        self.closed.set()


class Hall:
    """A reception whose every call gets ``voice``; built: how many calls were prepared."""

    def __init__(self) -> None:
        self.voice = WarmVoice()
        self.built = 0
        self.gate = Gate()
        self.reception = Reception(self.gate, self.build)

    def build(self, _admission: Admission) -> Providers:
        self.built += 1
        return Providers(ScriptedTranscriber(SETTINGS), ScriptedMind(SETTINGS), self.voice)

    async def rings(self, bot: TwilioConfig, call_sid: str = "CA1") -> None:
        self.reception.expect(Ringing(str(bot.id), call_sid, {}))
        await asyncio.wait_for(self.voice.warming.wait(), 5)


@pytest.fixture
async def hall(transactional_db: None) -> AsyncIterator[Hall]:
    found = Hall()
    yield found
    await found.reception.aclose()
    await found.gate.aclose()


@pytest.fixture
def bot(bot_with: BotWith) -> TwilioConfig:
    return bot_with(greeting={"mode": "text", "text": "Hi {{name}}."}, variables={"name": NAME})


NAME = {"type": "string", "default": "you"}


async def admission_of(bot: TwilioConfig, call_sid: str = "CA1") -> Admission:
    found = await in_database_thread(call_expected)(str(bot.id), {"call_sid": call_sid})
    assert found is not None
    return found


async def test_a_call_that_rang_gets_what_was_prepared_for_it(
    hall: Hall, bot: TwilioConfig
) -> None:
    await hall.rings(bot)
    hall.voice.may.set()
    prepared = hall.reception.claim("CA1", await admission_of(bot))
    assert prepared is not None and prepared.providers.voice is hall.voice
    await prepared.warmth.ready(hall.voice)
    assert hall.voice.story == ["warm"]
    await prepared.aclose()
    assert hall.voice.story == ["warm", "closed"]


async def test_a_call_that_connects_at_once_takes_over_what_is_still_connecting(
    hall: Hall, bot: TwilioConfig
) -> None:
    await hall.rings(bot)
    prepared = hall.reception.claim("CA1", await admission_of(bot))
    assert prepared is not None
    ready = asyncio.ensure_future(prepared.warmth.ready(hall.voice))
    await asyncio.sleep(0)
    assert not ready.done()
    hall.voice.may.set()
    await asyncio.wait_for(ready, 5)
    await prepared.aclose()


async def test_what_is_prepared_is_handed_over_once(hall: Hall, bot: TwilioConfig) -> None:
    await hall.rings(bot)
    admission = await admission_of(bot)
    first, second = (hall.reception.claim("CA1", admission) for _ in range(2))
    assert first is not None and second is None
    await first.aclose()


async def test_another_call_of_the_same_bot_gets_none_of_it(hall: Hall, bot: TwilioConfig) -> None:
    await hall.rings(bot)
    assert hall.reception.claim("CA2", await admission_of(bot, "CA2")) is None


async def test_a_bot_that_changed_while_it_rang_is_prepared_anew(
    hall: Hall, bot: TwilioConfig, bot_with: BotWith
) -> None:
    await hall.rings(bot)
    other = await in_database_thread(bot_with)(tts={"character_ms": 50})
    assert hall.reception.claim("CA1", await admission_of(other)) is None
    await hall.reception.aclose()
    assert hall.voice.story == ["cancelled", "closed"]


async def test_a_call_announced_twice_is_prepared_once(hall: Hall, bot: TwilioConfig) -> None:
    await hall.rings(bot)
    await hall.rings(bot)
    assert hall.built == 1


async def test_a_call_that_never_comes_leaves_nothing_open(
    hall: Hall, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmth, "EXPECT_S", 0)
    hall.voice.may.set()
    await hall.rings(bot)
    await asyncio.wait_for(hall.voice.closed.wait(), 5)
    assert hall.reception.claim("CA1", await admission_of(bot)) is None


async def test_a_flood_of_calls_drops_the_oldest(
    hall: Hall, bot: TwilioConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmth, "EXPECTED", 1)
    await hall.rings(bot, "CA1")
    hall.reception.expect(Ringing(str(bot.id), "CA2", {}))
    assert hall.reception.claim("CA1", await admission_of(bot)) is None


async def test_an_unknown_bot_is_prepared_for_nothing(hall: Hall) -> None:
    hall.reception.expect(Ringing("not a bot", "CA1", {}))
    await hall.reception.aclose()
    assert hall.built == 0


async def test_a_provider_that_cannot_connect_is_used_all_the_same(hall: Hall) -> None:
    class Broken(WarmVoice):
        async def warm(self) -> None:
            raise OSError("no route")

    voice = Broken()
    prepared = Prepared.now(Providers(ScriptedTranscriber(SETTINGS), ScriptedMind(SETTINGS), voice))
    await prepared.warmth.ready(voice)
    await prepared.aclose()
    assert voice.story == ["closed"]


@pytest.fixture
def signed_account(account: Account) -> Account:
    return account_update(
        account=account, name="Hotel", max_live_calls=1, actor=Actor(), twilio_auth_token="123"
    )


async def prepared_by(running: Gateway) -> Prepared:
    """Wait until the one call that rings is prepared."""
    for _ in range(5_000):
        for guest in running.reception._guests.values():
            if guest.prepared is not None:
                return guest.prepared
        await asyncio.sleep(0.001)
    raise TimeoutError


async def test_twilios_request_for_twiml_prepares_the_call_that_follows(
    running: Gateway, signed_account: Account, bot: TwilioConfig
) -> None:
    url = f"https://voice.example.com/twilio/voice/{bot.id}"
    form = {"CallSid": "CA1", "From": "+14158675309"}
    signature = str(RequestValidator("123").compute_signature(url, form))
    answer = await AsyncClient().post(
        f"/twilio/voice/{bot.id}", form, headers={"x-twilio-signature": signature}
    )
    assert answer.status_code == 200
    prepared = await prepared_by(running)
    handshake = stream_signature(auth_token="123", url="wss://voice.example.com/media/twilio")
    phone = Phone(bot, headers={b"x-twilio-signature": handshake.encode()})
    phone.parameters["from"] = "+14158675309"
    await phone.dial()
    await phone.until("media")
    (session,) = running.sessions.values()
    assert session._prepared is prepared
    await phone.hang_up()
