"""The editor's fields, part by part, each with a line on what it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from apps.bots.serializers import (
    DURATION_ABOVE_S,
    DURATION_BELOW_S,
    DURATION_DEFAULT_S,
    NAME_CHARACTERS,
)
from apps.bots.slots import DEFAULT_LANGUAGE, model_default
from apps.dashboard.bots.fields import NO, YES, Field, Pairs, Widget, chosen
from apps.providers.base import Declaration, Kind, Option, Voice
from apps.voice.settings import Lines, TurnSettings

_TURNS = asdict(TurnSettings())
_LINES = asdict(Lines())

NAME = Field("name", "Name", f"For you, not for callers. Up to {NAME_CHARACTERS} characters.")
PROMPT = Field(
    "config.llm.prompt",
    "Prompt",
    "Who the bot is, what it does, and how. {{variables}} are filled in for every call.",
    widget="textarea",
    rows=18,
)
LIMITS = (
    Field(
        "max_duration",
        "Longest call (seconds)",
        "Then the bot says “time is up” and hangs up.",
        widget="number",
        minimum=DURATION_ABOVE_S + 1,
        maximum=DURATION_BELOW_S - 1,
        placeholder=str(DURATION_DEFAULT_S),
    ),
)
GREETING = (
    Field(
        "config.greeting.mode",
        "Who speaks first",
        widget="choice",
        choices=(
            ("none", "The caller: the bot waits"),
            ("text", "The bot, with the sentence below"),
            ("model", "The bot, in the model's own words"),
        ),
    ),
    Field(
        "config.greeting.text",
        "Greeting",
        "Spoken beforehand, so it comes at once. Counts only if the bot speaks it.",
        widget="textarea",
    ),
)


def _turn(name: str, label: str, help: str, least: float, most: float) -> Field:
    default = f"{_TURNS[name]:g}"
    return Field(
        f"config.turns.{name}",
        label,
        f"{help} Usually {default}.",
        widget="number",
        minimum=least,
        maximum=most,
        placeholder=default,
    )


TURNS = (
    Field(
        "config.turns.interruptible",
        "Callers may interrupt",
        "Off: the bot finishes what it says, whoever speaks.",
        widget="flag",
    ),
    _turn(
        "stop_secs",
        "Silence that ends a turn (seconds)",
        "Shorter answers sooner, but cuts in on people who think while they speak.",
        0.1,
        3,
    ),
    _turn(
        "patience_secs",
        "Silence that ends an unfinished sentence (seconds)",
        "For recognisers that hear from the words that more will come.",
        0.1,
        10,
    ),
    _turn(
        "start_secs",
        "Speech that starts a turn (seconds)",
        "Longer ignores coughs and clicks, but interrupts later.",
        0.03,
        2,
    ),
    _turn(
        "confidence",
        "Sure that it is speech (0 to 1)",
        "Higher takes less noise for speech, and misses more quiet voices.",
        0,
        1,
    ),
    _turn("min_volume", "Quietest speech (0 to 1)", "What is quieter counts as silence.", 0, 1),
    _turn(
        "idle_secs",
        "Silence before “are you still there?” (seconds)",
        "Asked once, then the bot says goodbye. 0 never asks.",
        0,
        600,
    ),
    _turn(
        "filler_secs",
        "Wait before “one moment” (seconds)",
        "While tools run. 0 says nothing.",
        0,
        10,
    ),
)


def _line(name: str, label: str, help: str) -> Field:
    return Field(
        f"config.lines.{name}", label, help, widget="textarea", placeholder=_LINES[name], rows=1
    )


# What happens when something is wrong: ``apps.voice.turns`` is the rule, these are its words.
FAILURE_LINES = (
    _line(
        "apology",
        "A provider fails once",
        "Said when a provider fails, or is silent for 2.5 s. Then the caller may try again.",
    ),
    _line(
        "failure",
        "It fails three times in a row",
        "The last words: then the call ends with the reason provider_failure.",
    ),
    _line("resume", "The line broke", "Said when the caller was brought back."),
)
OTHER_LINES = (
    _line("filler", "A tool takes long", "Asks for patience."),
    _line("idle", "Nobody speaks", "Asks whether the caller is there."),
    _line("goodbye", "Still nobody speaks", "Said before it hangs up."),
    _line("time_up", "The longest call is over", "Said before it hangs up."),
)
SILENT_FILLER = Field("config.lines.filler:silent", "Say nothing while tools run", widget="flag")
RECORDING = (
    Field(
        "config.recording.enabled",
        "Record calls",
        "Both voices, kept as long as your server keeps recordings.",
        widget="flag",
    ),
    Field(
        "config.recording.consent",
        "Notice",
        "Said before anything else in a call that is recorded, and never interrupted. In many "
        "places the law asks for it.",
        widget="textarea",
    ),
)
MORE = (
    Field(
        "config.llm.messages",
        "History that the model starts with",
        'A JSON list of {"role": "user" or "assistant", "content": "…"}, after the prompt.',
        widget="json",
        rows=4,
    ),
    Field("metadata", "Metadata", "Yours: a JSON object of up to 16 kB.", widget="json", rows=4),
)
FIXED: tuple[Field, ...] = (
    *(NAME, PROMPT, *LIMITS, *GREETING, *TURNS),
    *(*FAILURE_LINES, *OTHER_LINES, *RECORDING, *MORE),
)

# --- a slot's fields, by what its provider takes -------------------------------------------------

SLOTS: tuple[Kind, ...] = ("llm", "tts", "stt")
_WIDGETS: Mapping[str, Widget] = {
    "string": "text",
    "number": "number",
    "integer": "number",
    "boolean": "choice",
    "array": "lines",
    "object": "json",
}
_MODEL_HELP: Mapping[Kind, str] = {
    "llm": "Smaller ones answer sooner, which callers notice.",
    "tts": "",
    "stt": "",
}


def provider_field(kind: Kind, catalogue: Iterable[Mapping[str, Any]]) -> Field:
    """The choice of a slot's provider."""
    named = tuple((one["name"], _provider_label(one)) for one in catalogue if one["kind"] == kind)
    return Field(f"config.{kind}.provider", "Provider", widget="choice", choices=named)


