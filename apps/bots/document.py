"""The normalised document of a config version, and its way from and to a request's body.

A body is native or Daily Bots'; both become one document, which is what the gateway reads:

``{"name", "metadata", "llm": {"provider", "model", "prompt", "messages", "tools", "options"},
"tts": {"provider", "model", "voice", "language", "options"}, "stt": {"provider", "model",
"language", "options"}, "turns", "greeting": {"mode", "text"}, "lines", "recording": {"enabled",
"consent"}, "variables": {name: {"type", "default", "description"}}, "transfers": {name: {"to",
"description", "mode"}}, "webhook_tools", "max_duration"}``. A slot may have ``fallbacks``: slots
that take over if it fails. Members that came later are missing from older documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from rest_framework import serializers

from apps.bots import dailybots
from apps.bots.models import TwilioConfigVersion
from apps.bots.serializers import TwilioConfigBodySerializer
from apps.bots.slots import kinds_used, slot_flat, slot_warnings, slots_of
from apps.bots.tools import tool_warnings
from apps.bots.variables import BUILT_IN, used_in
from apps.core.errors import fields_flatten
from apps.providers.base import Kind

Document = dict[str, Any]
Body = Mapping[str, Any]

_SLOTS: tuple[Kind, ...] = ("llm", "tts", "stt")


@dataclass(frozen=True)
class Draft:
    """A checked body that is not stored yet.

    body: as received, without the secrets. kept: what a Daily Bots body said that the document has
    no word for. api_keys and tool_headers: None where nothing was said of them. notes: what was
    accepted but will not be used.
    """

    face: str
    document: Document
    body: Body = field(repr=False)
    kept: Body = field(default_factory=dict, repr=False)
    api_keys: Mapping[str, str] | None = field(default=None, repr=False)
    tool_headers: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def draft_read(
    body: Any,
    before: TwilioConfigVersion | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Draft:
    """Check a body of either form. before: the version that it replaces. defaults: the account's.

    Raises serializers.ValidationError, by path in that body.
    """
    if not isinstance(body, Mapping):
        raise serializers.ValidationError(["The body must be a JSON object."])
    if dailybots.is_dailybots(body):
        return _dailybots_read(body, before)
    draft = _draft(TwilioConfigVersion.Face.NATIVE, body, _completed(body, defaults or {}))
    return replace(draft, kept=_still_kept(draft.document, before)) if before else draft


def _completed(body: Body, defaults: Mapping[str, Any]) -> Body:
    """Give each slot that names no provider the account's; what the slot says stands over it."""
    config = body.get("config")
    if not isinstance(config, Mapping) or not defaults:
        return body
    completed = dict(config)
    for slot, default in defaults.items():
        given = config.get(slot, {})
        if isinstance(given, Mapping) and "provider" not in given:
            completed[slot] = {**default, **given}
    return {**body, "config": completed}


def defaults_check(defaults: Any) -> None:
    """Check an account's defaults. Raises serializers.ValidationError, by path."""
    if not isinstance(defaults, Mapping) or not defaults.keys() <= set(_SLOTS):
        raise serializers.ValidationError([f"An object with {', '.join(_SLOTS)}."])
    for slot, default in defaults.items():
        if not isinstance(default, Mapping) or not default.get("provider"):
            raise serializers.ValidationError({slot: {"provider": ["Name a provider."]}})
        if prompts := sorted({"prompt", "messages", "tools"} & default.keys()):
            raise serializers.ValidationError({slot: {prompts[0]: ["Every bot has its own."]}})
    form = TwilioConfigBodySerializer(
        data={"config": {**defaults, "llm": {**defaults.get("llm", {}), "prompt": "Default."}}}
    )
    if not form.is_valid():
        raise serializers.ValidationError(form.errors["config"])


def _dailybots_read(body: Body, before: TwilioConfigVersion | None) -> Draft:
    native, kept = dailybots.native_from(body, before.document if before else None)
    try:
        draft = _draft(TwilioConfigVersion.Face.DAILYBOTS, body, native)
    except serializers.ValidationError as exc:
        fields = fields_flatten(exc.detail)
        raise serializers.ValidationError(
            {dailybots.path_of(path, body): texts for path, texts in fields.items()}
        ) from None
    return replace(draft, kept=kept.stored(), notes=tuple(kept.notes))


def _still_kept(document: Document, before: TwilioConfigVersion) -> dict[str, Any]:
    """What stays of an earlier Daily Bots body; options of a provider go with the provider."""
    kept = _kept_of(before)
    options = {
        slot: found
        for slot, found in kept.get("options", {}).items()
        if slot not in _SLOTS or document[slot]["provider"] == before.document[slot]["provider"]
    }
    return {**kept, **({"options": options} if "options" in kept else {})}


def _kept_of(version: TwilioConfigVersion) -> dict[str, Any]:
    """Return what a version keeps. One of their form has it in its body, even one from before
    anything was kept beside it."""
    kept: dict[str, Any] = version.kept
    if kept or version.face != TwilioConfigVersion.Face.DAILYBOTS:
        return kept
    try:
        return dailybots.native_from(version.body)[1].stored()
    except serializers.ValidationError:
        return kept


