"""The simulated person: a list of steps, each waiting for something or doing something.

Pure: it is told what the call sounds like at a moment and answers what to do now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apps.simulator.caller import Speech


class Scene(NamedTuple):
    """The call at one moment. Times are seconds of the call's clock.

    bot_runs: how often unbroken bot audio has begun. bot_since_s: when the bot's talk spurt began.
    bot_dry_s: when its audio ends; later than ``at_s`` while it talks.
    """

    at_s: float
    bot_runs: int
    bot_since_s: float
    bot_dry_s: float
    caller_talking: bool

    @property
    def bot_talking(self) -> bool:
        return self.bot_dry_s > self.at_s


# --- steps that wait --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AwaitBot:
    """Wait until the bot has talked and then been silent for ``quiet_s``.

    A bot that does not begin within ``start_within_s`` is waited for no longer; one that does not
    end within ``timeout_s`` neither. Silence that a bot sends as audio counts as talking.
    """

    quiet_s: float = 1.0
    start_within_s: float = 10.0
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class AwaitOnset:
    """Wait until the bot has been talking for ``after_s``: the moment to talk over it."""

    after_s: float
    start_within_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


# --- steps that do something --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Say something, and be done when it is said."""

    speech: Speech


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys, one after the other: 0-9, *, #, A-D."""

    digits: str


@dataclass(frozen=True, slots=True)
class Inject:
    """Send a raw frame that Twilio never would: text or binary."""

    frame: str | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StopReading:
    """Take nothing from the socket for that long: the slow reader."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call: ``stop`` (which the real thing sometimes leaves out), then close the socket."""

    send_stop: bool = True


@dataclass(frozen=True, slots=True)
class Drop:
    """Break the TCP connection, with no word and no close frame."""


Act = Say | Press | Inject | StopReading | HangUp | Drop
Step = AwaitBot | AwaitOnset | Pause | Act
Done = Callable[[Any, Scene, Scene], bool]


def _began(entered: Scene, now: Scene) -> bool:
    return entered.bot_talking or now.bot_runs > entered.bot_runs


def _bot_is_done(step: AwaitBot, entered: Scene, now: Scene) -> bool:
    waited = now.at_s - entered.at_s
    if not _began(entered, now):
        return waited >= step.start_within_s
    return now.at_s - now.bot_dry_s >= step.quiet_s or waited >= step.timeout_s


def _bot_is_under_way(step: AwaitOnset, entered: Scene, now: Scene) -> bool:
    if not _began(entered, now):
        return now.at_s - entered.at_s >= step.start_within_s
    return now.at_s - now.bot_since_s >= step.after_s


# When a step is over. What is missing here is over as soon as it is done.
_DONE: Mapping[type, Done] = {
    AwaitBot: _bot_is_done,
    AwaitOnset: _bot_is_under_way,
    Pause: lambda step, entered, now: now.at_s - entered.at_s >= step.seconds,
    Say: lambda _step, entered, now: now.at_s > entered.at_s and not now.caller_talking,
}


class Script:
    """Runs through steps. ``finished`` once the last is over; a call ends by itself before that."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self._at = 0
        self._entered: Scene | None = None

    @property
    def finished(self) -> bool:
        return self._at >= len(self._steps)

    def advance(self, now: Scene) -> list[Act]:
        """Return what to do at this moment, in order. Call it once per frame."""
        acts: list[Act] = []
        while not self.finished:
            step = self._steps[self._at]
            if self._entered is None:
                self._entered = now
                if isinstance(step, Act):
                    acts.append(step)
            done = _DONE.get(type(step))
            if done is not None and not done(step, self._entered, now):
                break
            self._at += 1
            self._entered = None
        return acts


def conversation(
    speeches: Sequence[Speech],
    *,
    greeting_s: float = 4.0,
    answer_s: float = 10.0,
    interrupt_after_s: float | None = None,
) -> tuple[Step, ...]:
    """Write the script of a polite caller, or of one who talks over the bot.

    The bot may greet first: the caller waits ``greeting_s`` for it to begin. Then every speech
    follows when the bot has finished (or, with ``interrupt_after_s``, that long after it began),
    and the call ends when the last answer has. An answer may take ``answer_s`` to begin.
    """
    steps: list[Step] = []
    patience_s = greeting_s
    for speech in speeches:
        steps += [_turn(patience_s, interrupt_after_s), Say(speech)]
        patience_s = answer_s
    return (*steps, AwaitBot(start_within_s=patience_s), HangUp())


def _turn(patience_s: float, interrupt_after_s: float | None) -> Step:
    if interrupt_after_s is None:
        return AwaitBot(start_within_s=patience_s)
    return AwaitOnset(interrupt_after_s, start_within_s=patience_s)
