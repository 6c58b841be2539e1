"""System checks: what is wrong with the environment, by stable ids, in the operator's words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from apps.core.limits import limit_read
from apps.providers import guard, prices, registry

NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)
# What uvicorn can speak WebSocket with; without one it answers every stream with a 404.
WEBSOCKET_LIBRARY = "websockets"


@register(Tags.security)
def secret_key_is_set(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    try:
        present = bool(settings.SECRET_KEY)
    except ImproperlyConfigured:
        present = False
    if present:
        return []
    return [
        Error(
            "SECRET_KEY is missing.",
            hint="Set it to 50 random characters; sessions are signed with it.",
            id="botsconfig.E001",
        )
    ]


@register(Tags.security)
def encryption_keys_work(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if not settings.ENCRYPTION_KEYS:
        return [
            Error(
                "ENCRYPTION_KEYS is missing: stream tokens and vendor keys cannot be stored.",
                hint=f"Make one: {NEW_KEY}",
                id="botsconfig.E002",
            )
        ]
    broken = [n for n, key in enumerate(settings.ENCRYPTION_KEYS, 1) if not _is_fernet_key(key)]
    return [
        Error(
            f"ENCRYPTION_KEYS: key {number} of {len(settings.ENCRYPTION_KEYS)} is not a key.",
            hint=f"Each is 32 bytes in URL-safe base64, separated by commas. Make one: {NEW_KEY}",
            id="botsconfig.E003",
        )
        for number in broken
    ]


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(Tags.urls)
def public_url_reaches_us(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    url = urlsplit(settings.PUBLIC_URL)
    if f"{url.scheme}://{url.netloc}" != settings.PUBLIC_URL or not _is_http(settings.PUBLIC_URL):
        return [
            Error(
                "PUBLIC_URL is not an origin.",
                hint="The scheme and host that Twilio reaches: https://voice.example.com",
                id="botsconfig.E004",
            )
        ]
    if url.scheme != "https" and not settings.DEBUG:
        return [
            Error(
                "PUBLIC_URL is not https: Twilio opens media streams over wss only.",
                hint="Put TLS in front and name its origin, or set DEBUG=1 to try things out.",
                id="botsconfig.E005",
            )
        ]
    return []


@register(Tags.urls)
def twilio_reaches_public_url(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if "_" in host:
        return [
            Error(
                "PUBLIC_URL's host has an underscore: Twilio sends no callbacks there.",
                hint="Give the server a name of letters, digits and hyphens.",
                id="botsconfig.E013",
            )
        ]
    if _is_private(host) and not settings.DEBUG:
        return [
            Warning(
                "PUBLIC_URL leads to this machine or its own network: Twilio does not reach it.",
                hint="Name the address that the internet knows, or a tunnel's. With the simulator, "
                "this is fine.",
                id="botsconfig.W003",
            )
        ]
    return []


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost", ".lan"))


@register(Tags.urls)
def provider_api_urls_are_origins(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    known = {declaration.name for declaration in registry.catalogue(test_providers=True)}
    return [
        Error(
            f"PROVIDER_API_URLS: {name} is not a provider with an http(s) URL.",
            hint='A JSON object: {"openai": "https://proxy.example.com"}',
            id="botsconfig.E008",
        )
        for name, value in settings.PROVIDER_API_URLS.items()
        if name not in known or not _is_http(value)
    ]


@register(Tags.security)
def private_addresses_are_networks(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    text = os.environ.get(guard.ALLOWED, "")
    try:
        guard.networks_read(text)
    except ValueError as exc:
        return [
            Error(
                f"{guard.ALLOWED}: {exc}; no private address is allowed.",
                hint="Addresses and networks, separated by commas: 127.0.0.1, 10.2.0.0/16; or all.",
                id="botsconfig.E009",
            )
        ]
    if text.strip().lower() == "all" and not settings.DEBUG:
        return [
            Warning(
                f"{guard.ALLOWED} is all: whoever may change a bot reaches this server's network.",
                hint="Name the networks where tools are answered.",
                id="botsconfig.W002",
            )
        ]
    return []


def _is_http(value: str) -> bool:
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and not url.query


@register()
def websocket_library_is_there(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if find_spec(WEBSOCKET_LIBRARY) is not None:
        return []
    return [
        Error(
            f"The package {WEBSOCKET_LIBRARY} is missing: no call can open its media stream.",
            hint="Install from the lock: make install",
            id="botsconfig.E006",
        )
    ]


@register()
def limits_are_limits(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    return [
        Error(
            f"{name} is no limit.",
            hint="So many in a unit: 600/minute (second, minute, hour or day); 0 for none.",
            id="botsconfig.E007",
        )
        for name in ("RATE_LIMIT", "AUTH_FAILURE_LIMIT")
        if not _is_limit(getattr(settings, name))
    ]


def _is_limit(text: str) -> bool:
    try:
        limit_read(text)
    except ValueError:
        return False
    return True


@register()
def prices_are_prices(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    return [
        Error(
            f"PRICES: {complaint}",
            hint='A JSON object: {"llm/openai/gpt-5-mini": {"prompt": 0.25, "completion": 2}}',
            id="botsconfig.E010",
        )
        for complaint in prices.complaints(settings.PRICES)
    ]


@register()
def recordings_have_a_place(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if settings.RECORDINGS_STORAGE not in ("files", "s3"):
        hint = "files or s3; see docs/recording.md."
        return [Error("RECORDINGS_STORAGE is no storage.", hint=hint, id="botsconfig.E011")]
    if settings.RECORDINGS_STORAGE == "files":
        return []
    lacking = [] if settings.RECORDINGS_S3_BUCKET else ["RECORDINGS_S3_BUCKET is missing."]
    lacking += [
        f"The package {package} is missing: recordings cannot go to S3."
        for package in ("storages", "boto3")
        if find_spec(package) is None
    ]
    return [
        Error(text, hint="make extra-s3; see docs/recording.md.", id="botsconfig.E012")
        for text in lacking
    ]


@register(Tags.security, deploy=True)
def test_providers_are_off(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if not settings.ENABLE_TEST_PROVIDERS:
        return []
    return [
        Warning(
            "ENABLE_TEST_PROVIDERS is on: configs may name scripted providers.",
            hint="They are for benchmarks and fault drills; unset it in production.",
            id="botsconfig.W001",
        )
    ]