def _provider_label(one: Mapping[str, Any]) -> str:
    if not one["available"]:
        return f"{one['title']} (not on this server)"
    return (
        f"{one['title']} (no key yet)" if one["needs_key"] and not one["has_key"] else one["title"]
    )


def slot_fields(
    kind: Kind, found: Declaration | None, slot: Mapping[str, Any]
) -> tuple[Field, ...]:
    """The fields of a slot beside its provider.

    found: the provider; None for one that this server does not know. slot: the stored one: what it
    holds that the provider does not know is shown too, so that it can go.
    """
    ours = {"provider", "prompt", "messages", "tools", "fallbacks"}
    named = () if found is None else (*_named(kind, found), *_options(kind, found))
    known = {*ours, *(field.path.rpartition(".")[2] for field in named)}
    if found is not None:
        # Empty where the provider has no choice of them.
        known |= {"model", "voice"}
    strange = (
        Field(f"config.{kind}.{name}", name, "Not known to this release: empty it to save.", "json")
        for name in slot
        if name not in known
    )
    return (*named, *strange)


def _named(kind: Kind, found: Declaration) -> Iterator[Field]:
    if found.models or found.open_models:
        known = chosen(found.models)
        yield _pick(kind, "model", _MODEL_HELP[kind], known, model_default(found))
    if kind == "tts":
        voices = tuple((voice.id, _voice_label(voice)) for voice in found.voices)
        yield _pick(kind, "voice", "", voices, next((name for name, _ in voices), ""))
    if kind != "llm":
        help = "A tag, such as en or de-CH."
        path = f"config.{kind}.language"
        yield Field(path, "Language", help, placeholder=DEFAULT_LANGUAGE)


def _voice_label(voice: Voice) -> str:
    return f"{voice.name or voice.id} ({voice.language})"


def _pick(kind: Kind, name: str, help: str, known: Pairs, default: str) -> Field:
    path = f"config.{kind}.{name}"
    return Field(path, name.capitalize(), help, known=known, placeholder=default)


def _options(kind: Kind, found: Declaration) -> Iterator[Field]:
    for option in found.options:
        choices = _choices(option)
        plain = isinstance(option.default, str | int | float)
        voices = tuple((voice.id, _voice_label(voice)) for voice in found.voices)
        yield Field(
            f"config.{kind}.{option.name}",
            option.name.replace("_", " ").capitalize(),
            option.description,
            widget="choice" if choices else _WIDGETS[option.type],
            choices=choices,
            # A model that speaks itself has its voice among its options.
            known=voices if option.name == "voice" else (),
            minimum=option.minimum,
            maximum=option.maximum,
            placeholder=str(option.default) if plain else "",
        )


def _choices(option: Option) -> Pairs:
    if option.choices:
        named = chosen(map(str, option.choices))
    elif option.type == "boolean":
        named = ((YES, "Yes"), (NO, "No"))
    else:
        return ()
    told = {"True": "yes", "False": "no"}.get(str(option.default), str(option.default))
    default = "The provider's default" if option.default is None else f"Default: {told}"
    return (("", default), *named)
