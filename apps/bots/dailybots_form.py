"""Writes a bot in Daily Bots' form, whichever face it came from. The way back is ``dailybots``.

``native_from(body_of(document))`` gives the same document: a property test holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.bots.dailybots import OURS, SLOTS
from apps.bots.models import TwilioConfigVersion
from apps.bots.slots import slot_flat
from apps.voice.settings import TurnSettings

# What a bot gets that was never given one; their documentation's example for Twilio.
PROFILE = "twilio_ws_voice_2024_09"
_VAD = ("confidence", "start_secs", "stop_secs", "min_volume")

Document = Mapping[str, Any]


def shown_body(version: TwilioConfigVersion) -> dict[str, Any]:
    """Return the version's body: as it was received on their face, else in their form."""
    if version.face == TwilioConfigVersion.Face.DAILYBOTS:
        return dict(version.body)
    return body_of(version.document, version.kept)


def body_of(document: Document, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document, and what its version kept of an earlier body, in their form."""
    options = kept.get("options", {})
    return {
        "bot_profile": PROFILE,
        **kept.get("members", {}),
        "name": document["name"],
        "metadata": document["metadata"],
        "max_duration": document["max_duration"],
        "services": {slot: document[slot]["provider"] for slot in SLOTS},
        "config": [
            _item("vad", _vad(document, options.get("vad", {}))),
            *(_item(slot, {**_slot(slot, document), **options.get(slot, {})}) for slot in SLOTS),
            *kept.get("slots", []),
        ],
        "webhook_tools": document["webhook_tools"],
        "botsconfig": _ours(document),
    }


def _item(service: str, options: Mapping[str, Any]) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in options.items()]
    return {"service": service, "options": listed}


def _vad(document: Document, kept: Mapping[str, Any]) -> dict[str, Any]:
    ours = {name: document["turns"][name] for name in _VAD}
    return {**kept, "params": {**kept.get("params", {}), **ours}}


def _slot(slot: str, document: Document) -> dict[str, Any]:
    found = document[slot]
    named = {name: found[name] for name in ("model", "voice", "language") if found.get(name)}
    if slot == "llm":
        named |= _mind(found)
        named["run_on_config"] = document["greeting"]["mode"] == "model"
    return {**named, **found["options"]}


def _mind(llm: Mapping[str, Any]) -> dict[str, Any]:
    prompt = {"role": "system", "content": llm["prompt"]}
    tools = [_tool(tool, llm["provider"]) for tool in llm["tools"]]
    found: dict[str, Any] = {"initial_messages": [prompt, *llm["messages"]]}
    return {**found, "tools": tools} if tools else found


def _tool(tool: Mapping[str, Any], provider: str) -> dict[str, Any]:
    """Write a tool as the provider's own API has it, which is what their form asks for."""
    if provider != "anthropic":
        return {"type": "function", "function": dict(tool)}
    written = {name: value for name, value in tool.items() if name != "parameters"}
    return {**written, "input_schema": tool["parameters"]}


def _ours(document: Document) -> dict[str, Any]:
    turns = {
        name: document["turns"][name]
        for name in document["turns"].keys() - set(_VAD)
        if hasattr(TurnSettings(), name)
    }
    recording = document.get("recording") or {}
    found = {
        "greeting": document["greeting"] if document["greeting"]["mode"] == "text" else None,
        "lines": document["lines"],
        "recording": recording if any(recording.values()) else None,
        "variables": document.get("variables"),
        "transfers": document.get("transfers"),
        "turns": turns,
        "fallbacks": {
            slot: slot_flat(document[slot])["fallbacks"]
            for slot in SLOTS
            if document[slot].get("fallbacks")
        },
    }
    return {name: found[name] for name in OURS if found[name]}
