"""What the conformance suite may ask of every stand-in of a kind, whatever its protocol.

The suite sets these; each stand-in says them in its vendor's own words.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from apps.providers import registry
from apps.providers.base import Kind, ServiceSettings
from apps.voice import g711
from tests.vendors.serving import KEY, Cut, Exchange, FaultKind, Gone, StandIn


class ModelStandIn(StandIn):
    """A language model's. Streams ``answer`` piece by piece, then ``calls``, then ``usage``.

    It checks what its vendor checks: roles and their order, that each tool's answer has its call,
    the tools' schema, the model's name, the key. stale: how many requests to meet with a
    connection that breaks before the first byte of an answer. ends_early: whether an answer ends
    in good order after its first piece, as if that were all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answer: list[str] = ["Hello", " there.", " How can I help – today?"]
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.prompt_tokens = 57
        self.cached_tokens = 20
        self.completion_tokens = 11
        self.stale = 0
        self.ends_early = False

    async def break_if_asked(self, exchange: Exchange) -> None:
        """Break the connection, or say nothing to a GET, where a test asks for it."""
        if self.stale:
            self.stale -= 1
            exchange.hang_up()
            raise Cut
        if exchange.seen.method == "GET" and self.fault.kind == "mute":
            await exchange.until_gone()
            raise Gone


class VoiceStandIn(StandIn):
    """A text-to-speech vendor's. Speaks a tone, 60 ms a character, at -20 dB below full scale.

    After its first piece (at most 100 ms of audio) it waits for ``hold``, if that is set. spoken:
    the texts it was asked for, in order, as they would be read aloud (markup undone). asked: the
    voice and the model of each, as they came. cancels: how often it was told to stop in the
    vendor's own words. heard: bytes of sound that its caller has, where the caller counts them.
    """

    MS_PER_CHARACTER = 60

    def __init__(self) -> None:
        super().__init__()
        self.spoken: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.cancels = 0
        self.heard: int | None = None

    def tone(self, text: str, rate: int) -> npt.NDArray[np.float32]:
        """Return the sound of ``text`` at ``rate`` Hz, -1..1; all zeros where silence is due."""
        length = int(len(text) * self.MS_PER_CHARACTER * rate / 1_000)
        phase = 2 * np.pi * 250 * np.arange(length, dtype=np.float32) / rate
        return np.asarray(0.1 * np.sqrt(2) * np.sin(phase), np.float32)

    def mulaw(self, text: str, fault: FaultKind = "none") -> list[bytes]:
        """Return the sound of ``text`` as mu-law 8 kHz in uneven pieces, none over 100 ms."""
        whole = g711.encode_float(self.tone(text, g711.SAMPLE_RATE) * (fault != "silence"))
        lengths = itertools.cycle((799, 800, 641))
        starts = [0]
        while starts[-1] < len(whole):
            starts.append(starts[-1] + next(lengths))
        return [whole[a:b] for a, b in itertools.pairwise(starts)]


class EarsStandIn(StandIn):
    """A speech-to-text vendor's. Answers the n-th finished utterance with the n-th transcript.

    transcripts: an empty one means that no words were heard. audio: everything it was sent, as
    mu-law 8 kHz bytes, over all connections. sessions_ended: how often it was told in the vendor's
    own words that no more audio will come, which ends the bill.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transcripts: list[str] = ["book a table", "for two people", "at seven thirty"]
        self.audio = bytearray()
        self.sessions_ended = 0


@dataclass(frozen=True)
class Subject:
    """An adapter and its stand-in.

    settings: what a config would say (model, voice, language, options). key_name: the variable that
    holds a real key, for the ``live`` run. environment: what the operator must set for the test.
    stops_in_words / times_words: what this vendor's protocol has at all.
    shares_socket: whether an interrupted sentence leaves its connection open. heard_as: the voice
    and the model that the vendor is asked for with these settings. variant: tells two subjects of
    one provider apart, where some of its models are asked by another protocol.
    """

    kind: Kind
    provider: str
    stand_in: Callable[[], Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    key_name: str = ""
    variant: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stops_in_words: bool = False
    times_words: bool = False
    shares_socket: bool = False
    heard_as: tuple[str, str] = ("", "")

    @property
    def id(self) -> str:
        return "-".join(filter(None, (self.kind, self.provider, self.variant)))

    def service(self, url: str, *, key: str = KEY, patience_s: float = 5.0) -> ServiceSettings:
        """Return the adapter's settings against a stand-in at ``url``."""
        given = {"options": {}, **self.settings}
        return ServiceSettings(
            provider=self.provider,
            secrets={"api_key": key},
            base_url=url,
            patience_s=patience_s,
            **given,
        )

    def build(self, settings: ServiceSettings) -> Any:
        """Build the adapter as the gateway does."""
        return registry.PROVIDERS[self.kind, self.provider].build(settings)


def tasks_running() -> int:
    """Count the loop's tasks, to see that nothing is left behind."""
    return len(asyncio.all_tasks())
