"""What a call's journal and its costs learn of providers that take over for others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from apps.calls.costs import tariff_of
from apps.gateway.building import Providers
from apps.gateway.session import CallJournal
from apps.providers.base import Kind
from apps.voice.conversation import Conversation
from apps.voice.fallback import MindChain, Switch, VoiceChain
from apps.voice.fallback_ears import EarsChain
from apps.voice.meter import REFUSALS
from apps.voice.ports import Used

SWITCHED = "provider.switched"


class Relays:
    """Follows the chains of one stream."""

    def __init__(
        self, document: Mapping[str, Any], conversation: Conversation, journal: CallJournal
    ) -> None:
        self._document = document
        self._conversation = conversation
        self._journal = journal

    def follow(self, providers: Providers) -> None:
        """Write down who is left out, and who takes over from here on."""
        for left in providers.skipped:
            self._journal.event("provider.missing", {"provider": left.why})
        for slot, place in providers.first.items():
            if place:
                self._stand_in(slot, place, providers)
        chains: tuple[tuple[Kind, object], ...] = (
            ("stt", providers.ears),
            ("llm", providers.mind),
            ("tts", providers.voice),
        )
        for slot, chain in chains:
            if isinstance(chain, EarsChain | MindChain | VoiceChain):
                chain.ring.on_switch = partial(self._switched, slot)

    def _stand_in(self, slot: Kind, place: int, providers: Providers) -> None:
        """Who is first in a chain cannot run here: another serves from the beginning."""
        missing = next(left.name for left in providers.skipped if left.slot == slot)
        tariff = tariff_of(self._document, slot, place)
        after = "/".join(filter(None, (tariff.provider, tariff.model)))
        self._tell(slot, missing, after, "missing")
        self._journal.ledger.change(tariff, Used())

    def _switched(self, slot: Kind, switch: Switch) -> None:
        self._tell(slot, switch.before, switch.after, switch.error.reason)
        tariff = tariff_of(self._document, slot, switch.place)
        self._journal.ledger.change(tariff, self._charged(slot, switch))

    def _charged(self, slot: Kind, switch: Switch) -> Used:
        """Return up to where whoever failed is charged, and count what is asked once more."""
        meter, refused = self._conversation.parts.meter, switch.error.reason in REFUSALS
        if not switch.again:
            # Whoever asked is told of the failure next, and counts a refusal then.
            return self._conversation.used() + Used(counted=int(slot == "llm" and refused))
        if slot == "llm":
            meter.failed(switch.error)
            used = self._conversation.used()
            meter.asked()
            return used
        used = self._conversation.used()
        if slot == "tts" and refused:
            return used - Used(characters=len(switch.text))
        meter.spoke(switch.text)
        return used

    def _tell(self, slot: Kind, before: str, after: str, reason: str) -> None:
        data = {"slot": slot, "from": before, "to": after, "reason": reason}
        self._journal.event(SWITCHED, data)
