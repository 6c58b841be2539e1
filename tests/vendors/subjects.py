"""Every adapter that the conformance suite tries, and its stand-in."""

from __future__ import annotations

from functools import partial

from tests.vendors import (
    cartesia,
    deepgram_speak,
    elevenlabs,
    rime,
    subjects_of_ears,
    subjects_over_http,
)
from tests.vendors import openai_chat as chat
from tests.vendors.anthropic import AnthropicStandIn
from tests.vendors.kinds import Subject
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn

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
    Subject(
        "tts",
        "rime",
        rime.RimeStandIn,
        settings={
            "model": "coda",
            "voice": rime.VOICE,
            "language": "en-US",
            "options": {"speed": 1.25},
        },
        key_name="RIME_API_KEY",
        stops_in_words=True,
        times_words=True,
        shares_socket=True,
        heard_as=(rime.VOICE, ""),  # on its socket the model is the host's
    ),
    Subject(
        "tts",
        "rime",
        rime.RimeStandIn,
        settings={"model": "mistv2", "voice": "eva", "options": {"speed": 1.25}},
        key_name="RIME_API_KEY",
        heard_as=("eva", "mistv2"),
        variant="mistv2",
    ),
    *subjects_over_http.VOICES,
)


def _model(provider: str, vendor: chat.Vendor, model: str, key_name: str = "") -> Subject:
    stand_in = partial(chat.ChatStandIn, vendor)
    return Subject("llm", provider, stand_in, {"model": model}, key_name)


MODELS: tuple[Subject, ...] = (
    _model("openai", chat.OPENAI, "gpt-5.4-mini", "OPENAI_API_KEY"),
    Subject(
        "llm",
        "anthropic",
        AnthropicStandIn,
        {"model": "claude-haiku-4-5"},
        key_name="ANTHROPIC_API_KEY",
    ),
    _model("gemini", chat.GEMINI, "gemini-3.5-flash", "GEMINI_API_KEY"),
    _model("groq", chat.GROQ, "openai/gpt-oss-120b", "GROQ_API_KEY"),
    _model("grok", chat.GROK, "grok-4.3", "XAI_API_KEY"),
    _model("together", chat.TOGETHER, "openai/gpt-oss-20b", "TOGETHER_API_KEY"),
    _model("mistral", chat.MISTRAL, "mistral-small-latest", "MISTRAL_API_KEY"),
    _model("deepseek", chat.DEEPSEEK, "deepseek-flash", "DEEPSEEK_API_KEY"),
    _model("openrouter", chat.OPENROUTER, "openai/gpt-5.4-mini", "OPENROUTER_API_KEY"),
    Subject(
        "llm",
        "custom_llm",
        partial(chat.ChatStandIn, chat.CUSTOM),
        {"model": "llama3.2"},
        environment={"PRIVATE_ADDRESSES": "127.0.0.0/8"},
    ),
)
# Models that hear and speak themselves: they stand for all three.
SPEAKERS: tuple[Subject, ...] = (
    Subject(
        "llm",
        "openai_realtime",
        OpenAIRealtimeStandIn,
        {"model": "gpt-realtime-2.1"},
        key_name="OPENAI_API_KEY",
        stops_in_words=True,
    ),
)
EARS: tuple[Subject, ...] = subjects_of_ears.EARS
