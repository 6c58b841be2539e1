"""What only ElevenLabs' adapter has to get right: contexts, letters' times, errors inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from apps.providers.elevenlabs import ElevenLabsVoice, Words
from apps.voice.ports import ProviderError, WordAt
from tests.vendors.elevenlabs import CONTEXTS, VOICE, ElevenLabsStandIn, Refused
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import VOICES
from tests.vendors.test_every_voice import NEXT, TEXT, assert_is_tone, heard

SUBJECT = next(subject for subject in VOICES if subject.provider == "elevenlabs")


@pytest.fixture
async def vendor() -> AsyncIterator[ElevenLabsStandIn]:
    async with serving(ElevenLabsStandIn()) as stand_in:
        assert isinstance(stand_in, ElevenLabsStandIn)
        yield stand_in


@pytest.fixture
async def voice(vendor: ElevenLabsStandIn) -> AsyncIterator[ElevenLabsVoice]:
    found = ElevenLabsVoice(SUBJECT.service(vendor.url))
    yield found
    await found.aclose()


async def test_it_asks_as_documented(vendor: ElevenLabsStandIn, voice: ElevenLabsVoice) -> None:
    await heard(voice, TEXT)
    seen = vendor.seen[0]
    assert seen.path == f"/v1/text-to-speech/{VOICE}/multi-stream-input"
    assert seen.headers["xi-api-key"] == KEY
    assert seen.query == {
        "model_id": "eleven_flash_v2_5",
        "output_format": "ulaw_8000",
        "language_code": "en",
        "inactivity_timeout": "180",
        "auto_mode": "true",
        "sync_alignment": "true",
    }
    assert vendor.settings == [{"stability": 0.4, "use_speaker_boost": True}]


async def test_all_options_go_out(vendor: ElevenLabsStandIn) -> None:
    options = {
        "stability": 0.0,
        "similarity_boost": 0.9,
        "style": 0.1,
        "use_speaker_boost": False,
        "speed": 1.2,
    }
    others = {"output_format": "mp3_44100_128", "text_filter": {}}
    settings = replace(
        SUBJECT.service(vendor.url), model="eleven_multilingual_v2", options=options | others
    )
    voice = ElevenLabsVoice(settings)
    assert_is_tone(vendor, await heard(voice, TEXT), TEXT)
    await voice.aclose()
    assert vendor.settings == [options]
    assert "language_code" not in vendor.seen[0].query


@pytest.mark.parametrize("snake_case", [False, True])
async def test_interrupted_sentences_do_not_pile_up(
    vendor: ElevenLabsStandIn, voice: ElevenLabsVoice, snake_case: bool
) -> None:
    vendor.snake_case = snake_case
    for _ in range(20):
        async with aclosing(voice.speak(TEXT)) as pieces:
            await anext(pieces)
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)
    assert vendor.most <= CONTEXTS
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("snake_case", [False, True])
@pytest.mark.parametrize("absolute", [False, True])
async def test_words_are_placed_whatever_their_times_count_from(
    vendor: ElevenLabsStandIn, voice: ElevenLabsVoice, absolute: bool, snake_case: bool
) -> None:
    vendor.absolute, vendor.snake_case = absolute, snake_case
    words = [piece async for piece in voice.speak(TEXT) if isinstance(piece, WordAt)]
    ends = [60 * len(" ".join(TEXT.split()[: n + 1])) for n in range(len(TEXT.split()))]
    assert [word.word for word in words] == TEXT.split()
    assert [word.end_ms for word in words] == pytest.approx(ends, abs=1)


def test_a_word_may_lie_in_two_chunks() -> None:
    words = Words()
    chunk = {"chars": list("Hel"), "charStartTimesMs": [0, 50, 100], "charDurationsMs": [50] * 3}
    assert words.read(chunk, 0.0) == []
    chunk = {"chars": list("lo "), "charStartTimesMs": [0, 50, 100], "charDurationsMs": [50] * 3}
    assert words.read(chunk, 150.0) == [WordAt("Hello", 250.0)]
    assert words.rest() == []
    assert words.read(None, 300.0) == []


@pytest.mark.parametrize(
    ("error", "code", "reason", "retryable"),
    [
        ("quota_exceeded", 1008, "quota", False),
        ("invalid_api_key", 1008, "auth", False),
        ("voice_not_found", 1008, "bad_request", False),
        ("rate_limit_exceeded", 1008, "quota", True),
        ("max_active_conversations", 1008, "unavailable", True),
        ("something_new", 1008, "bad_request", False),
        ("something_new", 1011, "unavailable", True),
    ],
)
async def test_an_error_inside_the_socket_is_one_of_ours(
    vendor: ElevenLabsStandIn,
    voice: ElevenLabsVoice,
    error: str,
    code: int,
    reason: str,
    retryable: bool,
) -> None:
    vendor.refuses = Refused(error, f"why {KEY}", code)
    with pytest.raises(ProviderError) as caught:
        await heard(voice, TEXT)
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert error in str(caught.value)
    assert KEY not in str(caught.value)
    vendor.refuses = None
    assert_is_tone(vendor, await heard(voice, NEXT), NEXT)


@pytest.mark.parametrize(
    ("code", "why", "reason"),
    [
        (1008, "This request exceeds your quota of 10000.", "quota"),
        (
            1008,
            "Have not received a new text input within the timeout of 20 seconds.",
            "unavailable",
        ),
        (1008, "Something else", "bad_request"),
        (1011, "Internal error", "unavailable"),
        (None, "", "unavailable"),
    ],
)
def test_a_close_alone_says_what_is_wrong(
    voice: ElevenLabsVoice, code: int | None, why: str, reason: str
) -> None:
    error = voice._dialect.closed(code, why)
    assert error.reason == reason
    assert why == "" or why not in str(error)
