"""From a config version's document to what a conversation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from apps.bots.selectors import Admission
from apps.bots.slots import kinds_used
from apps.calls.admission import Past
from apps.providers import registry
from apps.providers.base import Kind
from apps.voice.ports import ChatMessage, LanguageModel, TextToSpeech, Tool, Transcriber
from apps.voice.settings import ConversationSettings, Lines, TurnSettings

# Whoever was brought back is not sent away at once.
SHORTEST_S = 15.0


@dataclass(frozen=True, slots=True)
class Providers:
    """One call's own ears, mind and voice."""

    ears: Transcriber
    mind: LanguageModel
    voice: TextToSpeech

    def each(self) -> tuple[Transcriber | LanguageModel | TextToSpeech, ...]:
        """Return the three, in the order in which they are let go."""
        return (self.ears, self.mind, self.voice)


class ProviderMissing(Exception):
    """A slot names a provider that this server cannot run. The text says which, and why."""


def is_recorded(document: Mapping[str, Any], asked: bool | None) -> bool:
    """Say whether a call is to be recorded. asked: by whoever dialled it; None: as the bot says."""
    return bool((document.get("recording") or {}).get("enabled")) if asked is None else asked


def settings_of(document: Mapping[str, Any], *, recorded: bool = False) -> ConversationSettings:
    """Read a document's conversation half. recorded: the caller has to be told, if it has words."""
    model = document["llm"]
    greeting = document["greeting"]
    return ConversationSettings(
        messages=(
            ChatMessage("system", model["prompt"]),
            *(ChatMessage(said["role"], said["content"]) for said in model["messages"]),
        ),
        tools=tuple(
            Tool(found["name"], found.get("description", ""), found.get("parameters") or {})
            for found in model["tools"]
        ),
        speaks_first=greeting["mode"] == "model",
        lines=_lines(document, recorded),
        turns=TurnSettings(**_known(TurnSettings, document["turns"])),
        max_duration_s=float(document["max_duration"]),
    )


def going_on(talk: ConversationSettings, past: Past | None) -> ConversationSettings:
    """Take up a call whose earlier stream broke: with what was said, in what time is left."""
    if past is None:
        return talk
    # A call that broke before anybody spoke is a fresh one to everybody.
    opening: Any = "quiet" if past.silent else "again" if past.said else "fresh"
    left_s = max(SHORTEST_S, talk.max_duration_s - past.since_s)
    return replace(talk, past=past.said, opening=opening, max_duration_s=left_s)


def providers_of(admission: Admission, *, test_providers: bool) -> Providers:
    """Build the three providers of a call, or the one that is all three. Connects to nothing.

    Raises ProviderMissing if a slot's provider is unknown here or lacks a package, and
    ProviderError if it refuses its settings.
    """
    built: dict[Kind, Any] = {}
    for kind in kinds_of(admission):
        name = admission.document[kind]["provider"]
        found = registry.find(kind, name, test_providers=test_providers)
        missing = "unknown" if found is None else found.missing()
        if found is None or missing:
            raise ProviderMissing(f"{kind}: {name}: {missing}")
        built[kind] = found.build(admission.service(kind))
    if "stt" not in built:  # the model hears and speaks itself
        mind = built["llm"]
        return Providers(ears=mind.ears, mind=mind, voice=mind.voice)
    return Providers(ears=built["stt"], mind=built["llm"], voice=built["tts"])


def kinds_of(admission: Admission) -> tuple[Kind, ...]:
    """Return the slots that the call's providers are built from."""
    return kinds_used(admission.document)


def _lines(document: Mapping[str, Any], recorded: bool) -> Lines:
    greeting = document["greeting"]
    opening = greeting["text"] if greeting["mode"] == "text" else ""
    consent = (document.get("recording") or {}).get("consent", "") if recorded else ""
    lines = _known(Lines, document.get("lines") or {})
    return Lines(**{**lines, "greeting": opening, "consent": consent})


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what this release knows: a version may have been written by a newer one."""
    names = {found.name for found in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
