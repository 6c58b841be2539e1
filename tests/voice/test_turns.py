"""The turn policy as a table: what must hold of every row."""

from __future__ import annotations

import pytest

from apps.voice.turns import TRANSITIONS, Do, Heard, Phase, advance

LEAVING = (Phase.CLOSING, Phase.PARTING, Phase.HANDING_OVER, Phase.TRANSFERRING)
SPEAKING = (Phase.SPEAKING, Phase.PARTING)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ENDED])
def test_every_phase_can_end(phase: Phase) -> None:
    after, actions = advance(phase, Heard.GONE)
    assert after is Phase.ENDED
    assert Do.CANCEL_REPLY in actions


@pytest.mark.parametrize("heard", list(Heard))
def test_nothing_happens_after_the_end(heard: Heard) -> None:
    assert advance(Phase.ENDED, heard) == (Phase.ENDED, ())


@pytest.mark.parametrize("phase", SPEAKING)
def test_a_speaking_bot_falls_silent_before_anything_else(phase: Phase) -> None:
    _, actions = advance(phase, Heard.SPEECH_STARTED)
    assert actions[:2] == (Do.CANCEL_REPLY, Do.CLEAR_PLAYBACK)


def test_nothing_interrupts_the_last_words() -> None:
    assert advance(Phase.CLOSING, Heard.SPEECH_STARTED) == (Phase.CLOSING, ())
    assert advance(Phase.CLOSING, Heard.TIME_UP) == (Phase.CLOSING, ())


def test_nothing_interrupts_a_hand_over() -> None:
    for heard in (Heard.SPEECH_STARTED, Heard.TIME_UP, Heard.TOLD_TO_SAY, Heard.TOLD_TO_LEAVE):
        assert advance(Phase.HANDING_OVER, heard) == (Phase.HANDING_OVER, ())


def test_a_hand_over_that_cannot_be_said_is_done_all_the_same() -> None:
    for heard in (Heard.REPLY_FAILED, Heard.REPLY_EMPTY, Heard.MUTE):
        after, actions = advance(Phase.HANDING_OVER, heard)
        assert (after, actions[-1]) == (Phase.TRANSFERRING, Do.TRANSFER)


@pytest.mark.parametrize(
    "phase", [Phase.HEARING, Phase.TRANSCRIBING, Phase.OVERTAKEN, Phase.CHECKING]
)
def test_words_from_outside_never_interrupt_the_caller(phase: Phase) -> None:
    assert advance(phase, Heard.ASKED_TO_SAY) == (phase, ())
    assert advance(phase, Heard.TOLD_TO_SAY) == (phase, ())


@pytest.mark.parametrize("phase", [Phase.THINKING, Phase.SPEAKING, Phase.PARTING])
def test_words_from_outside_wait_for_the_bot_unless_they_are_to_interrupt(phase: Phase) -> None:
    assert advance(phase, Heard.ASKED_TO_SAY) == (phase, ())
    after, actions = advance(phase, Heard.TOLD_TO_SAY)
    assert after is Phase.SPEAKING
    assert actions == (Do.CANCEL_REPLY, Do.CLEAR_PLAYBACK, Do.SAY_ORDERED)


def test_an_unknown_pair_changes_nothing() -> None:
    assert advance(Phase.LISTENING, Heard.PLAYBACK_ENDED) == (Phase.LISTENING, ())


@pytest.mark.parametrize(("phase", "heard"), sorted(TRANSITIONS, key=str))
def test_leaving_what_makes_a_reply_cancels_or_has_heard_it(phase: Phase, heard: Heard) -> None:
    after, actions = TRANSITIONS[phase, heard]
    if phase is Phase.THINKING and after not in (Phase.SPEAKING, Phase.THINKING):
        assert Do.CANCEL_REPLY in actions or heard in (Heard.BOT_LEFT, Heard.BOT_TRANSFERS)


@pytest.mark.parametrize(
    "phase",
    [phase for phase in Phase if phase not in (*LEAVING, Phase.ENDED)],
)
def test_time_is_up_in_every_phase(phase: Phase) -> None:
    after, actions = advance(phase, Heard.TIME_UP)
    assert after is Phase.CLOSING
    assert actions[-1] is Do.SAY_TIME_UP


def test_every_phase_can_be_reached() -> None:
    reached = {after for after, _ in TRANSITIONS.values()} | {Phase.LISTENING}
    assert reached == set(Phase)


def test_every_action_is_used() -> None:
    assert {action for _, actions in TRANSITIONS.values() for action in actions} == set(Do)
