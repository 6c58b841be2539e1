"""Amazon Polly, by aiobotocore, which signs the requests.

Source: docs.aws.amazon.com/polly (SynthesizeSpeech, supported SSML tags, prosody) and the service's
own model (polly 2016-06-10) in botocore 1.43, read in November 2026: mulaw at 8,000 Hz is among its
output formats.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from apps.providers import connections, failures, ssml
from apps.providers.base import Declaration, Option, ServiceSettings, Voice
from apps.providers.http_voice import Warmth, voiced
from apps.providers.sharing import Shared
from apps.providers.sound import Sound, speakable
from apps.voice.ports import ProviderError

_NAME = "aws_tts"
_REGION = "us-east-1"
_EXTRA = "aws"
_ENGINES = ("neural", "generative", "long-form", "standard")
_VOICE = "Joanna"
_AUDIO = ("audio/mulaw", "audio/basic")
_PIECE = 4_096
# What Polly says with 400, and what it means by it.
_MEANT = {
    "ThrottlingException": 429,
    "TooManyRequestsException": 429,
    "ServiceQuotaExceededException": 402,
    "UnrecognizedClientException": 403,
    "InvalidClientTokenId": 403,
    "InvalidSignatureException": 403,
    "IncompleteSignature": 403,
    "SignatureDoesNotMatch": 403,
    "ExpiredTokenException": 403,
}

DECLARATIONS = (
    Declaration(
        kind="tts",
        name=_NAME,
        title="Amazon Polly",
        description="Amazon Polly. Its model is the engine; the stored key is the secret one.",
        models=_ENGINES,
        open_models=True,
        default_model=_ENGINES[0],
        voices=(
            Voice(_VOICE, "Joanna", "en-US"),
            Voice("Matthew", "Matthew", "en-US"),
            Voice("Ruth", "Ruth", "en-US"),
            Voice("Stephen", "Stephen", "en-US"),
            Voice("Danielle", "Danielle", "en-US"),
            Voice("Amy", "Amy", "en-GB"),
            Voice("Olivia", "Olivia", "en-AU"),
            Voice("Vicki", "Vicki", "de-DE"),
            Voice("Lea", "Léa", "fr-FR"),
            Voice("Lucia", "Lucia", "es-ES"),
        ),
        open_voices=True,
        options=(
            Option("aws_access_key_id", "string", "The id of the stored secret access key."),
            Option("region", "string", f"The region to speak in, as {_REGION}."),
            Option("speed", "number", "Pace; 1 is normal.", minimum=0.2, maximum=2),
            Option(
                "text_filter",
                "object",
                "Accepted, without effect: marks for the eye are never read aloud.",
            ),
            Option("sample_rate", "integer", "Accepted, without effect: a phone takes 8,000 Hz."),
        ),
        needs_key=True,
        extra=_EXTRA,
        modules=("aiobotocore",),
        factory="apps.providers.aws_tts:Polly",
        billing="characters",
        base_url=f"https://polly.{_REGION}.amazonaws.com",
        source="docs.aws.amazon.com/polly (SynthesizeSpeech), read in November 2026",
        limits=(
            "Keys of a role, which need a session token, cannot be used.",
            "A language is told to bilingual voices only, and only as a whole locale.",
            "Each voice has some of the engines; the others are refused.",
        ),
    ),
)

# region, access key id, secret access key, origin, patience in seconds
_Wanted = tuple[str, str, str, str, float]


class Polly:
    """Implements ``voice.ports.TextToSpeech``: one request a sentence."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._warmth = Warmth(self._connect)
        self._held: _Wanted | None = None
        self._client: Any = None
        self._closed = False

    async def warm(self) -> None:
        await self._warmth.warm()

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        if not (text := speakable(text)):
            return
        async with aclosing(voiced(self._pieces(text), Sound(_NAME), self._warmth)) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        self._closed = True
        await self._warmth.aclose()
        held, self._held, self._client = self._held, None, None
        if held is not None:
            await _CLIENTS.let_go(held)

    async def _pieces(self, text: str) -> AsyncGenerator[bytes, None]:
        client = await self._polly()
        try:
            answer = await self._asked(client, text)
            async with answer["AudioStream"] as body:
                if not str(answer.get("ContentType", "")).startswith(_AUDIO):
                    raise failures.unreadable(_NAME)
                while piece := await body.read(_PIECE):
                    yield piece
        except _errors() as exc:
            raise _failure(exc) from None

    async def _asked(self, client: Any, text: str) -> Any:
        """Ask for the sentence; once more if a kept connection turned out to be closed."""
        request = self._request(text)
        try:
            return await client.synthesize_speech(**request)
        except _errors() as exc:
            # A connection that cannot be opened at all fails again, as quickly.
            if type(exc).__name__ not in ("ConnectionClosedError", "EndpointConnectionError"):
                raise
        return await client.synthesize_speech(**request)

    def _request(self, text: str) -> dict[str, str]:
        found = {
            "Text": text,
            "OutputFormat": "mulaw",
            "SampleRate": "8000",
            "VoiceId": self._settings.voice or _VOICE,
            "Engine": self._settings.model or _ENGINES[0],
        }
        speed = float(self._settings.options.get("speed") or 1.0)
        if speed != 1.0:
            said = ssml.spoken(text)
            found["TextType"] = "ssml"
            found["Text"] = f"<speak><prosody rate='{speed:.0%}'>{said}</prosody></speak>"
        return found

    async def _polly(self) -> Any:
        """Return the client, which calls with the same key share. Raises ProviderError."""
        if self._client is None:
            held = self._wanted()
            await connections.sdk(_NAME, "aiobotocore.session", _EXTRA)
            client = await _CLIENTS.hold(held, lambda: _opened(*held))
            # Warming and speaking may have come here at once, or the call be over.
            if self._held is not None or self._closed:
                await _CLIENTS.let_go(held)
                return client
            self._held, self._client = held, client
        return self._client

    def _wanted(self) -> _Wanted:
        """Return what the client is made of. Raises ProviderError."""
        found = self._settings
        key = failures.key_of(_NAME, found.secrets)
        identity = str(found.options.get("aws_access_key_id") or "")
        region = str(found.options.get("region") or _REGION).lower()
        if not identity:
            # The SDK would look for the server's own credentials, and speak at the server's cost.
            raise ProviderError(_NAME, "aws_access_key_id is not set", reason="auth")
        if not re.fullmatch(r"\w{16,128}", identity, re.ASCII):
            raise ProviderError(_NAME, "aws_access_key_id is none of AWS's", reason="auth")
        if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", region):
            raise ProviderError(_NAME, "the region is none of AWS's", reason="bad_request")
        return (region, identity, key, found.base_url.rstrip("/"), found.patience_s)

    async def _connect(self) -> None:
        """Ask for the account's lexicons: a short list, mostly empty, that costs nothing."""
        with contextlib.suppress(Exception):
            await (await self._polly()).list_lexicons()


