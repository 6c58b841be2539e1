"""What is Polly's own: whose key signs, clients that calls share, and errors by name."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers import aws_tts, connections
from apps.providers.aws_tts import Polly
from apps.providers.base import ServiceSettings
from apps.voice.ports import ProviderError, sound_of
from tests.vendors.polly import ACCESS_KEY_ID, PollyStandIn, Refused, check_signature
from tests.vendors.serving import KEY, Exchange, Seen, serving

TEXT = "We are open until nine."


@pytest.fixture
async def vendor() -> AsyncIterator[PollyStandIn]:
    async with serving(PollyStandIn()) as standing:
        assert isinstance(standing, PollyStandIn)
        yield standing


def voice(vendor: PollyStandIn | None, **options: Any) -> Polly:
    given = {"aws_access_key_id": ACCESS_KEY_ID, **options}
    url = vendor.url if vendor else ""
    return Polly(ServiceSettings("aws_tts", options=given, secrets={"api_key": KEY}, base_url=url))


async def said(voice: Polly, text: str = TEXT) -> bytes:
    try:
        return b"".join([piece async for piece in sound_of(voice, text)])
    finally:
        await voice.aclose()


async def test_mulaw_is_asked_for_and_passed_on_as_it_is(vendor: PollyStandIn) -> None:
    sound = await said(voice(vendor))
    assert sound == b"".join(vendor.mulaw(TEXT))
    body = vendor.seen[-1].json()
    assert (body["OutputFormat"], body["SampleRate"]) == ("mulaw", "8000")
    assert (body["VoiceId"], body["Engine"]) == ("Joanna", "neural")


async def test_without_an_access_key_id_the_servers_own_is_not_used(
    vendor: PollyStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    with pytest.raises(ProviderError, match="aws_access_key_id is not set") as failed:
        await said(voice(vendor, aws_access_key_id=""))
    assert failed.value.reason == "auth"
    assert vendor.seen == []


async def test_the_servers_own_profile_is_not_read(
    vendor: PollyStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_tts._session.cache_clear()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert await said(voice(vendor))


async def test_the_servers_own_endpoint_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    speaking = voice(None, region="eu-west-1")
    client = await speaking._polly()
    assert client.meta.endpoint_url == "https://polly.eu-west-1.amazonaws.com"
    await speaking.aclose()


@pytest.mark.parametrize("region", ["evil.example/", "us-east-1.evil.example", "1", "us_east_1"])
async def test_a_region_leads_nowhere_else(region: str) -> None:
    with pytest.raises(ProviderError, match="the region is none of AWS's"):
        await said(voice(None, region=region))


async def test_the_region_is_signed(vendor: PollyStandIn) -> None:
    with pytest.raises(ProviderError) as failed:
        await said(voice(vendor, region="eu-central-1"))
    assert failed.value.reason == "auth"
    assert "InvalidSignatureException: scoped to eu-central-1" in vendor.refusals


async def test_an_unknown_access_key_id_is_a_wrong_key(vendor: PollyStandIn) -> None:
    with pytest.raises(ProviderError) as failed:
        await said(voice(vendor, aws_access_key_id="AKIANOBODYNOBODY0000"))
    assert (failed.value.reason, failed.value.retryable) == ("auth", False)


async def test_pace_is_prosody_and_the_words_stay(vendor: PollyStandIn) -> None:
    assert await said(voice(vendor, speed=1.2), "Is 3 < 5 & 7 > 6?")
    assert "<prosody rate='120%'>" in vendor.seen[-1].json()["Text"]
    assert vendor.spoken == ["Is 3 < 5 & 7 > 6?"]


async def test_throttling_is_told_by_its_name_and_not_its_status(
    vendor: PollyStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def throttled(exchange: Exchange) -> None:
        await vendor.refuse_with(exchange, 400, "Rate exceeded", "ThrottlingException")

    monkeypatch.setattr(vendor, "http", throttled)
    with pytest.raises(ProviderError) as failed:
        await said(voice(vendor))
    assert (failed.value.reason, failed.value.retryable) == ("quota", True)


async def test_an_engine_that_the_voice_has_not_is_named(vendor: PollyStandIn) -> None:
    speaking = Polly(
        ServiceSettings(
            "aws_tts",
            model="long-form",
            options={"aws_access_key_id": ACCESS_KEY_ID},
            secrets={"api_key": KEY},
            base_url=vendor.url,
        )
    )
    with pytest.raises(ProviderError, match="EngineNotSupportedException") as failed:
        await said(speaking)
    assert failed.value.reason == "bad_request"


async def test_calls_of_one_key_share_a_connection(vendor: PollyStandIn) -> None:
    for _ in range(3):
        await said(voice(vendor))
    assert len({seen.port for seen in vendor.seen}) == 1


async def test_the_end_of_the_loop_closes_what_was_shared(vendor: PollyStandIn) -> None:
    await said(voice(vendor))
    assert vendor.connections
    await connections.aclose()
    await vendor.until(lambda: not vendor.connections)
    assert await said(voice(vendor)), "Afterwards another client is made."


async def test_nobody_can_have_the_sdk_write_down_what_is_said(vendor: PollyStandIn) -> None:
    await said(voice(vendor))
    assert not logging.getLogger("botocore.endpoint").isEnabledFor(logging.DEBUG)


async def test_the_stand_in_refuses_what_was_changed_after_signing(vendor: PollyStandIn) -> None:
    await said(voice(vendor))
    seen = vendor.seen[-1]
    check_signature(seen)
    for path, body in (("/v1/speech", seen.body + b" "), ("/v1/lexicons", seen.body)):
        changed = Seen(seen.method, path, seen.query, seen.headers, body)
        with pytest.raises(Refused, match="does not match"):
            check_signature(changed)
    unsigned = Seen(seen.method, seen.path, seen.query, {"host": "x"}, seen.body)
    with pytest.raises(Refused, match="MissingAuthenticationTokenException"):
        check_signature(unsigned)
