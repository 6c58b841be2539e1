"""Bots that have everything, and browsers that send back what a page holds."""

from __future__ import annotations

from typing import Any

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import catalogue_present
from apps.bots.services import config_create
from apps.dashboard.bots import parts
from apps.dashboard.bots.form import BotForm
from apps.dashboard.bots.saving import stored_of

SECRET = "Bearer hotel-secret"
VENDOR_KEY = "sk-vendor-key-of-the-bot"

FULL: dict[str, Any] = {
    "name": "Front desk",
    "max_duration": 900,
    "metadata": {"team": "ops", "nothing": None, "deep": {"levels": [1, {"two": None}]}},
    "config": {
        "llm": {
            "provider": "openai",
            "model": "gpt-5.4-mini",
            "prompt": "\nYou are {{hotel}}'s front desk.\n\nBe brief.",
            "messages": [{"role": "user", "content": "Hello?"}],
            "temperature": 0.3,
            "fallbacks": [
                {"provider": "anthropic", "model": "claude-haiku-4-5", "temperature": 0.5},
                {"provider": "groq"},
            ],
            "extra": {"service_tier": "priority"},
            "tools": [
                {"name": "end_call"},
                {
                    "name": "book",
                    "description": "Books a room.",
                    "parameters": {
                        "type": "object",
                        "properties": {"day": {"type": "string", "default": None}},
                    },
                },
                {"name": "look_up"},
            ],
        },
        "tts": {"provider": "scripted", "character_ms": 50},
        "stt": {"provider": "deepgram", "keyterms": ["Ritz", "suite"], "smart_format": True},
        "turns": {"stop_secs": 0.5, "interruptible": False},
        "greeting": {"mode": "text", "text": "Welcome to {{hotel}}."},
        "lines": {"filler": "", "apology": "Pardon?"},
        "recording": {"enabled": True, "consent": "This call is recorded."},
        "variables": {
            "hotel": {"default": "the Ritz", "description": "Its name"},
            "rooms": {"type": "number", "default": 5},
            "open": {"type": "boolean", "default": True},
            "guest": {},
        },
        "transfers": {"desk": {"to": "+4930123456", "description": "A human", "mode": "warm"}},
    },
    "webhook_tools": {
        "book": {
            "url": "https://hotel.example/book",
            "custom_headers": {"Authorization": SECRET, "X-Hotel": "Ritz of old"},
            "timeout_secs": 4,
        },
        "look_up": {"url": "https://hotel.example/look", "method": "GET", "filler": "Let me see."},
    },
    "api_keys": {"openai": VENDOR_KEY},
}


@pytest.fixture
def full(account: Account) -> TwilioConfig:
    """A bot of ours with everything that a bot can have."""
    return config_create(account=account, draft=draft_read(FULL), actor=Actor())


def version_of(config: TwilioConfig) -> TwilioConfigVersion:
    """The latest version."""
    found: TwilioConfigVersion = TwilioConfigVersion.objects.filter(config=config).latest("number")
    return found


def form_of(config: TwilioConfig, data: dict[str, str] | None = None) -> BotForm:
    return BotForm(stored_of(version_of(config)), catalogue_present(), data)


def sent_by(form: BotForm) -> dict[str, str]:
    """What a browser sends when it is given this form and nobody touches it."""
    fields = [*parts.FIXED, parts.SILENT_FILLER]
    for kind in parts.SLOTS:
        fields += [parts.provider_field(kind, form.catalogue), *form.slot(kind)]
    shown = form.shown(*fields)
    chained = [row for chain in form.chains.values() for row in chain.rows]
    named = [row for rows in form.sorts.values() for row in rows]
    for row in [*form.tools.rows, *named, *chained]:
        shown += row.shown(form.complaints)
    found = {
        # Browsers end lines as networks do.
        one.field.path: one.text.replace("\n", "\r\n")
        for one in shown
        if one.field.widget != "flag" or one.is_on
    }
    for row, headers in form.tools.with_headers():
        found[row.control("was")] = row.was
        for header in headers:
            control = row.control(f"header-{header.number}")
            found |= {f"{control}-name": header.name, f"{control}-value": ""}
            found |= {f"{control}-stored": "true"}
    return found | {row.control("was"): row.was for row in [*named, *chained]}
