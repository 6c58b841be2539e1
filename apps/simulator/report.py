"""Puts a simulated call into words: for a person, and as JSON for a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from apps.simulator.record import CallRecord, exchanges
from apps.simulator.timeline import Hole, Spurt
from apps.telephony.inbound import Stream

_POLICY_VIOLATION = 1_008


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the transcript. role: caller or bot.

    said: what the bot meant to say, or what the caller's words were understood as. heard: how much
    of it the caller heard. stages_ms: where the time of the answer went, by stage.
    """

    role: str
    said: str
    heard: str
    interrupted: bool = False
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A call and everything known of it. journaled: whether the server's journal had it."""

    url: str
    stream: Stream
    record: CallRecord
    transcript: Sequence[Line]
    journaled: bool
    twiml_warnings: Sequence[str] = ()
    recording: str = ""
    recording_s: float = 0.0


def failure(record: CallRecord) -> str:
    """Say why the call counts as failed; empty if it does not."""
    if record.close_code == _POLICY_VIOLATION:
        return (
            "The server closed the stream with 1008: it does not admit it. Its account's Twilio "
            "auth token may be another (--auth-token), or the bot's token was just rotated."
        )
    if record.ended_by == "server" and record.close_code not in (1_000, 1_001):
        return f"The server broke the stream off (close code {record.close_code})."
    if not record.spurts:
        return "The bot never said anything. Read the server's log for what its providers answered."
    return ""


def script_transcript(record: CallRecord) -> list[Line]:
    """Make do without a journal: the caller's words as they were meant."""
    labels = [said.speech.label for said in record.said]
    return [Line("caller", label, label) for label in labels]


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as what ``--json`` prints. Times are ms since ``start``."""
    record = report.record
    error = failure(record)
    return {
        "ok": not error,
        "error": error,
        "url": report.url,
        "call_sid": report.stream.call_sid,
        "stream_sid": report.stream.stream_sid,
        "ended_by": record.ended_by,
        "close_code": record.close_code,
        "duration_s": round(record.duration_s, 3),
        "first_audio_ms": _ms(record.spurts[0].start_s) if record.spurts else None,
        "transcript_source": "journal" if report.journaled else "script",
        "transcript": [asdict(line) for line in report.transcript],
        "turns": [_rounded(asdict(turn)) for turn in exchanges(record)],
        "bot_spoke": [_spurt(spurt) for spurt in record.spurts],
        "underruns": [_hole(hole) for hole in record.underruns],
        "warnings": [*report.twiml_warnings, *record.warnings],
        "findings": [_rounded(asdict(finding)) for finding in record.findings],
        "recording": report.recording or None,
        "recording_s": round(report.recording_s, 3),
    }


def as_text(report: Report) -> Iterator[str]:
    """Yield the report's lines for a person."""
    record = report.record
    for line in report.transcript:
        yield f"{line.role:7} {line.said}"
        if line.interrupted:
            yield f"        (interrupted; heard: {line.heard})"
        if line.stages_ms:
            yield "        (" + ", ".join(f"{k} {v:.0f}" for k, v in line.stages_ms.items()) + ")"
    yield ""
    if record.spurts:
        yield f"First bot audio after {_ms(record.spurts[0].start_s)} ms."
    for number, turn in enumerate(exchanges(record), start=1):
        answer = (
            "no answer" if turn.latency_ms is None else f"answer after {turn.latency_ms:.0f} ms"
        )
        silenced = (
            "" if turn.silenced_ms is None else f", bot silent after {turn.silenced_ms:.0f} ms"
        )
        yield f"Turn {number}: {answer}{silenced}."
    yield from _remarks(report)


def _remarks(report: Report) -> Iterator[str]:
    record = report.record
    if record.underruns:
        longest_ms = _ms(max(hole.length_s for hole in record.underruns))
        yield f"The bot's audio ran dry {len(record.underruns)} times, at most for {longest_ms} ms."
    for warning in report.twiml_warnings:
        yield f"TwiML warning {warning}"
    for finding in record.findings:
        yield f"Twilio would object: {finding.code} {finding.reason} (x{finding.count})."
    if not report.journaled:
        yield "The server's journal does not hold this call; the transcript is the script's."
    if report.recording:
        yield f"Recording: {report.recording} ({report.recording_s:.1f} s, caller left, bot right)."
    yield f"Call {report.stream.call_sid}: {record.duration_s:.1f} s, ended by {record.ended_by}."


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()
    }


def _spurt(spurt: Spurt) -> dict[str, Any]:
    return {
        "from_ms": _ms(spurt.start_s),
        "to_ms": _ms(spurt.end_s),
        "unheard_ms": _ms(spurt.cut_s),
        "underruns": spurt.underruns,
    }


def _hole(hole: Hole) -> dict[str, Any]:
    return {"at_ms": _ms(hole.start_s), "length_ms": _ms(hole.length_s)}
