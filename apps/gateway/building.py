"""From a config version's document to what a conversation is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from apps.bots.selectors import Admission
from apps.bots.slots import kinds_used
from apps.calls.admission import Past
from apps.providers import registry
from apps.providers.base import Kind, ServiceSettings
from apps.voice.fallback import Link, MindChain, VoiceChain
from apps.voice.fallback_ears import EarsChain
from apps.voice.ports import (
    ChatMessage,
    LanguageModel,
    ProviderError,
    TextToSpeech,
    Tool,
    Transcriber,
)
from apps.voice.settings import ConversationSettings, Lines, TurnSettings

# Whoever was brought back is not sent away at once.
SHORTEST_S = 15.0


@dataclass(frozen=True, slots=True)
class Skipped:
    """One of a chain that cannot run here. place: as the bot names it. why: for operators."""

    slot: Kind
    place: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Providers:
    """One call's own ears, mind and voice.

    first: who of a slot's chain serves at first, by place; 0 is the slot's own. skipped: those of
    chains that cannot run here.
    """

    ears: Transcriber
    mind: LanguageModel
    voice: TextToSpeech
    first: Mapping[Kind, int] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

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

    A slot with fallbacks is a chain of those that can run here; the others are left out. Raises
    ProviderMissing if a slot has none: unknown here, or without its package; and ProviderError if
    its only one refuses its settings.
    """
    links: dict[Kind, list[Link[Any]]] = {}
    skipped: list[Skipped] = []
    for kind in kinds_of(admission):
        links[kind] = _links(kind, admission.services(kind), skipped, test_providers)
    built: dict[Kind, Any] = {
        kind: found[0].provider if len(found) == 1 else _CHAINS[kind](found)
        for kind, found in links.items()
    }
    first = {kind: found[0].place for kind, found in links.items()}
    if "stt" not in built:  # the model hears and speaks itself
        mind = built["llm"]
        return Providers(ears=mind.ears, mind=mind, voice=mind.voice)
    return Providers(built["stt"], built["llm"], built["tts"], first, tuple(skipped))


_CHAINS: Mapping[Kind, Callable[[Any], Any]] = {
    "stt": EarsChain,
    "llm": MindChain,
    "tts": VoiceChain,
}


def _links(
    kind: Kind, chain: Sequence[ServiceSettings], skipped: list[Skipped], test_providers: bool
) -> list[Link[Any]]:
    """Build those of a chain that can run. The last one's fault is the chain's, if none can."""
    found: list[Link[Any]] = []
    faults: list[ProviderMissing | ProviderError] = []
    for place, service in enumerate(chain):
        name = "/".join(filter(None, (service.provider, service.model)))
        try:
            built = _build(kind, service, test_providers, alone=len(chain) == 1)
        except (ProviderMissing, ProviderError) as fault:
            faults.append(fault)
            skipped.append(Skipped(kind, place, name, str(fault)))
        else:
            found.append(Link(name, built, place))
    if not found:
        raise faults[0]
    return found


def _build(kind: Kind, service: ServiceSettings, test_providers: bool, *, alone: bool) -> Any:
    """Build one provider. alone: nobody takes over for it, so that it may say itself what it lacks.

    Raises ProviderMissing and ProviderError.
    """
    found = registry.find(kind, service.provider, test_providers=test_providers)
    missing = "unknown" if found is None else found.missing()
    if found is None or missing:
        raise ProviderMissing(f"{kind}: {service.provider}: {missing}")
    if not alone and found.needs_key and not found.key_optional and not service.secrets:
        raise ProviderMissing(f"{kind}: {service.provider}: no key")
    return found.build(service)


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
