"""Speaks the platform's own sentences beforehand, in each bot's voice.

They are needed when something is wrong (a provider fails, time is up), which is no time to ask a
provider for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict
from typing import Any, TypeVar, get_args

from django_tasks import task

from apps.bots.models import SpokenLine, TwilioConfigVersion
from apps.bots.selectors import secrets_used, service_settings, spoken_lines_load
from apps.bots.slots import declaration, kinds_used, slot_warning
from apps.providers import connections
from apps.providers.base import Kind, ServiceSettings
from apps.voice.ports import ProviderError, TextToSpeech, sound_of
from apps.voice.settings import LineName, Lines

logger = logging.getLogger(__name__)

# Waits before the second and the third attempt.
RETRY_AFTER_S = (1.0, 4.0)
# No sentence of ours takes a minute; a provider that goes on is broken.
LONGEST_BYTES = 60 * 8_000
PATIENCE_S = 60.0
VARIABLE = "{{"

Result = TypeVar("Result")


def line_texts(document: Mapping[str, Any]) -> dict[LineName, str]:
    """Return every sentence the platform may have to say for this bot.

    The greeting is among them only where it is a text, the notice of a recording where it has one:
    a call may be recorded although the bot's others are not.
    """
    said = {**asdict(Lines()), **document["lines"]}
    said["consent"] = (document.get("recording") or {}).get("consent", "")
    said["greeting"] = document["greeting"]["text"]
    names: tuple[LineName, ...] = get_args(LineName)
    return {name: said[name] for name in names if said[name]}


def speaking_kind(document: Mapping[str, Any]) -> Kind:
    """Return the slot that speaks: a model that speaks itself says the platform's lines too."""
    used = kinds_used(document)
    return "tts" if "tts" in used else "llm"


def line_digest(slot: Mapping[str, Any], text: str) -> str:
    """Name a recording by everything it depends on: the slot that speaks, and the text."""
    named = ("provider", "model", "voice", "language", "options")
    key = [*(slot.get(name) for name in named), text]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


@task()
def lines_speak(version_id: int) -> int:
    """Record what the version's bot may have to say and nobody recorded yet. Returns how many.

    A provider's failure is logged and ends it: the gateway then asks the provider during the call.
    """
    version = TwilioConfigVersion.objects.select_related("config").get(pk=version_id)
    kind = speaking_kind(version.document)
    if slot_warning(kind, version.document[kind]["provider"]):
        return 0
    waiting = _waiting(version)
    secrets = secrets_used(str(version.config.account_id), version)
    settings = service_settings(kind, version.document, secrets)
    speaking = _speak_all(kind, settings, waiting, version_id)
    spoken = asyncio.run(_with_connections(speaking))
    account = version.config.account_id
    SpokenLine.objects.bulk_create(
        [SpokenLine(account_id=account, digest=key, audio=audio) for key, audio in spoken.items()],
        # Another version of the same voice may have been quicker.
        ignore_conflicts=True,
    )
    return len(spoken)


def _waiting(version: TwilioConfigVersion) -> dict[str, str]:
    texts = [text for text in line_texts(version.document).values() if VARIABLE not in text]
    slot = version.document[speaking_kind(version.document)]
    wanted = {line_digest(slot, text): text for text in texts}
    there = spoken_lines_load(str(version.config.account_id), wanted)
    return {digest: text for digest, text in wanted.items() if digest not in there}


async def _with_connections(work: Coroutine[Any, Any, Result]) -> Result:
    async with connections.closing():
        return await work


async def _speak_all(
    kind: Kind, settings: ServiceSettings, texts: Mapping[str, str], version_id: int
) -> dict[str, bytes]:
    spoken: dict[str, bytes] = {}
    if not texts:
        return spoken
    try:
        async with _voice(kind, settings) as voice:
            for digest, text in texts.items():
                spoken[digest] = await _speak(voice, text)
    except (ProviderError, TimeoutError) as exc:
        reason = exc.reason if isinstance(exc, ProviderError) else "timeout"
        extra = {"version": version_id, "provider": settings.provider, "reason": reason}
        logger.warning("A bot's lines could not be spoken beforehand", extra=extra)
    return spoken


async def slot_speak(kind: Kind, settings: ServiceSettings, text: str) -> bytes:
    """Speak a text once, with what a slot names. Returns mu-law, 8,000 Hz, mono.

    Raises ProviderError or TimeoutError.
    """
    async with _voice(kind, settings) as voice:
        return await _speak_once(voice, text)


@asynccontextmanager
async def _voice(kind: Kind, settings: ServiceSettings) -> AsyncIterator[TextToSpeech]:
    """Build the voice of a slot, and close it. Raises ProviderError."""
    found = declaration(kind, settings.provider)
    if found is None:
        raise ProviderError(settings.provider, "is not on this server", reason="missing_extra")
    built: Any = found.build(settings)
    try:
        yield built.voice if found.speaks else built
    finally:
        await built.aclose()


async def _speak(voice: TextToSpeech, text: str) -> bytes:
    for wait_s in RETRY_AFTER_S:
        try:
            return await _speak_once(voice, text)
        except ProviderError as exc:
            if not exc.retryable:
                raise
        await asyncio.sleep(wait_s)
    return await _speak_once(voice, text)


async def _speak_once(voice: TextToSpeech, text: str) -> bytes:
    audio = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        async with aclosing(sound_of(voice, text)) as pieces:
            async for piece in pieces:
                audio += piece
                if len(audio) > LONGEST_BYTES:
                    break
    return bytes(audio[:LONGEST_BYTES])
