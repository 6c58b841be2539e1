"""What is worked out of a call: latencies, interruptions, verdicts, words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from apps.simulator.caller import Said, Speech
from apps.simulator.progress import Progress
from apps.simulator.record import CallRecord, Exchange, exchanges
from apps.simulator.report import Line, Report, as_json, as_text, failure, script_transcript
from apps.simulator.strictness import Finding
from apps.simulator.timeline import Hole, Spurt
from tests.simulator.conftest import STREAM, tone

SPEECH = Speech.of(tone(500), label="hello")
RECORD = CallRecord(
    ended_by="script",
    close_code=1_000,
    close_reason="",
    duration_s=10.0,
    said=(Said(SPEECH, 3_000, 3_500), Said(SPEECH, 6_000, 6_500)),
    spurts=(Spurt(0.1, 2.0), Spurt(4.1, 6.2, cut_s=1.0, cleared=True), Spurt(7.0, 9.0)),
    underruns=(Hole(7.5, 0.04),),
    findings=(Finding("31951", "wrong streamSid", 1.0, 3),),
    warnings=("31951",),
    marks_echoed=4,
)
REPORT = Report(
    url="ws://x/media/twilio",
    stream=STREAM,
    record=RECORD,
    transcript=(Line("bot", "Hello there.", "Hello", interrupted=True, stages_ms={"voice": 90.2}),),
    journaled=True,
    recording="out.wav",
    recording_s=10.0,
)


def test_every_speech_is_paired_with_its_answer() -> None:
    assert exchanges(RECORD) == [
        Exchange(3_000, 3_500, pytest.approx(600), talked_over=False, silenced_ms=None),  # type: ignore[arg-type]
        Exchange(6_000, 6_500, 500.0, talked_over=True, silenced_ms=pytest.approx(200)),  # type: ignore[arg-type]
    ]


def test_an_answer_to_the_next_speech_is_none_to_this_one() -> None:
    record = replace(RECORD, spurts=(Spurt(0.1, 2.0), Spurt(7.0, 9.0)))
    assert [turn.latency_ms for turn in exchanges(record)] == [None, 500.0]


def test_a_caller_who_says_nothing_has_no_turns() -> None:
    assert exchanges(replace(RECORD, said=())) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"ended_by": "server"}, ""),
        ({"close_code": 1_008, "ended_by": "server"}, "1008"),
        ({"close_code": 1_011, "ended_by": "server"}, "close code 1011"),
        ({"close_code": 1_006, "ended_by": "server"}, "close code 1006"),
        ({"spurts": ()}, "never said anything"),
    ],
)
def test_it_knows_a_failed_call(changes: dict[str, object], words: str) -> None:
    found = failure(replace(RECORD, **changes))  # type: ignore[arg-type]
    assert words in found
    assert bool(found) == bool(words)


def test_the_report_as_json() -> None:
    found = json.loads(json.dumps(as_json(REPORT)))
    assert (found["ok"], found["first_audio_ms"], found["warnings"]) == (True, 100, ["31951"])
    assert found["transcript"][0]["heard"] == "Hello"
    assert [turn["latency_ms"] for turn in found["turns"]] == [600.0, 500.0]
    assert found["underruns"] == [{"at_ms": 7_500, "length_ms": 40}]
    assert found["bot_spoke"][1] == {
        "from_ms": 4_100, "to_ms": 6_200, "unheard_ms": 1_000, "underruns": 0
    }  # fmt: skip


def test_the_report_for_a_person() -> None:
    text = "\n".join(as_text(REPORT))
    for part in (
        "bot     Hello there.",
        "interrupted; heard: Hello",
        "voice 90",
        "First bot audio after 100 ms",
        "Turn 1: answer after 600 ms.",
        "Turn 2: answer after 500 ms, bot silent after 200 ms.",
        "ran dry 1 times, at most for 40 ms",
        "31951 wrong streamSid (x3)",
        "Recording: out.wav (10.0 s",
        "ended by script",
    ):
        assert part in text


def test_without_a_journal_the_script_is_the_transcript() -> None:
    lines = script_transcript(RECORD)
    assert [(line.role, line.said) for line in lines] == [("caller", "hello")] * 2
    text = "\n".join(as_text(replace(REPORT, transcript=lines, journaled=False)))
    assert "journal does not hold this call" in text


def test_progress_counts_from_the_start_of_the_stream() -> None:
    lines: list[str] = []
    progress = Progress(lines.append)
    progress.stream_started(100.0)
    progress.bot_started(100.25)
    progress.bot_stopped(101.5)
    progress.caller_started(102.0, RECORD.said[0])
    assert lines[1:] == [
        "   0.25 s  bot speaks",
        "   1.50 s  bot is silent after 1250 ms",
        "   2.00 s  caller speaks for 500 ms: hello",
    ]
