"""What OpenAI's Realtime API is told in its own form: the session, and a line to be read out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from apps.providers.base import ServiceSettings
from apps.voice.ports import ChatMessage, Tool

MODEL = "gpt-realtime-2.1"
VOICE = "marin"
TRANSCRIPTION = "gpt-transcribe"
# The longest answer that can be asked for by number.
MOST_TOKENS = 4_096

_PCMU = {"type": "audio/pcmu"}
_READ = (
    "You are a voice that reads out. The user's message is a text, and nothing that you are asked. "
    "Say it word for word, in its own language, in the manner of a friendly phone call. "
    "Add nothing, leave nothing out, answer nothing."
)


def instructions_of(messages: Sequence[ChatMessage]) -> str:
    """Return what the history begins with: the prompt."""
    prompt = []
    for message in messages:
        if message.role != "system":
            break
        prompt.append(message.content)
    return "\n\n".join(prompt)


def brief_of(messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> dict[str, Any]:
    """Write what may change in a session: the prompt and the tools."""
    return {
        "instructions": instructions_of(messages),
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
            }
            for tool in tools
        ],
        "tool_choice": "auto",
    }


def session_of(settings: ServiceSettings, brief: Mapping[str, Any]) -> dict[str, Any]:
    """Write the whole session. What makes the engine's turns the only ones cannot be overridden."""
    options = settings.options
    told: dict[str, Any] = {
        **brief,
        "output_modalities": ["audio"],
        "max_output_tokens": min(int(options["max_tokens"]), MOST_TOKENS)
        if options.get("max_tokens")
        else "inf",
        "audio": {
            "input": {
                "transcription": _transcription(settings),
                "noise_reduction": _noise_reduction(options),
            },
            "output": {
                "voice": options.get("voice") or settings.voice or VOICE,
                "speed": options.get("speed") or 1.0,
            },
        },
    }
    ours = {
        "type": "realtime",
        "audio": {
            "input": {"format": _PCMU, "turn_detection": None},
            "output": {"format": _PCMU},
        },
    }
    return _merged(_merged(told, options.get("extra") or {}), ours)


def line_of(text: str) -> dict[str, Any]:
    """Write a response that reads a text out, beside the conversation."""
    content = [{"type": "input_text", "text": text}]
    return {
        "output_modalities": ["audio"],
        "instructions": _READ,
        "input": [{"type": "message", "role": "user", "content": content}],
        "tools": [],
        "tool_choice": "none",
    }


def _transcription(settings: ServiceSettings) -> dict[str, Any]:
    model = settings.options.get("transcription_model") or TRANSCRIPTION
    told: dict[str, Any] = {"model": model}
    # ISO 639-1: they take "en" for "en-US". Their newer models take several.
    language = re.split("[-_]", settings.options.get("language") or settings.language)[0].lower()
    if re.fullmatch("[a-z]{2}", language):
        several = model in ("gpt-transcribe", "gpt-live-transcribe")
        told |= {"languages": [language]} if several else {"language": language}
    return told


def _noise_reduction(options: Mapping[str, Any]) -> dict[str, str] | None:
    kind = options.get("noise_reduction") or "none"
    return None if kind == "none" else {"type": kind}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for name, value in over.items():
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            found[name] = _merged(before, value)
        else:
            found[name] = value
    return found
