"""Every adapter that the conformance suite tries, and its stand-in."""

from __future__ import annotations

from tests.vendors import cartesia, deepgram_speak, elevenlabs, subjects_over_http
from tests.vendors.kinds import Subject

MODELS: tuple[Subject, ...] = ()
VOICES: tuple[Subject, ...] = (
    Subject(
        "tts",
        "cartesia",
        cartesia.CartesiaStandIn,
        settings={"model": "sonic-3", "voice": cartesia.VOICE, "language": "en-US"},
        key_name="CARTESIA_API_KEY",
        stops_in_words=True,
        times_words=True,
        shares_socket=True,
        heard_as=(cartesia.VOICE, "sonic-3"),
    ),
    Subject(
        "tts",
        "elevenlabs",
        elevenlabs.ElevenLabsStandIn,
        settings={
            "model": "eleven_flash_v2_5",
            "voice": elevenlabs.VOICE,
            "language": "en-US",
            "options": {"stability": 0.4, "use_speaker_boost": True},
        },
        key_name="ELEVENLABS_API_KEY",
        times_words=True,
        shares_socket=True,
        heard_as=(elevenlabs.VOICE, "eleven_flash_v2_5"),
    ),
    Subject(
        "tts",
        "deepgram_tts",
        deepgram_speak.DeepgramStandIn,
        settings={"voice": deepgram_speak.VOICE, "options": {"speed": 1.1}},
        key_name="DEEPGRAM_API_KEY",
        stops_in_words=True,
        shares_socket=True,
        heard_as=(deepgram_speak.VOICE, deepgram_speak.VOICE),
    ),
    *subjects_over_http.VOICES,
)
EARS: tuple[Subject, ...] = ()
