"""What is Azure's own: regions, and sentences in SSML."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers.azure_tts import AzureSpeech
from apps.providers.base import ServiceSettings
from apps.voice.ports import ProviderError, sound_of
from tests.vendors import azure_speech
from tests.vendors.azure_speech import AzureSpeechStandIn, NotSsml
from tests.vendors.serving import KEY, serving

AVA = "en-US-AvaMultilingualNeural"


@pytest.fixture
async def vendor() -> AsyncIterator[AzureSpeechStandIn]:
    async with serving(AzureSpeechStandIn()) as standing:
        assert isinstance(standing, AzureSpeechStandIn)
        yield standing


def settings(**more: Any) -> ServiceSettings:
    return ServiceSettings("azure_tts", secrets={"api_key": KEY}, **more)


async def document(vendor: AzureSpeechStandIn, text: str, **more: Any) -> str:
    voice = AzureSpeech(settings(base_url=vendor.url, **more))
    assert b"".join([piece async for piece in sound_of(voice, text)])
    return vendor.seen[-1].body.decode()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("", "eastus.tts.speech.microsoft.com"),
        ("westeurope", "westeurope.tts.speech.microsoft.com"),
        ("ChinaEast2", "chinaeast2.tts.speech.azure.cn"),
        ("usgovvirginia", "usgovvirginia.tts.speech.azure.us"),
    ],
)
def test_the_region_is_in_the_host(region: str, host: str) -> None:
    voice = AzureSpeech(settings(options={"region": region}))
    assert voice._probe().url == f"https://{host}/cognitiveservices/voices/list"


@pytest.mark.parametrize("region", ["evil.example/", "a@evil.example", "x" * 99, "é"])
async def test_a_region_leads_nowhere_else(region: str) -> None:
    voice = AzureSpeech(settings(options={"region": region}))
    await voice.warm()
    with pytest.raises(ProviderError, match="the region is none of Azure's") as failed:
        await anext(voice.speak("Hello."))
    assert failed.value.reason == "bad_request"


async def test_pace_is_prosody(vendor: AzureSpeechStandIn) -> None:
    assert "<prosody rate='1.5'>" in await document(vendor, "Hi.", options={"speed": 1.5})
    assert "prosody" not in await document(vendor, "Hi.", options={"speed": 1})


async def test_only_a_multilingual_voice_is_told_another_language(
    vendor: AzureSpeechStandIn,
) -> None:
    told = await document(vendor, "Guten Tag.", voice=AVA, language="de-DE")
    assert "<lang xml:lang='de-DE'>Guten Tag.</lang>" in told
    assert "<lang" not in await document(vendor, "Hi.", voice=AVA, language="en")
    german = await document(vendor, "Hi.", voice="de-DE-KatjaNeural", language="en-US")
    assert "<lang" not in german
    assert "xml:lang='de-DE'" in german


async def test_what_xml_cannot_hold_is_left_out(vendor: AzureSpeechStandIn) -> None:
    await document(vendor, "One\x00two\x0b\ud800\uffff three]]>")
    assert vendor.spoken == ["One two ?  three]]>"]


@pytest.mark.parametrize(
    "wrong",
    [
        "Hello.",
        "<speak version='1.0' xml:lang='en-US'>Hello.</speak>",
        "<speak version='1.0' xml:lang='en'><voice name='en-US-JennyNeural'>Hi</voice></speak>",
        "<speak version='1.0' xml:lang='en-US'><voice name='nobody'>Hi</voice></speak>",
        "<speak version='1.0' xml:lang='en-US'><voice name='en-US-JennyNeural'>a & b"
        "</voice></speak>",
        "<speak version='1.0' xml:lang='en-US'><voice name='en-US-JennyNeural'>"
        "<prosody rate='3'>Hi</prosody></voice></speak>",
        "<speak version='1.0' xml:lang='en-US'><voice name='en-US-JennyNeural'>"
        "<lang xml:lang='de-DE'>Hi</lang></voice></speak>",
    ],
)
def test_the_stand_in_refuses_what_azure_refuses(wrong: str) -> None:
    with pytest.raises(NotSsml):
        azure_speech.read(wrong.encode())
