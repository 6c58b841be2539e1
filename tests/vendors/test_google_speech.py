"""What is Google's own: the order of a stream, keys of two kinds, and channels that calls share."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.cloud.texttospeech_v1.types import cloud_tts

from apps.providers import connections, google_rpc
from apps.providers.base import ServiceSettings
from apps.providers.google_tts import GoogleSpeech
from apps.voice.ports import ProviderError, sound_of
from tests.vendors.google_speech import SERVICE, GoogleSpeechStandIn
from tests.vendors.serving import KEY, WRONG_KEY, Fault, serving

TEXT = "We are open until nine."
KEY_ID = "f00dfeed"


@pytest.fixture
async def vendor() -> AsyncIterator[GoogleSpeechStandIn]:
    async with serving(GoogleSpeechStandIn()) as standing:
        assert isinstance(standing, GoogleSpeechStandIn)
        yield standing


def voice(vendor: GoogleSpeechStandIn, key: str = KEY, **more: Any) -> GoogleSpeech:
    secrets = {"api_key": key}
    return GoogleSpeech(ServiceSettings("google_tts", secrets=secrets, base_url=vendor.url, **more))


async def said(voice: GoogleSpeech, text: str = TEXT) -> bytes:
    return b"".join([piece async for piece in sound_of(voice, text)])


async def test_mulaw_is_asked_for_and_passed_on_as_it_is(vendor: GoogleSpeechStandIn) -> None:
    assert await said(voice(vendor)) == b"".join(vendor.mulaw(TEXT))
    assert vendor.asked == [("en-US-Chirp3-HD-Kore", "")]


@pytest.mark.parametrize("kind", ["empty", "silence"])
async def test_a_voice_that_cannot_stream_sends_a_file_of_which_the_sound_is_played(
    vendor: GoogleSpeechStandIn, kind: Any
) -> None:
    speaking = voice(vendor, voice="en-GB-Neural2-A", options={"speed": 1.2})
    assert await said(speaking) == b"".join(vendor.mulaw(TEXT))
    vendor.fault = Fault(kind)
    with pytest.raises(ProviderError, match="sent no sound"):
        await said(speaking)


async def test_a_cancelled_sentence_is_cancelled_at_the_vendor(
    vendor: GoogleSpeechStandIn,
) -> None:
    vendor.hold = asyncio.Event()
    async with aclosing(voice(vendor).speak(TEXT)) as pieces:
        await anext(pieces)
    await vendor.until(lambda: (vendor.broken_off, vendor.live) == (1, 0))
    assert len(vendor.connections) == 1


async def test_a_gemini_voice_is_told_its_model_language_and_manner(
    vendor: GoogleSpeechStandIn,
) -> None:
    told = {"model": "gemini-2.5-flash-tts", "voice": "Kore", "language": "de-DE"}
    assert await said(voice(vendor, **told, options={"instructions": "Whisper."}), TEXT)
    assert vendor.asked == [("Kore", "gemini-2.5-flash-tts")]
    assert await said(voice(vendor, options={"instructions": "Whisper."})), "Chirp is not told."


async def test_a_voice_that_google_does_not_stream_is_refused(
    vendor: GoogleSpeechStandIn,
) -> None:
    with pytest.raises(ProviderError, match="refuses the request") as failed:
        await said(voice(vendor, voice="en-US-Chirp-HD-F"))
    assert failed.value.reason == "bad_request"


async def test_a_wrong_key_is_told_by_its_reason(vendor: GoogleSpeechStandIn) -> None:
    with pytest.raises(ProviderError, match=r"refuses the key \(HTTP 401, API_KEY_INVALID\)"):
        await said(voice(vendor, WRONG_KEY))


async def test_a_kept_connection_that_breaks_before_any_sound_is_replaced(
    vendor: GoogleSpeechStandIn,
) -> None:
    speaking = voice(vendor)
    await said(speaking)
    assert await broken_while_asked(vendor, speaking) == b"".join(vendor.mulaw(TEXT))
    assert len(vendor.seen) == 3


async def test_a_new_connection_that_breaks_is_told(vendor: GoogleSpeechStandIn) -> None:
    with pytest.raises(ProviderError, match="the connection was lost"):
        await broken_while_asked(vendor, voice(vendor))
    assert len(vendor.seen) == 1


async def broken_while_asked(vendor: GoogleSpeechStandIn, speaking: GoogleSpeech) -> bytes:
    vendor.fault, vendor.hears_out = Fault("mute", times=1), True
    asked = asyncio.create_task(said(speaking))
    await vendor.until(lambda: vendor.live == 1 and vendor.fault.times == 0)
    vendor.hang_up()
    return await asked


async def test_a_vendor_that_says_it_is_unavailable_is_asked_but_once(
    vendor: GoogleSpeechStandIn,
) -> None:
    speaking = voice(vendor)
    await said(speaking)
    vendor.fault, vendor.hears_out = Fault("status", 503, times=1), True
    with pytest.raises(ProviderError, match="is in trouble"):
        await said(speaking)
    assert len(vendor.seen) == 2


async def test_a_service_account_signs_for_itself(vendor: GoogleSpeechStandIn) -> None:
    account, vendor.certificates[KEY_ID] = service_account()
    speaking = voice(vendor, account)
    await speaking.warm()
    assert await said(speaking)
    vendor.certificates[KEY_ID] = service_account()[1]
    with pytest.raises(ProviderError) as failed:
        await said(speaking)
    assert failed.value.reason == "auth"


@pytest.mark.parametrize("key", ["{", "{}", '{"private_key": "x", "client_email": "a@b"}'])
async def test_a_key_file_that_is_none_is_not_quoted(vendor: GoogleSpeechStandIn, key: str) -> None:
    with pytest.raises(ProviderError, match="key file cannot be used") as failed:
        await said(voice(vendor, key))
    assert failed.value.reason == "auth"
    assert failed.value.__cause__ is None
    assert vendor.seen == []


async def test_calls_share_a_channel_until_it_is_full(
    vendor: GoogleSpeechStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_rpc, "CALLS_A_CHANNEL", 2)
    vendor.hold = asyncio.Event()
    speaking = [asyncio.create_task(said(voice(vendor))) for _ in range(5)]
    await vendor.until(lambda: vendor.live == 5)
    assert len(vendor.connections) == 3
    vendor.hold.set()
    await asyncio.gather(*speaking)
    await said(voice(vendor))
    assert len(vendor.connections) == 3


async def test_the_end_of_the_loop_closes_the_channels(vendor: GoogleSpeechStandIn) -> None:
    await said(voice(vendor))
    await connections.aclose()
    await vendor.until(lambda: not vendor.connections)
    assert await said(voice(vendor)), "Afterwards another one is opened."


async def test_the_stand_in_refuses_a_stream_that_begins_with_the_text(
    vendor: GoogleSpeechStandIn,
) -> None:
    request = cloud_tts.StreamingSynthesizeRequest
    first = request.serialize(request(input={"text": TEXT}))
    async with grpc.aio.insecure_channel(vendor.url.removeprefix("http://")) as channel:
        method = channel.stream_stream(f"/{SERVICE}/StreamingSynthesize")
        call = method(iter([first]), metadata=(("x-goog-api-key", KEY),))
        with pytest.raises(grpc.aio.AioRpcError, match="must be a configuration"):
            await call.read()


def service_account() -> tuple[str, bytes]:
    """Return a key file as Google gives it, and the certificate that Google keeps."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bot")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = {
        "type": "service_account",
        "private_key_id": KEY_ID,
        "private_key": pem.decode(),
        "client_email": "bot@example.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(file, indent=2), certificate.public_bytes(serialization.Encoding.PEM)
