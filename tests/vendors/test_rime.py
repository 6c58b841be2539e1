"""What only Rime's adapter has to get right: its greeting, contexts, pace, words, older models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from apps.providers.base import ServiceSettings
from apps.providers.rime import Contexts, RimeRequests, RimeVoice, rime_voice
from apps.providers.speech_sockets import Mark
from apps.voice.ports import ProviderError, WordAt
from tests.vendors.rime import PROTOCOL, VOICE, RimeStandIn
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import VOICES
from tests.vendors.test_every_voice import NEXT, TEXT, assert_is_tone, heard

SUBJECT = next(subject for subject in VOICES if subject.id == "tts-rime")
BODY = {"speaker": "eva", "text": "Yes.", "modelId": "mist", "samplingRate": 8_000}


@pytest.fixture
async def vendor() -> AsyncIterator[RimeStandIn]:
    async with serving(RimeStandIn()) as stand_in:
        assert isinstance(stand_in, RimeStandIn)
        yield stand_in


@pytest.fixture
async def voice(vendor: RimeStandIn) -> AsyncIterator[RimeVoice]:
    found = RimeVoice(SUBJECT.service(vendor.url))
    yield found
    await found.aclose()


# --- the stand-in, asked without any adapter ------------------------------------------------------


async def test_the_stand_in_speaks_and_refuses_over_http(vendor: RimeStandIn) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Accept": "audio/PCMU"}
    async with httpx.AsyncClient(base_url=vendor.url) as client:
        good = await client.post("/v1/rime-tts", json=BODY, headers=headers)
        bad = await client.post("/v1/rime-tts", json={**BODY, "voice": "eva"}, headers=headers)
        key = await client.post("/v1/rime-tts", json=BODY, headers={"Authorization": "Bearer x"})
    assert (good.status_code, good.headers["content-type"]) == (200, "audio/PCMU")
    assert (bad.status_code, bad.text) == (400, "no such field: voice")
    assert (key.status_code, key.text) == (401, "invalid api key")


async def test_the_stand_in_speaks_and_refuses_over_its_socket(vendor: RimeStandIn) -> None:
    url = vendor.url.replace("http", "ws", 1) + "/ws"
    offered = [Subprotocol(PROTOCOL)]
    audio = {"audioFormat": "audio/PCMU", "samplingRate": 8_000}
    start = {"speaker": VOICE, "language": "en", "text": "Yes.", "audioParameters": audio}
    with pytest.raises(InvalidStatus):
        await connect(url, subprotocols=offered)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with connect(url, additional_headers=headers, subprotocols=offered) as socket:
        assert json.loads(await socket.recv())["ready"]["protocol"] == 1
        await socket.send(json.dumps({"contextId": "a", "start": start}))
        said = [json.loads(await socket.recv()) for _ in range(5)]
        assert [next(k for k in m if k != "contextId") for m in said] == (
            ["started", "audio", "audio", "audio", "done"]
        )
        await socket.send(json.dumps({"contextId": "b", "start": {**start, "voice": VOICE}}))
        refused = json.loads(await socket.recv())
    assert (refused["contextId"], refused["error"]["kind"]) == ("b", "invalid_input")


# --- the adapter ----------------------------------------------------------------------------------


async def test_it_asks_as_documented(vendor: RimeStandIn, voice: RimeVoice) -> None:
    await heard(voice, TEXT)
    (shook,) = vendor.seen
    assert (shook.path, shook.headers["sec-websocket-protocol"]) == ("/ws", "rime.v1.json")
    assert vendor.starts == [
        {
            "speaker": "lyra",
            "language": "en",
            "audioParameters": {
                "audioFormat": "audio/PCMU",
                "samplingRate": 8_000,
                "timeScaleFactor": 0.8,
            },
            "timestamps": {"enable": True},
            "text": TEXT,
        }
    ]


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("", "https://coda.api.rime.ai/ws"),
        ("coda", "https://coda.api.rime.ai/ws"),
        ("mistv3", "https://mist.api.rime.ai/ws"),
    ],
)
def test_a_model_has_a_host_of_its_own(model: str, url: str) -> None:
    settings = ServiceSettings("rime", model, secrets={"api_key": KEY})
    assert isinstance(rime_voice(settings), RimeVoice)
    assert Contexts(settings).handshake()[0] == url


@pytest.mark.parametrize("model", ["mist", "mistv2", "arcana", "mistv9"])
def test_what_no_socket_serves_is_asked_over_http(model: str) -> None:
    assert isinstance(rime_voice(ServiceSettings("rime", model)), RimeRequests)


# --- the greeting ---------------------------------------------------------------------------------


async def test_nothing_is_asked_before_the_vendor_is_ready(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    vendor.greeting = asyncio.Event()
    listening = asyncio.create_task(heard(voice, TEXT))
    await vendor.until(lambda: vendor.live == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not listening.done()
    vendor.greeting.set()
    assert_is_tone(vendor, await listening, TEXT)
    assert not vendor.refusals


async def test_a_vendor_that_never_greets_is_given_up(vendor: RimeStandIn) -> None:
    vendor.greeting = asyncio.Event()
    voice = RimeVoice(SUBJECT.service(vendor.url, patience_s=0.2))
    await voice.warm()
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == ("timeout", True)
    vendor.greeting.set()
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert len(vendor.seen) == 3, "One that does not greet is left."
    await voice.aclose()


async def test_interrupted_before_the_greeting_it_is_clean_too(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    vendor.greeting = asyncio.Event()
    listening = asyncio.create_task(heard(voice, TEXT))
    await vendor.until(lambda: voice._connection is not None)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    speaking = asyncio.create_task(heard(voice, NEXT))
    for _ in range(20):
        await asyncio.sleep(0)
    vendor.greeting.set()
    assert_is_tone(vendor, await speaking, NEXT)
    assert vendor.spoken == [NEXT]
    assert len(vendor.seen) == 1, "The connection was good."
    assert not vendor.refusals


async def test_closed_before_the_greeting_it_fails_at_once(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    vendor.greeting = asyncio.Event()
    listening = asyncio.create_task(heard(voice, TEXT))
    await vendor.until(lambda: voice._connection is not None)
    await voice.aclose()
    async with asyncio.timeout(2):
        with pytest.raises(ProviderError):
            await listening


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("unauthenticated", "auth"), ("resource_exhausted", "quota"), ("unavailable", "unavailable")],
)
async def test_a_refusal_instead_of_the_greeting_is_told(
    vendor: RimeStandIn, voice: RimeVoice, kind: str, reason: str
) -> None:
    vendor.rejects = kind
    with pytest.raises(ProviderError, match=kind) as caught:
        await heard(voice, TEXT)
    assert caught.value.reason == reason
    assert KEY not in str(caught.value)
    vendor.rejects = ""
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)


# --- contexts -------------------------------------------------------------------------------------


async def test_an_interrupted_context_is_cancelled_and_its_late_sound_dropped(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    for _ in range(3):
        vendor.hold = asyncio.Event()
        async with aclosing(voice.speak(TEXT)) as pieces:
            await anext(pieces)
        vendor.hold.set()
        assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert vendor.cancels == 3
    assert len(vendor.seen) == 1


async def test_a_sentence_that_ended_is_not_cancelled(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    for text in (TEXT, NEXT):
        await heard(voice, text)
    await voice.aclose()
    assert vendor.cancels == 0


@pytest.mark.parametrize(
    ("kind", "reason", "retryable"),
    [
        ("invalid_input", "bad_request", False),
        ("unauthenticated", "auth", False),
        ("permission_denied", "auth", False),
        ("not_found", "bad_request", False),
        ("resource_exhausted", "quota", True),
        ("timeout", "unavailable", True),
        ("unavailable", "unavailable", True),
        ("internal", "unavailable", True),
        ("something <new>", "unavailable", True),
    ],
)
async def test_an_error_inside_the_socket_is_one_of_ours(
    vendor: RimeStandIn, voice: RimeVoice, kind: str, reason: str, retryable: bool
) -> None:
    vendor.says = kind
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert KEY not in str(caught.value) and "<new>" not in str(caught.value)
    vendor.says = ""
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert len(vendor.seen) == 1, "The connection was good."


def test_what_is_said_of_another_context_is_not_heard() -> None:
    words = Contexts(SUBJECT.service("http://localhost"))
    words.ask(TEXT)
    told: list[dict[str, Any]] = [{"audio": "AAAA"}, {"done": {}}, {"cancelled": {}}]
    for payload in (*told, {"error": {"kind": "internal"}}):
        assert list(words.read(json.dumps({"contextId": "old", **payload}))) == []
    mine = {"contextId": words._context}
    assert list(words.read(json.dumps({**mine, "audio": "AAAA"}))) == [b"\0\0\0"]
    assert list(words.read(json.dumps({**mine, "done": {}}))) == [Mark.END]
    assert list(words.read(json.dumps({**mine, "audio": "AAAA"}))) == []
    assert words.stop() == ()


def test_another_protocol_is_not_spoken() -> None:
    words = Contexts(SUBJECT.service("http://localhost"))
    assert list(words.read('{"ready":{"protocol":1}}')) == [Mark.READY]
    with pytest.raises(ValueError, match="protocol"):
        words.read('{"ready":{"protocol":2}}')


# --- words, languages, pace -----------------------------------------------------------------------


async def test_words_are_placed_where_they_are_heard_at_another_pace(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    words = [piece async for piece in voice.speak(NEXT) if isinstance(piece, WordAt)]
    assert [word.word for word in words] == NEXT.split()
    assert words[0].end_ms == pytest.approx(60 * len("Is"), abs=0.1)
    assert words[-1].end_ms == pytest.approx(60 * len(NEXT), abs=0.1)


async def test_without_an_aligner_the_sentence_is_whole(
    vendor: RimeStandIn, voice: RimeVoice
) -> None:
    vendor.aligns = False
    pieces = [piece async for piece in voice.speak(TEXT)]
    assert all(isinstance(piece, bytes) for piece in pieces)
    assert_is_tone(vendor, b"".join(p for p in pieces if isinstance(p, bytes)), TEXT)


@pytest.mark.parametrize(
    ("voice_id", "language", "sent"),
    [
        ("lyra", "en-US", "en"),
        ("", "", "en"),
        ("lorelei", "", "de"),
        ("lorelei", "de-AT", "de"),
        ("nobody-knows", "", "en"),
    ],
)
def test_the_language_is_the_configs_else_the_voices(
    voice_id: str, language: str, sent: str
) -> None:
    (asked,) = Contexts(ServiceSettings("rime", "coda", voice_id, language)).ask(TEXT)
    start = json.loads(asked)["start"]
    assert start["language"] == sent
    assert ("timestamps" in start) == (sent == "en"), "Others are not aligned."


@pytest.mark.parametrize(
    ("model", "speed", "sent"),
    [
        ("coda", 1, {}),
        ("coda", 1.25, {"timeScaleFactor": 0.8}),
        ("mistv3", 0.5, {"timeScaleFactor": 2.0}),
        ("mistv2", 1.25, {"speedAlpha": 0.8}),
        ("mist", 0.8, {"speedAlpha": 1.25}),
        ("arcana", 2, {"timeScaleFactor": 0.5}),
        ("mist", None, {}),
    ],
)
async def test_a_higher_speed_is_faster_with_every_model(
    vendor: RimeStandIn, model: str, speed: float | None, sent: dict[str, float]
) -> None:
    options = {} if speed is None else {"speed": speed}
    secrets = {"api_key": KEY}
    voice = rime_voice(ServiceSettings("rime", model, "astra", "en", options, secrets, vendor.url))
    await heard(voice, NEXT)
    await voice.aclose()
    (asked,) = vendor.starts
    found = asked.get("audioParameters", asked)
    assert {k: v for k, v in found.items() if k in ("timeScaleFactor", "speedAlpha")} == sent
    assert not vendor.refusals


async def test_each_model_has_a_voice_of_its_own(vendor: RimeStandIn) -> None:
    for model in ("", "coda", "mistv3", "mistv2", "mist"):
        settings = ServiceSettings("rime", model, secrets={"api_key": KEY}, base_url=vendor.url)
        voice = rime_voice(settings)
        await heard(voice, NEXT)
        await voice.aclose()
    assert [name for name, _ in vendor.asked] == ["lyra", "lyra", "astra", "cove", "cove"]
    assert not vendor.refusals
