"""What Twilio's own voice says for a bot that cannot: the bot's words, in the bot's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.voice.settings import Lines

ENGLISH = "en-US"
# Twilio's name of a language that a bot names in short. Source: the languages of <Say>.
_NAMES: Mapping[str, str] = {
    "da": "da-DK",
    "de": "de-DE",
    "en": ENGLISH,
    "es": "es-ES",
    "fi": "fi-FI",
    "fr": "fr-FR",
    "it": "it-IT",
    "ja": "ja-JP",
    "ko": "ko-KR",
    "nb": "nb-NO",
    "nl": "nl-NL",
    "pl": "pl-PL",
    "pt": "pt-PT",
    "ru": "ru-RU",
    "sv": "sv-SE",
    "zh": "zh-CN",
}


def language_of(document: Mapping[str, Any]) -> str:
    """Return the language of a bot's voice as ``<Say>`` knows it; empty if it is not known here."""
    named = str((document.get("tts") or {}).get("language") or "en")
    return named if len(named) == 5 else _NAMES.get(named[:2].lower(), "")


def apology_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return how a bot says that it cannot go on, and the language of that.

    English words of ours, where it has none of its own or nobody knows what they are spoken in.
    """
    text = " ".join((document.get("lines") or {}).get("failure", "").split())
    language = language_of(document)
    if text and text.isprintable() and language:
        return text, language
    return Lines().failure, ENGLISH
