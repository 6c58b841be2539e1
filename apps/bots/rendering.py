"""What a caller would get: the exact TwiML, and the version with everything filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.bots.addresses import KeptFor, is_addressed, may_lend, withheld
from apps.bots.document import document_warnings, native_of
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.presentation import version_status
from apps.bots.selectors import model_used
from apps.bots.slots import declaration, kinds_used, slot_warning, slots_of
from apps.bots.twiml import config_twiml
from apps.bots.variables import BUILT_IN, RESERVED, filled, filling_of
from apps.providers.base import Kind


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom it is rendered. number and dialled: E.164, or empty."""

    number: str = ""
    dialled: str = ""
    variables: Mapping[str, Any] | None = None

    def given(self) -> dict[str, str]:
        """Return what the call would bring as parameters of its stream."""
        variables = {name: _text(value) for name, value in (self.variables or {}).items()}
        built_in = {"from": self.number, "to": self.dialled}
        return {**variables, **{name: value for name, value in built_in.items() if value}}


def config_render(
    config: TwilioConfig, version: TwilioConfigVersion, caller: Caller, account_keys: KeptFor
) -> dict[str, Any]:
    """Return what a call with this caller would be. Changes nothing, asks no provider.

    account_keys: providers that the account has a key for, and the keys' addresses. Raises
    telephony.twiml.TwimlError if Twilio would not carry the variables.
    """
    given = caller.given()
    filling = filling_of(version.document, given)
    document = filled(version.document, filling.values)
    providers = {kind: _chain(kind, version, account_keys) for kind in kinds_used(version.document)}
    return {
        "id": config.id,
        "version": version.number,
        "status": version_status(config, version),
        "takes_calls": version.id == config.current_id,
        "twiml": config_twiml(config, given),
        **{name: native_of(document)[name] for name in ("name", "config", "max_duration")},
        "providers": providers,
        "variables": {
            name: {"value": value, "source": filling.sources[name]}
            for name, value in filling.values.items()
        },
        "missing_variables": list(filling.missing),
        "missing_keys": sorted(
            {
                found["provider"]
                for slot in providers.values()
                for found in (slot, *slot["fallbacks"])
                if found["key"] == "missing"
            }
        ),
        "warnings": [
            *_warnings(version, given, filling.refused),
            *withheld(version.document, version.secrets.get("api_keys", {}), account_keys),
        ],
    }


def variables_check(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Complain about names that are no variables, by name."""
    return {
        name: ["This parameter is ours."]
        for name in given
        if name in RESERVED or (name in BUILT_IN and name != "call_sid")
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _chain(kind: Kind, version: TwilioConfigVersion, account_keys: KeptFor) -> dict[str, Any]:
    own = version.secrets.get("api_keys", {})
    first, *rest = (
        _provider(kind, slot, _key(kind, slot, own, account_keys))
        for slot in slots_of(version.document, kind)
    )
    return {**first, "fallbacks": rest}


def _provider(kind: Kind, slot: Mapping[str, Any], key: str) -> dict[str, Any]:
    name = slot["provider"]
    missing = slot_warning(kind, name)
    return {
        "provider": name,
        "model": model_used(name, slot["model"]),
        "configured_model": slot["model"],
        "key": key,
        "available": not missing,
        "missing": missing,
    }


def _key(kind: Kind, slot: Mapping[str, Any], own: Mapping[str, str], account_keys: KeptFor) -> str:
    """Where the key comes from: the config, the account, or nowhere though one is needed."""
    name = slot["provider"]
    if own.get(name):
        return "config"
    if name in account_keys and (
        not is_addressed(kind, name) or may_lend(slot, account_keys[name])
    ):
        return "account"
    found = declaration(kind, name)
    needed = found is not None and found.needs_key and not found.key_optional
    return "missing" if needed else "not needed"


def _warnings(
    version: TwilioConfigVersion, given: Mapping[str, str], refused: tuple[str, ...]
) -> Iterator[str]:
    yield from document_warnings(version.document)
    declared = version.document.get("variables") or {}
    for name in refused:
        yield f"variables.{name}: Not of the type {declared[name]['type']}; the default counts."