async def _opened(region: str, identity: str, key: str, base_url: str, patience_s: float) -> Any:
    config = importlib.import_module("aiobotocore.config").AioConfig(
        connect_timeout=min(patience_s, connections.CONNECT_S),
        read_timeout=patience_s,
        # We ask again ourselves, at once; the SDK would wait first.
        retries={"total_max_attempts": 1},
        max_pool_connections=connections.KEPT,
        connector_args={"keepalive_timeout": connections.IDLE_S},
        proxies={},
        ignore_configured_endpoint_urls=True,
        warm_up_loader_caches=True,
    )
    context = _session().create_client(
        "polly",
        region_name=region,
        endpoint_url=base_url or None,
        aws_access_key_id=identity,
        aws_secret_access_key=key,
        config=config,
    )
    return await context.__aenter__()


async def _shut(client: Any) -> None:
    await client.close()


@functools.cache
def _session() -> Any:
    """Return the SDK's session, which remembers the service's model: reading it takes 90 ms.

    It reads none of the server's own settings for AWS. What the SDK notes for debugging holds the
    texts that are spoken: nobody is to see that.
    """
    for name in ("botocore", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.INFO)
    nothing = (None, None, None, None)
    return importlib.import_module("aiobotocore.session").AioSession(
        {"profile": nothing, "config_file": nothing, "credentials_file": nothing}
    )


@functools.cache
def _errors() -> tuple[type[Exception], ...]:
    """Return what the SDK raises, and the HTTP client under it."""
    boto, http = map(importlib.import_module, ("botocore.exceptions", "aiohttp"))
    return (boto.BotoCoreError, boto.ClientError, http.ClientError, OSError)


def _failure(error: Exception) -> ProviderError:
    """Return ours for one of the SDK's or of the HTTP client under it."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        code = failures.code_of({"code": answer.get("Error", {}).get("Code")})
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        return failures.status_error(_NAME, _MEANT.get(code, status), code=code)
    return failures.lost(_NAME, error)


_CLIENTS: Shared[Any] = Shared(_shut)
