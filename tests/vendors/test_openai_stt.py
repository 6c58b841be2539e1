"""What is OpenAI's own: a session to set up, commits, items whose transcripts come in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.providers.base import ServiceSettings
from apps.providers.openai_stt import OpenAiWire
from apps.voice.ports import ProviderError
from tests.vendors.caller import calling, heard
from tests.vendors.kinds import Subject
from tests.vendors.openai_transcription import OpenAiTranscriptionStandIn
from tests.vendors.serving import serving


@pytest.fixture
async def vendor() -> AsyncIterator[OpenAiTranscriptionStandIn]:
    async with serving(OpenAiTranscriptionStandIn()) as stand_in:
        assert isinstance(stand_in, OpenAiTranscriptionStandIn)
        yield stand_in


def openai(model: str = "", language: str = "", **options: Any) -> Subject:
    settings = {"model": model, "language": language, "options": options}
    return Subject("stt", "openai_stt", OpenAiTranscriptionStandIn, settings)


@pytest.mark.parametrize(
    ("model", "transcription"),
    [
        ("", {"model": "gpt-live-transcribe", "languages": ["de"], "keywords": ["Ada", "Eve"]}),
        (
            "gpt-transcribe",
            {"model": "gpt-transcribe", "languages": ["de"], "keywords": ["Ada", "Eve"]},
        ),
        (
            "gpt-4o-transcribe",
            {"model": "gpt-4o-transcribe", "language": "de", "prompt": "Ada, Eve"},
        ),
        ("whisper-1", {"model": "whisper-1", "language": "de", "prompt": "Ada, Eve"}),
        ("gpt-realtime-whisper", {"model": "gpt-realtime-whisper", "language": "de"}),
    ],
)
async def test_each_model_is_asked_in_its_own_way(
    vendor: OpenAiTranscriptionStandIn, model: str, transcription: dict[str, Any]
) -> None:
    subject = openai(model, "de-DE", keyterms=["Ada", "Eve"])
    wire = OpenAiWire(subject.service(vendor.url))
    assert wire._session()["session"]["audio"]["input"]["transcription"] == transcription
    async with calling(subject, vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == "book a table"
    assert vendor.refusals == []


async def test_many_languages_are_none(vendor: OpenAiTranscriptionStandIn) -> None:
    wire = OpenAiWire(openai("", "multi").service(vendor.url))
    assert wire._session()["session"]["audio"]["input"]["transcription"].keys() == {"model"}


async def test_a_model_that_it_has_not_is_a_bad_request(
    vendor: OpenAiTranscriptionStandIn,
) -> None:
    with pytest.raises(ProviderError) as raised:
        async with calling(openai("nova-3"), vendor):
            pass
    assert raised.value.reason == "bad_request"


async def test_utterances_alone_are_sent_with_what_was_before_them(
    vendor: OpenAiTranscriptionStandIn,
) -> None:
    async with calling(openai(), vendor) as caller:
        caller.silence(5_000)
        caller.say(1)
        await caller.words(1)
        caller.silence(5_000)
        caller.say(2)
        await caller.words(2)
    assert heard(vendor.audio) == bytes(caller.spoken)
    before, spoken, after = 1_500 - 200, 1_000, 300
    assert len(vendor.audio) == 2 * 8 * (before + spoken + after)


async def test_transcripts_in_the_wrong_order_reach_their_utterances(
    vendor: OpenAiTranscriptionStandIn,
) -> None:
    vendor.swapped = True
    async with calling(openai("gpt-4o-transcribe"), vendor) as caller:
        caller.say(1)
        caller.silence(400)
        caller.say(2)
        assert await caller.words(1) == "book a table"
        assert await caller.words(2) == "for two people"


async def test_a_transcription_that_fails_fails_its_utterance_alone(
    vendor: OpenAiTranscriptionStandIn,
) -> None:
    vendor.fails = True
    async with calling(openai(), vendor) as caller:
        caller.say(1)
        assert (await caller.failure(1)).reason == "unavailable"
        caller.silence(400)
        caller.say(2)
        assert await caller.words(2) == "for two people"
        assert len(vendor.seen) == 1


async def test_a_model_that_begins_when_all_is_said_is_waited_for(
    vendor: OpenAiTranscriptionStandIn,
) -> None:
    vendor.transcripts = [""]
    async with calling(openai("gpt-4o-mini-transcribe"), vendor) as caller:
        caller.say(1)
        assert await caller.words(1) == ""


async def test_a_commit_of_too_little_is_no_failure(vendor: OpenAiTranscriptionStandIn) -> None:
    async with calling(openai(), vendor) as caller:
        caller.ears.begin(1)
        caller.sound(60)
        caller.ears.finish()
        assert await caller.words(1) == ""


def test_what_a_key_lacks_has_its_reason() -> None:
    wire = OpenAiWire(ServiceSettings("openai_stt"))
    reasons = {
        "insufficient_quota": "quota",
        "rate_limit_exceeded": "quota",
        "invalid_api_key": "auth",
        "session_expired": "unavailable",
        "invalid_value": "bad_request",
    }
    for code, reason in reasons.items():
        with pytest.raises(ProviderError) as raised:
            error = {"type": "invalid_request_error", "code": code}
            wire.read({"type": "error", "error": error}, round)
        assert raised.value.reason == reason
