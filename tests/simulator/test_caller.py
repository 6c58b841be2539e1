"""The caller's frames: speech, hiss, and where one is in the other."""

from __future__ import annotations

import base64

import pytest

from apps.simulator.caller import CallerAudio, Speech, line_noise
from apps.voice import g711
from tests.simulator.conftest import tone


def test_a_quiet_line_hisses_at_the_level_asked_for() -> None:
    assert g711.level_db(line_noise(-60.0, 20)) == pytest.approx(-60.0, abs=1.0)
    assert g711.level_db(line_noise(-45.0, 20)) == pytest.approx(-45.0, abs=1.0)


@pytest.mark.parametrize("frame_ms", [10, 20, 30, 60])
def test_every_frame_is_whole(frame_ms: int) -> None:
    caller = CallerAudio(frame_ms=frame_ms)
    caller.say(Speech.of(tone(215), frame_ms=frame_ms))
    frames = [base64.b64decode(caller.next_payload()) for _ in range(250)]
    assert {len(frame) for frame in frames} == {frame_ms * 8}


def test_the_track_is_what_the_frames_carried() -> None:
    caller = CallerAudio()
    sent = [caller.next_payload() for _ in range(7)]
    caller.say(Speech.of(g711.SILENCE * 400 + tone(130)))
    sent += [caller.next_payload() for _ in range(120)]
    assert caller.track() == b"".join(map(base64.b64decode, sent))


def test_speech_ends_and_the_hiss_returns() -> None:
    caller = CallerAudio()
    caller.say(Speech.of(tone(40)))
    talking, loud = [caller.talking], []
    for _ in range(3):
        loud.append(g711.level_db(base64.b64decode(caller.next_payload())) > -20)
        talking.append(caller.talking)
    assert loud == [True, True, False]
    assert talking == [True, True, False, False]


def test_speech_begins_and_ends_where_its_sound_does() -> None:
    caller = CallerAudio()
    for _ in range(5):
        caller.next_payload()
    said = caller.say(Speech.of(g711.SILENCE * 1_600 + tone(400) + g711.SILENCE * 4_000))
    assert (said.from_ms, said.to_ms) == (300.0, 700.0)


def test_speech_cut_for_another_frame_length_is_refused() -> None:
    with pytest.raises(ValueError, match="30 ms, not 20"):
        CallerAudio().say(Speech.of(tone(60), frame_ms=30))
