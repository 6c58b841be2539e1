"""The speech-to-text adapters that the conformance suite tries, and their stand-ins."""

from __future__ import annotations

from tests.vendors.assemblyai import AssemblyAiStandIn
from tests.vendors.deepgram_live import DeepgramStandIn
from tests.vendors.gladia import GladiaStandIn
from tests.vendors.kinds import Subject
from tests.vendors.openai_transcription import OpenAiTranscriptionStandIn

EARS: tuple[Subject, ...] = (
    Subject(
        "stt",
        "deepgram",
        DeepgramStandIn,
        {"model": "nova-3", "language": "en"},
        key_name="DEEPGRAM_API_KEY",
        stops_in_words=True,
    ),
    Subject(
        "stt",
        "deepgram",
        DeepgramStandIn,
        {"model": "flux-general-en"},
        variant="flux",
        key_name="DEEPGRAM_API_KEY",
        stops_in_words=True,
    ),
    Subject(
        "stt",
        "assemblyai",
        AssemblyAiStandIn,
        {"model": "universal-streaming-english", "language": "en"},
        key_name="ASSEMBLYAI_API_KEY",
        stops_in_words=True,
    ),
    Subject(
        "stt",
        "gladia",
        GladiaStandIn,
        {"model": "solaria-1", "language": "en"},
        key_name="GLADIA_API_KEY",
        stops_in_words=True,
    ),
    Subject(
        "stt",
        "openai_stt",
        OpenAiTranscriptionStandIn,
        {"model": "gpt-live-transcribe", "language": "en"},
        key_name="OPENAI_API_KEY",
    ),
)
