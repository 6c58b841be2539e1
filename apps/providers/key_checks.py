"""Is a vendor's key good? One question to each vendor that costs nothing and needs the key.

Sources: the vendors' API references. xAI and Google answer a wrong key with 400, not 401; the
question itself has nothing else that could be wrong with it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

PATIENCE_S = 10.0

_REFUSED = frozenset((401, 403))
# What fits into a header. A key never holds anything else.
_KEY = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The GET that tells a good key from a bad one.

    base: the vendor's origin, which an operator may replace. scheme: what stands before the key
    in its header. refused: the statuses that mean a bad key.
    """

    base: str
    path: str
    header: str = "Authorization"
    scheme: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    refused: frozenset[int] = _REFUSED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a check.

    ok: None if it cannot be told. reason: ``accepted``, ``auth``, ``malformed``, ``rate-limited``,
    ``unavailable``, ``unexpected`` or ``untestable``. info: a sentence; holds nothing of the key.
    """

    ok: bool | None
    reason: str
    info: str
    latency_ms: float | None = None


def _bearer(base: str, path: str = "/v1/models", refused: frozenset[int] = _REFUSED) -> KeyCheck:
    return KeyCheck(base, path, scheme="Bearer ", refused=refused)


_OPENAI = _bearer("https://api.openai.com")
_DEEPGRAM = KeyCheck("https://api.deepgram.com", "/v1/projects", scheme="Token ")
_OR_400 = _REFUSED | {400}

# A provider that is missing here cannot be asked: its endpoint depends on the bot (custom_llm), on
# a region (azure_tts, aws_tts) or on a user's id (playht), or asks for no key (rime).
KEY_CHECKS: Mapping[str, KeyCheck] = {
    "openai": _OPENAI,
    "openai_realtime": _OPENAI,
    "openai_tts": _OPENAI,
    "openai_stt": _OPENAI,
    "together": _bearer("https://api.together.xyz"),
    "groq": _bearer("https://api.groq.com", "/openai/v1/models"),
    "grok": _bearer("https://api.x.ai", refused=_OR_400),
    "mistral": _bearer("https://api.mistral.ai"),
    "deepseek": _bearer("https://api.deepseek.com", "/models"),
    # Its list of models needs no key; this says what the key may do.
    "openrouter": _bearer("https://openrouter.ai", "/api/v1/key"),
    "anthropic": KeyCheck(
        "https://api.anthropic.com",
        "/v1/models",
        header="x-api-key",
        extra={"anthropic-version": "2023-06-01"},
    ),
    "gemini": KeyCheck(
        "https://generativelanguage.googleapis.com",
        "/v1beta/models?pageSize=1",
        header="x-goog-api-key",
        refused=_OR_400,
    ),
    "google_tts": KeyCheck(
        "https://texttospeech.googleapis.com",
        "/v1/voices",
        header="x-goog-api-key",
        refused=_OR_400,
    ),
    "deepgram": _DEEPGRAM,
    "deepgram_tts": _DEEPGRAM,
    "assemblyai": KeyCheck("https://api.assemblyai.com", "/v2/transcript?limit=1"),
    "gladia": KeyCheck("https://api.gladia.io", "/v2/pre-recorded?limit=1", header="x-gladia-key"),
    "elevenlabs": KeyCheck("https://api.elevenlabs.io", "/v1/user", header="xi-api-key"),
    "cartesia": KeyCheck(
        "https://api.cartesia.ai",
        "/voices?limit=1",
        header="X-API-Key",
        extra={"Cartesia-Version": "2024-11-13"},
    ),
}


async def key_check(
    provider: str, api_key: str, *, bases: Mapping[str, str], patience_s: float = PATIENCE_S
) -> Verdict:
    """Ask the vendor whether ``api_key`` is good.

    bases: origins to ask instead of the vendors' own, by provider. Never raises for what the
    vendor or the network does. Reads no body and follows no redirect: the key goes to nobody else.
    """
    check = KEY_CHECKS.get(provider)
    if check is None:
        return Verdict(None, "untestable", f"No free call is known that would test {provider}.")
    if provider == "google_tts" and api_key.lstrip().startswith("{"):
        return Verdict(None, "untestable", "A service account is not tried before its first call.")
    if not _KEY.fullmatch(api_key):
        return Verdict(False, "malformed", "It holds characters that no key has.")
    url = bases.get(provider, check.base).rstrip("/") + check.path
    headers = {**check.extra, check.header: check.scheme + api_key}
    try:
        # httpx's own limits hold for each read alone: a vendor that dribbles would keep us.
        async with asyncio.timeout(patience_s), httpx.AsyncClient(timeout=None) as client:
            began = time.monotonic()  # making the client reads certificates, which is our own time
            async with client.stream("GET", url, headers=headers) as response:
                status = response.status_code
            latency_ms = round((time.monotonic() - began) * 1000, 1)
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as exc:
        # The name alone: the texts of these errors may quote what was sent.
        return Verdict(None, "unavailable", f"The vendor cannot be reached: {type(exc).__name__}.")
    return _judged(check, status, latency_ms)


def _judged(check: KeyCheck, status: int, latency_ms: float) -> Verdict:
    if 200 <= status < 300:
        return Verdict(True, "accepted", "The vendor takes the key.", latency_ms)
    if status in check.refused:
        return Verdict(False, "auth", f"The vendor refuses the key ({status}).", latency_ms)
    if status == 429:
        # An edge may count requests before anybody looks at the key, so this says nothing of it.
        info = "The vendor asks for patience (429), which says nothing of the key."
        return Verdict(None, "rate-limited", info, latency_ms)
    if status >= 500:
        return Verdict(None, "unavailable", f"The vendor is in trouble ({status}).", latency_ms)
    return Verdict(None, "unexpected", f"The vendor answered {status}.", latency_ms)
