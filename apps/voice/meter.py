"""Counts what one call asks of its model and its voice, where it is asked."""

from __future__ import annotations

from apps.voice.g711 import BYTES_PER_MS
from apps.voice.ports import ProviderError, Usage, Used

# Who is refused for these reasons has used nothing, and is billed for nothing.
REFUSALS = frozenset({"auth", "quota", "bad_request", "missing_extra"})


class Meter:
    """A meter as a house has one: it only ever counts up; two readings tell what lies between."""

    def __init__(self) -> None:
        self._requests = 0
        self._counted = 0
        self._tokens = Usage(0, 0)
        self._characters = 0
        self._bytes = 0

    @property
    def reading(self) -> Used:
        """What was used so far."""
        return Used(
            requests=self._requests,
            counted=self._counted,
            tokens=self._tokens,
            characters=self._characters,
            voiced_s=self._bytes / (BYTES_PER_MS * 1_000),
        )

    def asked(self) -> None:
        """The model was asked; what it uses is unknown until it tells."""
        self._requests += 1

    def told(self, usage: Usage) -> None:
        """The model told what a reply has used. Once a reply at the most."""
        self._counted += 1
        self._tokens += usage

    def failed(self, error: ProviderError) -> None:
        """A reply failed. A refusal is known to have used nothing."""
        if error.reason in REFUSALS:
            self._counted += 1

    def spoke(self, text: str) -> None:
        """The voice was handed a text."""
        self._characters += len(text)

    def came(self, audio: bytes) -> None:
        """Audio came from the voice (mu-law 8 kHz)."""
        self._bytes += len(audio)
