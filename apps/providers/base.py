"""How a provider declares itself: one declaration validates, documents and builds it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

Kind = Literal["stt", "llm", "tts"]
# What a vendor counts: tokens, characters, seconds of the stream, or seconds of speech.
Billing = Literal["tokens", "characters", "stream", "speech", "nothing"]
KINDS: tuple[Kind, ...] = ("stt", "llm", "tts")

OptionType = Literal["string", "number", "integer", "boolean", "array", "object"]


class OptionError(ValueError):
    """A value does not fit its option; the message says what would."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a provider, by the vendor-neutral name that configs use.

    numeric: a text that may come as a number, for a pace of "slow" or of 0.8.
    """

    name: str
    type: OptionType
    description: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    numeric: bool = False

    def schema(self) -> dict[str, Any]:
        """Return the option as JSON Schema."""
        type_ = [self.type, "number"] if self.numeric else self.type
        found: dict[str, Any] = {"type": type_, "description": self.description}
        if self.type == "array":
            found["items"] = {"type": "string"}
        if self.default is not None:
            found["default"] = self.default
        if self.minimum is not None:
            found["minimum"] = self.minimum
        if self.maximum is not None:
            found["maximum"] = self.maximum
        if self.choices:
            found["enum"] = list(self.choices)
        return found

    def clean(self, value: Any) -> Any:
        """Return ``value`` in the option's type. Numbers may come as strings.

        Raises OptionError saying what would be valid.
        """
        if self.numeric and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        cleaned: Any = _CLEANERS[self.type](value)
        if cleaned is None:
            raise OptionError(f"Not valid: {self.expects()}.")
        if self.choices and cleaned not in self.choices:
            raise OptionError(f"Not valid: {self.expects()}.")
        if self.minimum is not None and cleaned < self.minimum:
            raise OptionError(f"Too small: {self.expects()}.")
        if self.maximum is not None and cleaned > self.maximum:
            raise OptionError(f"Too large: {self.expects()}.")
        return cleaned

    def expects(self) -> str:
        """Say in words what is valid."""
        if self.choices:
            return "one of " + ", ".join(map(str, self.choices))
        noun = {"array": "a list of texts", "object": "an object", "integer": "a whole number"}.get(
            self.type, f"a {self.type}"
        )
        if self.minimum is not None and self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{noun} of at least {self.minimum:g}"
        return noun


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        return None
    return value


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _texts(value: Any) -> list[str] | None:
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    return None


_CLEANERS: Mapping[str, Callable[[Any], Any]] = {
    "string": lambda value: value if isinstance(value, str) else None,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "array": _texts,
    "object": lambda value: value if isinstance(value, dict) else None,
}


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a text-to-speech provider."""

    id: str
    name: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything that is known of one provider in one slot.

    open_models / open_voices: the vendor's list is longer than ours; unknown names pass through.
    default_model: what a config that names none gets, where that is not the first of a closed list.
    modules: what must be importable. extra: the package extra that brings it.
    environment: names of variables that the operator must have set.
    factory: ``module:Class``, built with ``ServiceSettings``; empty where no adapter exists yet.
    warm_up: ``module:coroutine`` that loads what all calls share, at the server's start.
    test_only: exists only when test providers are enabled.
    needs_key: a stored key goes to it. key_optional: without one it is asked all the same.
    closed: for a vendor that has shut its service: what to use instead, as a sentence.
    speaks: a language model that hears and speaks itself; its calls need no other ears and voice.
    billing: what its bill counts. base_url: the vendor's origin. source: the documentation that
    this was written from, with its date. limits: what it cannot do here, a sentence each.
    """

    kind: Kind
    name: str
    title: str
    description: str
    models: tuple[str, ...] = ()
    open_models: bool = False
    default_model: str = ""
    voices: tuple[Voice, ...] = ()
    open_voices: bool = False
    options: tuple[Option, ...] = ()
    needs_key: bool = False
    key_optional: bool = False
    extra: str = ""
    modules: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    factory: str = ""
    warm_up: str = ""
    test_only: bool = False
    closed: str = ""
    speaks: bool = False
    billing: Billing = "nothing"
    base_url: str = ""
    source: str = ""
    limits: tuple[str, ...] = ()

    def missing(self) -> str:
        """Say what keeps this provider from taking calls on this server; empty if nothing does."""
        if self.closed:
            return self.closed
        if not self.factory:
            return f"This release has no adapter for {self.title}."
        absent = [module for module in self.modules if not _is_there(module)]
        if absent:
            return f"{', '.join(absent)} is not installed: pip install 'botsconfig[{self.extra}]'."
        unset = [name for name in self.environment if not os.environ.get(name)]
        return f"{', '.join(unset)} is not set on this server." if unset else ""

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)

    def build(self, settings: ServiceSettings) -> Any:
        """Build the provider for one call. Imports its module on first use."""
        module, _, attribute = self.factory.partition(":")
        return getattr(importlib.import_module(module), attribute)(settings)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it would stand in
        return False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One slot of one config version, checked: what a provider is built from.

    options hold only declared names, in their declared types. secrets (``api_key``) never leave
    the process but to the vendor. base_url: where the operator wants the vendor reached instead of
    its own address; empty for that. patience_s: how long a vendor may be silent.
    """

    provider: str
    model: str = ""
    voice: str = ""
    language: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    base_url: str = ""
    patience_s: float = 10.0

    def url(self, own: str) -> str:
        """Return the origin to ask: the operator's, else the vendor's ``own``. No slash at its
        end."""
        return (self.base_url or own).rstrip("/")
