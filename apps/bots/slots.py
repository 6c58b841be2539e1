"""Checks one slot of a config (ears, mind or voice) against its provider's declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from django.conf import settings

from apps.providers import registry
from apps.providers.base import KINDS, Declaration, Kind, OptionError

DEFAULT_PROVIDER = "local"
DEFAULT_LANGUAGE = "en"


class SlotError(ValueError):
    """A slot is not valid. fields: complaints by member."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        super().__init__("A slot is not valid.")
        self.fields = dict(fields)


def declaration(kind: Kind, name: str) -> Declaration | None:
    """Return the provider, or None if no config of this server may name it."""
    return registry.find(kind, name, test_providers=settings.ENABLE_TEST_PROVIDERS)


def kinds_used(document: Mapping[str, Any]) -> tuple[Kind, ...]:
    """Return the slots that a call is made of: a model that speaks itself needs no other."""
    return ("llm",) if _speaks("llm", document["llm"]) else KINDS


def slots_of(document: Mapping[str, Any], kind: Kind) -> tuple[Mapping[str, Any], ...]:
    """Return a slot, then whoever takes over if it fails, in order."""
    slot = document[kind]
    return (slot, *(slot.get("fallbacks") or ()))


def slot_read(kind: Kind, values: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Check a slot and fill in its defaults.

    values: the members every provider of the kind has (provider, model, language, voice). options:
    everything else that was given. Returns the document's slot. Raises SlotError.
    """
    found = declaration(kind, values["provider"])
    if found is None:
        valid = ", ".join(registry.names(kind, test_providers=settings.ENABLE_TEST_PROVIDERS))
        raise SlotError({"provider": [f"Unknown provider. Valid: {valid}."]})
    wrong: dict[str, list[str]] = {}
    slot: dict[str, Any] = {"provider": found.name, "model": _model(found, values, wrong)}
    if kind == "tts":
        slot["voice"] = _voice(found, values, wrong)
    if kind != "llm":
        slot["language"] = values.get("language") or _language(found, slot.get("voice", ""))
    slot["options"] = _options(found, options, wrong)
    if wrong:
        raise SlotError(wrong)
    return slot


def slot_flat(slot: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's slot in the native form: options flat beside provider and model."""
    members = {name: value for name, value in slot.items() if name not in ("options", "fallbacks")}
    flat = {**members, **slot["options"]}
    if slot.get("fallbacks"):
        flat["fallbacks"] = [slot_flat(found) for found in slot["fallbacks"]]
    return flat


def fallbacks_complain(
    kind: Kind, slot: Mapping[str, Any], fallbacks: Sequence[Mapping[str, Any]]
) -> list[str] | dict[int, Any]:
    """Say what is wrong with those who are to take over for a slot: of all, or by their place."""
    if fallbacks and _speaks(kind, slot):
        return [f"{slot['provider']} hears and speaks itself: nobody can take over for it."]
    wrong: dict[int, Any] = {}
    seen = {(slot["provider"], slot["model"])}
    for place, found in enumerate(fallbacks):
        named = (found["provider"], found["model"])
        if _speaks(kind, found):
            wrong[place] = {"provider": ["It hears and speaks itself: it cannot take over."]}
        elif named in seen:
            member = "model" if found["model"] else "provider"
            wrong[place] = {member: ["It stands before in this chain: it would fail again."]}
        seen.add(named)
    return wrong


def _speaks(kind: Kind, slot: Mapping[str, Any]) -> bool:
    found = declaration(kind, slot["provider"])
    return found is not None and found.speaks


def model_default(found: Declaration) -> str:
    """Return the model of a slot that names none; empty where that is the vendor's to say."""
    return found.default_model or ("" if found.open_models else next(iter(found.models), ""))


def _model(found: Declaration, values: Mapping[str, Any], wrong: dict[str, list[str]]) -> str:
    model = str(values.get("model") or model_default(found))
    if model and model not in found.models and not found.open_models:
        wrong["model"] = [f"Unknown model of {found.name}. Valid: {', '.join(found.models)}."]
    return model


def _voice(found: Declaration, values: Mapping[str, Any], wrong: dict[str, list[str]]) -> str:
    known = [voice.id for voice in found.voices]
    voice = str(values.get("voice") or next(iter(known), ""))
    if voice and voice not in known and not found.open_voices:
        wrong["voice"] = [f"Unknown voice of {found.name}. Valid: {', '.join(known)}."]
    return voice


def _language(found: Declaration, voice: str) -> str:
    languages = {known.id: known.language for known in found.voices}
    return languages.get(voice, DEFAULT_LANGUAGE)


def _options(
    found: Declaration, given: Mapping[str, Any], wrong: dict[str, list[str]]
) -> dict[str, Any]:
    # Defaults are written out: a version means the same after a release that changes them.
    cleaned = {known.name: known.default for known in found.options if known.default is not None}
    for name, value in given.items():
        option = found.option(name)
        if option is None:
            valid = ", ".join(known.name for known in found.options) or "none"
            wrong[name] = [f"Unknown option of {found.name}. Valid: {valid}."]
            continue
        try:
            cleaned[name] = option.clean(value)
        except OptionError as exc:
            wrong[name] = [str(exc)]
    return cleaned


def slot_warning(kind: Kind, provider: str) -> str:
    """Say what keeps a stored slot from taking calls on this server; empty if nothing does."""
    found = declaration(kind, provider)
    return f"This server has no {provider}." if found is None else _missing(kind, provider)


def slot_warnings(kind: Kind, slot: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say what keeps a stored slot from taking calls here, and what it names that nobody knows.

    Pairs of a member and a sentence.
    """
    if warning := slot_warning(kind, slot["provider"]):
        yield "provider", warning
    found = declaration(kind, slot["provider"])
    if found is None:
        return
    model, voice = slot["model"], slot.get("voice", "")
    if model and found.models and model not in found.models:
        yield "model", f"{model} is not known to this release; it is passed on to {found.title}."
    if voice and found.voices and voice not in [known.id for known in found.voices]:
        yield "voice", f"{voice} is not known to this release; it is passed on to {found.title}."


@cache
def _missing(kind: Kind, provider: str) -> str:
    # Looks for modules on disk; a list of two hundred bots would do so six hundred times.
    return registry.PROVIDERS[kind, provider].missing()
