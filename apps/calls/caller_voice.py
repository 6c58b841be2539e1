"""What somebody without a microphone types, spoken for them by this server's own voice."""

from __future__ import annotations

import threading
from typing import Final

from asgiref.sync import async_to_sync
from rest_framework.exceptions import Throttled

from apps.core.limits import limit_read, meter
from apps.providers import registry
from apps.providers.base import ServiceSettings
from apps.voice.ports import ProviderError, TextToSpeech, sound_of

VOICE: Final = "local"
LONGEST: Final = 300
# A processor of this server's is busy with each, and calls need it.
LIMIT = "20/minute"
# Each holds a thread of this process.
_AT_ONCE = threading.BoundedSemaphore(8)


class VoiceMissing(Exception):
    """Nothing can be spoken here; the text says why, and what to do."""


def caller_voice_missing() -> str:
    """Return what keeps this server from speaking for a caller; empty if nothing does."""
    found = registry.find("tts", VOICE, test_providers=False)
    return "it is unknown" if found is None else found.missing()


def caller_voice_speak(text: str, *, who: str) -> bytes:
    """Speak up to ``LONGEST`` characters, in English: mu-law 8 kHz. Takes a second or two.

    who: whose limit counts. Raises VoiceMissing, or Throttled.
    """
    found = registry.find("tts", VOICE, test_providers=False)
    if found is None or found.missing():
        raise VoiceMissing(f"This server has no voice of its own: {caller_voice_missing()}.")
    standing = meter.take(limit, f"caller:{who}") if (limit := limit_read(LIMIT)) else None
    if standing is not None and not standing.allowed:
        raise Throttled(wait=standing.reset_s, detail="That was a lot of typing. Wait a little.")
    if not _AT_ONCE.acquire(blocking=False):
        raise Throttled(wait=1, detail="Too many are being spoken for at once.")
    try:
        audio: bytes = async_to_sync(_speak)(found.build(ServiceSettings(VOICE)), text[:LONGEST])
    except ProviderError as error:
        raise VoiceMissing(f"The server's voice failed: {error.message}.") from error
    finally:
        _AT_ONCE.release()
    return audio


async def _speak(voice: TextToSpeech, text: str) -> bytes:
    try:
        return b"".join([piece async for piece in sound_of(voice, text)])
    finally:
        await voice.aclose()
