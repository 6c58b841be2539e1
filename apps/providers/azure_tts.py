"""Azure's voices, by its REST endpoint for text to speech.

Source: learn.microsoft.com, "Text to speech REST API", "SSML document structure" and "Customize
voice and sound with SSML", read in November 2026.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from apps.providers import failures, ssml
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.http_voice import HttpSpeech, Request
from apps.providers.sound import Sound, speakable
from apps.voice.ports import ProviderError

_NAME = "azure_tts"
_REGION = "eastus"
_FORMAT = "raw-8khz-8bit-mono-mulaw"
# Which type it gives that format is not documented; errors are text/plain, HTML or JSON.
_AUDIO = ("audio/",)
_VOICE = "en-US-AvaMultilingualNeural"
# en-US-AvaMultilingualNeural, zh-CN-liaoning-XiaobeiNeural, en-US-Ava:DragonHDLatestNeural
_LOCALE = re.compile(r"[a-z]{2,3}-(?:[A-Za-z]{4}-)?[A-Z]{2}")
# The clouds that are apart from the public one, by the beginning of their regions.
_DOMAINS = (("china", "tts.speech.azure.cn"), ("usgov", "tts.speech.azure.us"))

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Azure speech",
        description="Azure's neural voices, in the region of the account's speech resource.",
        open_models=True,
        voices=(
            Voice(_VOICE, "Ava", "en-US"),
            Voice("en-US-AndrewMultilingualNeural", "Andrew", "en-US"),
            Voice("en-US-JennyNeural", "Jenny", "en-US"),
            Voice("en-GB-SoniaNeural", "Sonia", "en-GB"),
            Voice("de-DE-KatjaNeural", "Katja", "de-DE"),
            Voice("fr-FR-DeniseNeural", "Denise", "fr-FR"),
            Voice("es-ES-ElviraNeural", "Elvira", "es-ES"),
        ),
        open_voices=True,
        options=(
            Option("region", "string", f"The speech resource's region, as {_REGION}."),
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.5, maximum=2),
            Option(
                "text_filter",
                "object",
                "Accepted, without effect: marks for the eye are never read aloud.",
            ),
            Option("sample_rate", "integer", "Accepted, without effect: a phone takes 8,000 Hz."),
        ),
        needs_key=True,
        factory="apps.providers.azure_tts:AzureSpeech",
        billing="characters",
        base_url=f"https://{_REGION}.tts.speech.microsoft.com",
        source="learn.microsoft.com (Text to speech REST API), read in November 2026",
        limits=(
            "A model is part of the voice's name and cannot be set apart from it.",
            "Another language than the voice's own works with multilingual voices only.",
        ),
    ),
)


class AzureSpeech:
    """Implements ``voice.ports.TextToSpeech``: one request a sentence."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._voice = settings.voice or _VOICE
        self._language = settings.language
        self._speed = float(settings.options.get("speed") or 1.0)
        self._speech = HttpSpeech(_NAME, settings.patience_s, self._probe)

    async def warm(self) -> None:
        await self._speech.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not (text := speakable(text)):
            return
        headers = {
            **self._headers(),
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": _FORMAT,
        }
        url = f"{self._origin()}/cognitiveservices/v1"
        request = Request("POST", url, headers, self._document(text).encode(), _AUDIO)
        async with aclosing(self._speech.say(request, Sound(_NAME))) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        await self._speech.aclose()

    def _document(self, text: str) -> str:
        """Return the SSML document.

        The voice's own language is the document's. Only a multilingual voice is told another, and
        only a whole locale: a bare "en" is what a config says that names no language.
        """
        found = _LOCALE.match(self._voice)
        own = found.group() if found else "en-US"
        said = ssml.spoken(text)
        if self._speed != 1.0:
            said = f"<prosody rate='{self._speed:g}'>{said}</prosody>"
        other = self._language
        if "Multilingual" in self._voice and other != own and _LOCALE.fullmatch(other):
            said = f"<lang xml:lang='{other}'>{said}</lang>"
        return (
            "<speak version='1.0' xmlns='http://www.w3.org/2001/10/synthesis' "
            f"xml:lang='{own}'><voice name='{ssml.spoken(self._voice)}'>{said}</voice></speak>"
        )

    def _origin(self) -> str:
        """Return where the region is served. Raises ProviderError for what cannot be a region."""
        region = str(self._settings.options.get("region") or _REGION).lower()
        if not re.fullmatch(r"[a-z0-9]{1,40}", region):
            raise ProviderError(_NAME, "the region is none of Azure's", reason="bad_request")
        domains = (domain for start, domain in _DOMAINS if region.startswith(start))
        return self._settings.url(f"https://{region}.{next(domains, 'tts.speech.microsoft.com')}")

    def _headers(self) -> dict[str, str]:
        return {
            "Ocp-Apim-Subscription-Key": failures.key_of(_NAME, self._settings.secrets),
            "User-Agent": "botsconfig",
        }

    def _probe(self) -> Request:
        """Ask for the head of the list of voices: without the list itself, which is long."""
        return Request("HEAD", f"{self._origin()}/cognitiveservices/voices/list", self._headers())
