"""The voices that are asked over HTTP or gRPC, and their stand-ins."""

from __future__ import annotations

import os

from tests.vendors import azure_speech, google_speech, openai_speech, polly
from tests.vendors.kinds import Subject

VOICES: tuple[Subject, ...] = (
    Subject(
        "tts",
        "openai_tts",
        openai_speech.OpenAISpeechStandIn,
        settings={"model": "tts-1", "voice": "nova"},
        key_name="OPENAI_API_KEY",
        heard_as=("nova", "tts-1"),
    ),
    Subject(
        "tts",
        "azure_tts",
        azure_speech.AzureSpeechStandIn,
        settings={
            "voice": "de-DE-KatjaNeural",
            "language": "de-DE",
            "options": {"region": os.environ.get("AZURE_SPEECH_REGION", "eastus")},
        },
        key_name="AZURE_SPEECH_KEY",
        heard_as=("de-DE-KatjaNeural", ""),
    ),
    Subject(
        "tts",
        "aws_tts",
        polly.PollyStandIn,
        settings={
            "model": "generative",
            "voice": "Ruth",
            "options": {"aws_access_key_id": polly.ACCESS_KEY_ID},
        },
        key_name="AWS_SECRET_ACCESS_KEY",
        heard_as=("Ruth", "generative"),
    ),
    Subject(
        "tts",
        "google_tts",
        google_speech.GoogleSpeechStandIn,
        settings={"voice": "en-US-Chirp3-HD-Charon"},
        key_name="GOOGLE_API_KEY",
        heard_as=("en-US-Chirp3-HD-Charon", ""),
    ),
)
