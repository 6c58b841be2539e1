"""Speaks a sentence in a voice that nothing is saved of yet, so that one can hear it first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rest_framework.exceptions import Throttled, ValidationError

from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfigVersion
from apps.bots.selectors import secrets_used, service_settings
from apps.bots.slots import slot_warning
from apps.bots.speech import slot_speak, speaking_kind
from apps.bots.variables import filled, filling_of
from apps.core.limits import limit_read, meter
from apps.providers import connections
from apps.providers.base import Kind, ServiceSettings
from apps.voice.ports import ProviderError

CHARACTERS = 200
PATIENCE_S = 15.0
SENTENCE = "Hello! This is how I sound on the phone. How can I help you?"
# A vendor is paid for each.
LIMIT = "20/minute"
# Each holds a thread of this process for as long as its vendor takes.
_AT_ONCE = threading.BoundedSemaphore(8)


class Unspoken(Exception):
    """The provider did not speak; the message says why, and holds nothing of a key or a text."""


def sample_speak(
    *, account: Account, native: Mapping[str, Any], secrets: Mapping[str, Any], who: str
) -> bytes:
    """Speak a body's greeting, or a sentence of ours, with the voice that the body names.

    native: its ``config`` alone is looked at, and of that what a voice needs; variables count with
    their defaults. secrets: of the bot's version, empty for a new bot. who: whose limit counts.
    Returns mu-law, 8,000 Hz, mono. Raises ValidationError by path, Throttled, or Unspoken.
    """
    document = _document(native)
    kind = speaking_kind(document)
    if warning := slot_warning(kind, document[kind]["provider"]):
        raise Unspoken(warning)
    version = TwilioConfigVersion(document=document, secrets=dict(secrets))
    settings = service_settings(kind, document, secrets_used(str(account.id), version))
    standing = meter.take(limit, f"sample:{who}") if (limit := limit_read(LIMIT)) else None
    if standing is not None and not standing.allowed:
        raise Throttled(wait=standing.reset_s, detail="That was a lot of listening. Wait a little.")
    text = filled(document, filling_of(document, {}).values)["greeting"]["text"]
    if not _AT_ONCE.acquire(blocking=False):
        raise Throttled(wait=1, detail="Too many voices are being tried at once.")
    try:
        return asyncio.run(_spoken(kind, settings, text.strip()[:CHARACTERS] or SENTENCE))
    finally:
        _AT_ONCE.release()


def _document(native: Mapping[str, Any]) -> dict[str, Any]:
    config = native["config"]
    mind = {name: value for name, value in config["llm"].items() if name not in _NOT_VOICE}
    greeting = config.get("greeting", {}).get("text", "")
    body: dict[str, Any] = {
        "config": {
            "llm": {**mind, "prompt": SENTENCE},
            "tts": {n: v for n, v in config.get("tts", {}).items() if n != "fallbacks"},
            "greeting": {"mode": "text", "text": greeting if greeting.strip() else SENTENCE},
        }
    }
    with suppress(ValidationError):
        body["config"]["variables"] = config.get("variables", {})
        return draft_read(body).document
    # Whatever is wrong with the variables, the voice may be right.
    del body["config"]["variables"]
    return draft_read(body).document


_NOT_VOICE = ("prompt", "messages", "tools", "fallbacks")


async def _spoken(kind: Kind, settings: ServiceSettings, text: str) -> bytes:
    try:
        async with connections.closing(), asyncio.timeout(PATIENCE_S):
            audio = await slot_speak(kind, settings, text)
    except ProviderError as exc:
        raise Unspoken(f"{settings.provider} {exc.message}.") from None
    except TimeoutError:
        raise Unspoken(f"{settings.provider} did not speak within {PATIENCE_S:g} s.") from None
    if not audio:
        raise Unspoken(f"{settings.provider} sent no sound.")
    return audio
