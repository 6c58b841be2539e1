"""What came of a simulated call."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.simulator.caller import Said
from apps.simulator.strictness import Finding
from apps.simulator.timeline import Hole, Spurt


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, from ``start`` to its end. Spurts and holes are in seconds since ``start``.

    ended_by: script, server, dropped or timeout. close_code: of the WebSocket; 1006 if it broke.
    caller, bot: the two tracks as heard, mu-law 8 kHz from ``start`` on; empty if not kept.
    """

    ended_by: str
    close_code: int | None
    close_reason: str
    duration_s: float
    said: tuple[Said, ...]
    spurts: tuple[Spurt, ...]
    underruns: tuple[Hole, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    marks_echoed: int
    caller: bytes = field(default=b"", repr=False)
    bot: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Something the caller said and the bot's answer to it. Times in ms since ``start``.

    latency_ms: from the end of the caller's sound to the first bot audio; None without an answer.
    talked_over: the bot was being heard when the caller began. silenced_ms: from the onset of the
    caller's sound to the bot's silence, if it fell silent by a ``clear``.
    """

    from_ms: float
    to_ms: float
    latency_ms: float | None
    talked_over: bool
    silenced_ms: float | None


def exchanges(record: CallRecord) -> list[Exchange]:
    """Pair what the caller said with the talk spurts that followed."""
    found = []
    for number, said in enumerate(record.said, start=1):
        is_last = number == len(record.said)
        until_ms = float("inf") if is_last else record.said[number].from_ms
        found.append(_exchange(said, until_ms, record.spurts))
    return found


def _exchange(said: Said, until_ms: float, spurts: tuple[Spurt, ...]) -> Exchange:
    over = next(
        (one for one in spurts if one.start_s * 1_000 < said.from_ms < one.end_s * 1_000), None
    )
    silenced = over.end_s * 1_000 - said.from_ms if over is not None and over.cut else None
    answer = next((one for one in spurts if said.to_ms <= one.start_s * 1_000 < until_ms), None)
    latency = None if answer is None else answer.start_s * 1_000 - said.to_ms
    return Exchange(said.from_ms, said.to_ms, latency, over is not None, silenced)
