"""The simulated person, in virtual time: twenty milliseconds cost nothing."""

from __future__ import annotations

import pytest

from apps.simulator.caller import CallerAudio, Speech
from apps.simulator.clock import VirtualClock
from apps.simulator.playout import Playout
from apps.simulator.script import (
    Act,
    AwaitBot,
    HangUp,
    Pause,
    Press,
    Say,
    Scene,
    Script,
    Step,
    conversation,
)
from tests.simulator.conftest import tone

SPEECH = Speech.of(tone(500), label="hello")


class Stage:
    """A script, a caller and a playout on one virtual clock. Acts are kept with their second."""

    def __init__(self, *steps: Step) -> None:
        self.clock = VirtualClock()
        self.playout = Playout(self.clock, echo=lambda _name: None)
        self.caller = CallerAudio()
        self.script = Script(steps)
        self.acts: list[tuple[float, Act]] = []

    def bot_says(self, at_s: float, ms: int) -> None:
        def speak() -> None:
            self.playout.media(tone(ms))

        self.clock.call_at(at_s, speak)

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.clock.advance(0.02)
            for act in self.script.advance(self._scene()):
                self.acts.append((self.clock.now(), act))
                if isinstance(act, Say):
                    self.caller.say(act.speech)
            self.caller.next_payload()

    def _scene(self) -> Scene:
        timeline = self.playout.timeline
        since_s = timeline.spurts[-1].start_s if timeline.spurts else 0.0
        return Scene(self.clock.now(), timeline.runs, since_s, timeline.dry_at, self.caller.talking)

    def at(self, *times: float) -> bool:
        """Say whether the acts came at those times, to one frame."""
        return [at for at, _ in self.acts] == pytest.approx(list(times), abs=0.021)

    def did(self, *acts: Act) -> bool:
        return [act for _, act in self.acts] == list(acts)


def test_it_waits_until_the_bot_has_finished_its_greeting() -> None:
    stage = Stage(*conversation([SPEECH]))
    stage.bot_says(0.5, 2_000)
    stage.play(4)
    assert stage.did(Say(SPEECH))
    assert stage.at(3.5)


def test_it_does_not_wait_for_ever_for_a_greeting() -> None:
    stage = Stage(*conversation([SPEECH], greeting_s=4.0))
    stage.play(5)
    assert stage.at(4.02)


def test_a_short_silence_of_the_bot_is_not_its_end() -> None:
    stage = Stage(AwaitBot(quiet_s=1.0), HangUp())
    stage.bot_says(0.5, 1_000)
    stage.bot_says(2.2, 1_000)
    stage.play(5)
    assert stage.at(4.2)


def test_every_turn_waits_for_the_answer_to_the_one_before() -> None:
    stage = Stage(*conversation([SPEECH, SPEECH]))
    stage.bot_says(0.0, 1_000)  # the first speech follows at 2.0 and ends at 2.5
    stage.bot_says(3.0, 1_000)  # the second at 5.0
    stage.bot_says(6.0, 1_000)
    stage.play(10)
    assert [type(act) for _, act in stage.acts] == [Say, Say, HangUp]
    assert stage.at(2.02, 5.0, 8.0)
    assert stage.script.finished


def test_it_talks_over_the_bot() -> None:
    stage = Stage(*conversation([SPEECH], interrupt_after_s=0.6))
    stage.bot_says(1.0, 5_000)
    stage.play(2)
    assert stage.did(Say(SPEECH))
    assert stage.at(1.6)


def test_an_answer_that_began_while_the_caller_spoke_counts() -> None:
    stage = Stage(Say(SPEECH), AwaitBot(quiet_s=1.0, start_within_s=10), HangUp())
    stage.bot_says(0.3, 1_000)
    stage.play(5)
    assert stage.at(0.02, 2.3)


def test_a_bot_that_never_ends_is_waited_for_until_the_timeout() -> None:
    stage = Stage(AwaitBot(timeout_s=3.0), HangUp())
    stage.bot_says(0.1, 60_000)
    stage.play(5)
    assert stage.at(3.02)


def test_it_pauses_and_presses_keys() -> None:
    stage = Stage(Pause(0.5), Press("1#"), Press("2"), Pause(0.5), HangUp())
    stage.play(2)
    assert stage.did(Press("1#"), Press("2"), HangUp())
    assert stage.at(0.52, 0.52, 1.02)


def test_without_anything_to_say_it_listens_and_hangs_up() -> None:
    stage = Stage(*conversation([]))
    stage.bot_says(0.5, 1_000)
    stage.play(4)
    assert stage.did(HangUp())
    assert stage.at(2.5)