def _draft(face: str, body: Body, native: Body) -> Draft:
    form = TwilioConfigBodySerializer(data=native)
    form.is_valid(raise_exception=True)
    checked = form.validated_data
    headers = {name: tool.get("custom_headers") for name, tool in checked["webhook_tools"].items()}
    return Draft(
        face=str(face),
        document=_document(checked),
        body=_without_secrets(body),
        api_keys=checked.get("api_keys"),
        tool_headers=headers,
    )


def _document(checked: Body) -> Document:
    config = checked["config"]
    return {
        "name": checked["name"],
        "metadata": checked["metadata"],
        "llm": dict(config["llm"]),
        "tts": dict(config["tts"]),
        "stt": dict(config["stt"]),
        "turns": dict(config["turns"]),
        "greeting": dict(config["greeting"]),
        "lines": dict(config["lines"]),
        "recording": dict(config["recording"]),
        "variables": {name: dict(found) for name, found in config["variables"].items()},
        "transfers": {name: dict(found) for name, found in config["transfers"].items()},
        "webhook_tools": {
            name: {key: value for key, value in tool.items() if key != "custom_headers"}
            for name, tool in checked["webhook_tools"].items()
        },
        "max_duration": checked["max_duration"],
    }


def _without_secrets(body: Body) -> Body:
    kept = {name: value for name, value in body.items() if name != "api_keys"}
    tools = kept.get("webhook_tools")
    if isinstance(tools, Mapping):
        kept["webhook_tools"] = {
            name: {key: value for key, value in tool.items() if key != "custom_headers"}
            for name, tool in tools.items()
        }
    return kept


def native_of(document: Document) -> dict[str, Any]:
    """Return the document in the native form: options flat beside provider and model."""
    config = {str(slot): slot_flat(document[slot]) for slot in _SLOTS}
    if not document["llm"]["messages"]:
        del config["llm"]["messages"]
    config |= {name: dict(document[name]) for name in ("turns", "greeting", "lines")}
    for name in ("recording", "variables", "transfers"):
        if document.get(name):
            config[name] = dict(document[name])
    return {
        "name": document["name"],
        "config": config,
        "max_duration": document["max_duration"],
        "metadata": document["metadata"],
        "webhook_tools": document["webhook_tools"],
    }


def native_patch(version: TwilioConfigVersion, patch: Any) -> dict[str, Any]:
    """Merge ``patch`` over the version's native form after RFC 7396, secrets included.

    A slot whose provider changes starts afresh, for its model, voice and options were the old
    provider's; prompt, messages, tools, language and fallbacks stay. Raises
    serializers.ValidationError.
    """
    if not isinstance(patch, Mapping):
        raise serializers.ValidationError(["The body must be a JSON object."])
    base = deepcopy(native_of(version.document))
    base["api_keys"] = dict(version.secrets.get("api_keys", {}))
    for name, headers in version.secrets.get("tool_headers", {}).items():
        if name in base["webhook_tools"]:
            base["webhook_tools"][name]["custom_headers"] = headers
    config = patch.get("config")
    if isinstance(config, Mapping):
        for slot in _SLOTS:
            _make_way(base["config"][slot], config.get(slot))
    merged: dict[str, Any] = merge(base, patch)
    _headers_stay_home(base, merged, patch)
    return merged


def _headers_stay_home(base: Body, merged: Body, patch: Body) -> None:
    """What was meant for one address is not sent to another: a new URL has no old headers."""
    tools = merged.get("webhook_tools")
    patched = patch.get("webhook_tools")
    if not isinstance(tools, Mapping) or not isinstance(patched, Mapping):
        return
    for name, tool in tools.items():
        old = base["webhook_tools"].get(name)
        given = patched.get(name)
        if old is None or not isinstance(tool, dict) or not isinstance(given, Mapping):
            continue
        if tool.get("url") != old["url"]:
            tool.pop("custom_headers", None)
            if isinstance(headers := given.get("custom_headers"), Mapping):
                tool["custom_headers"] = merge({}, headers)


_STAYS = {"provider", "prompt", "messages", "tools", "language", "fallbacks"}


def _make_way(slot: dict[str, Any], patch: Any) -> None:
    if not isinstance(patch, Mapping):
        return
    if patch.get("provider", slot["provider"]) != slot["provider"]:
        for name in set(slot) - _STAYS:
            del slot[name]
    messages = patch.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, Mapping) and first.get("role") == "system":
        slot.pop("prompt", None)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def document_warnings(document: Document) -> Iterator[str]:
    """Say what keeps the bot from taking calls on this server, and what may surprise."""
    for slot in kinds_used(document):
        for place, found in enumerate(slots_of(document, slot)):
            path = f"config.{slot}.fallbacks.{place - 1}" if place else f"config.{slot}"
            for member, warning in slot_warnings(slot, found):
                yield f"{path}.{member}: {warning}"
    yield from tool_warnings(document)
    undeclared = used_in(document) - {*(document.get("variables") or {}), *BUILT_IN}
    if undeclared:
        names = ", ".join(sorted(undeclared))
        yield f"config.variables: Used but not declared, so calls have to bring them: {names}."
