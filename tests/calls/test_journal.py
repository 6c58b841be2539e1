"""The journal: batches, retries, and what is dropped when nothing can be written."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from apps.bots.models import TwilioConfig
from apps.calls.entries import CallBegan, CallFinished, Entry, Happened, TurnTaken
from apps.calls.journal import BATCH, EVENTS_UP_TO, QUEUE, JournalWriter
from apps.calls.models import Call, CallEvent, Turn, call_id
from apps.calls.services import entries_write

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def began(config: TwilioConfig, *, stream_sid: str = "MZ1") -> CallBegan:
    assert config.current is not None
    return CallBegan(
        call_id=call_id(account_id=config.account_id, call_sid="CA1"),
        account_id=str(config.account_id),
        config_id=str(config.id),
        version_id=config.current.id,
        call_sid="CA1",
        stream_sid=stream_sid,
        at=NOW,
    )


def turn(call: uuid.UUID, index: int, *, stream_sid: str = "MZ1") -> TurnTaken:
    values: dict[str, Any] = {"index": index, "role": "bot", "text_said": f"turn {index}"}
    return TurnTaken(call, stream_sid, {**values, "started_at": NOW, "ended_at": NOW})


def event(kind: str = "dtmf") -> Happened:
    return Happened(uuid.uuid4(), NOW, kind, {})


class Shelf:
    """A store that can be broken."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.batches: list[int] = []
        self.failures = 0

    def write(self, entries: Sequence[Entry]) -> None:
        if self.failures:
            self.failures -= 1
            raise OperationalError("gone")
        self.batches.append(len(entries))
        self.entries += entries


def test_a_call_is_written_whole(config: TwilioConfig) -> None:
    start = began(config)
    entries_write(
        [
            start,
            turn(start.call_id, 0),
            Happened(start.call_id, NOW, "dtmf", {}),
            CallFinished(start.call_id, "MZ1", NOW, "caller_hung_up"),
        ]
    )
    call = Call.objects.get()
    assert (call.status, call.end_reason, call.ended_at) == ("completed", "caller_hung_up", NOW)
    assert [found.text_said for found in call.turns.all()] == ["turn 0"]
    assert CallEvent.objects.get().kind == "dtmf"


def test_writing_a_batch_twice_changes_nothing(config: TwilioConfig) -> None:
    start = began(config)
    for _ in range(2):
        entries_write([start, turn(start.call_id, 0)])
    assert Call.objects.count() == 1
    assert Turn.objects.count() == 1


def test_the_end_of_a_replaced_stream_does_not_end_the_call(config: TwilioConfig) -> None:
    first, second = began(config), began(config, stream_sid="MZ2")
    entries_write([first, turn(first.call_id, 0)])
    entries_write([second, turn(first.call_id, 0, stream_sid="MZ2")])
    entries_write([CallFinished(first.call_id, "MZ1", NOW, "replaced")])
    call = Call.objects.get()
    assert (call.stream_sid, call.status) == ("MZ2", "in-progress")
    assert Turn.objects.count() == 2


def test_two_streams_of_one_call_in_one_batch_are_one_call(config: TwilioConfig) -> None:
    entries_write([began(config), began(config, stream_sid="MZ2")])
    assert Call.objects.get().stream_sid == "MZ2"


def cost_line(stream_sid: str, slot: str, usd: str | None, *, complete: bool = True) -> Any:
    named = {"stream_sid": stream_sid, "slot": slot, "provider": "x", "model": "y", "units": {}}
    return {**named, "cost_usd": usd, "is_complete": complete}


def finish(start: CallBegan, stream_sid: str, *lines: Any) -> None:
    reason = "caller_hung_up"
    entries_write([CallFinished(start.call_id, stream_sid, NOW, reason, costs=lines)])


def test_a_call_costs_the_sum_of_its_slots(config: TwilioConfig) -> None:
    entries_write([start := began(config)])
    finish(start, "MZ1", cost_line("MZ1", "llm", "0.25"), cost_line("MZ1", "tts", "0.00000001"))
    call = Call.objects.get()
    assert (call.cost_usd, call.cost_is_complete) == (Decimal("0.25000001"), True)


@pytest.mark.parametrize(
    ("lines", "usd"),
    [
        ([("llm", "0.25", True), ("tts", None, False)], Decimal("0.25")),
        ([("llm", "0.25", False), ("tts", "0.5", True)], Decimal("0.75")),
        ([("llm", None, False)], None),
    ],
)
def test_an_unknown_part_makes_the_cost_a_lower_bound(
    config: TwilioConfig, lines: list[tuple[str, str | None, bool]], usd: Decimal | None
) -> None:
    entries_write([start := began(config)])
    finish(start, "MZ1", *(cost_line("MZ1", slot, cost, complete=c) for slot, cost, c in lines))
    call = Call.objects.get()
    assert call.cost_usd == usd
    assert not call.cost_is_complete


def test_the_cost_of_a_batch_that_is_written_twice_counts_once(config: TwilioConfig) -> None:
    entries_write([start := began(config)])
    for _ in range(2):
        finish(start, "MZ1", cost_line("MZ1", "llm", "0.25"))
    assert Call.objects.get().cost_usd == Decimal("0.25")


def test_a_replaced_stream_adds_its_cost_even_after_the_call_has_ended(
    config: TwilioConfig,
) -> None:
    entries_write([start := began(config), began(config, stream_sid="MZ2")])
    finish(start, "MZ2", cost_line("MZ2", "llm", "0.5"))
    finish(start, "MZ1", cost_line("MZ1", "llm", "0.25"))
    call = Call.objects.get()
    assert (call.stream_sid, call.status, call.cost_usd) == ("MZ2", "completed", Decimal("0.75"))
    assert [line["stream_sid"] for line in call.costs] == ["MZ2", "MZ1"]


def test_the_end_of_a_call_that_was_never_written_is_passed_over(config: TwilioConfig) -> None:
    entries_write([CallFinished(began(config).call_id, "MZ1", NOW, "caller_hung_up", costs=[])])
    assert not Call.objects.exists()


async def test_entries_are_written_in_batches_and_in_order() -> None:
    shelf = Shelf()
    writer = JournalWriter(shelf.write)
    entries = [event(f"e{number}") for number in range(BATCH + 10)]
    for entry in entries:
        writer.record(entry)
    await writer.aclose()
    assert shelf.entries == entries
    assert shelf.batches == [BATCH, 10]


async def test_a_database_that_comes_back_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.calls.journal.RETRY_S", (0.0, 0.0))
    shelf = Shelf()
    shelf.failures = 2
    writer = JournalWriter(shelf.write)
    writer.record(event())
    await writer.aclose()
    assert len(shelf.entries) == 1


async def test_one_entry_that_cannot_be_written_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("apps.calls.journal.RETRY_S", ())
    written: list[Entry] = []

    def picky(entries: Sequence[Entry]) -> None:
        if any(isinstance(entry, Happened) and entry.kind == "poison" for entry in entries):
            raise ValueError("poison")
        written.extend(entries)

    writer = JournalWriter(picky)
    for kind in ("one", "poison", "two"):
        writer.record(event(kind))
    await writer.aclose()
    assert [entry.kind for entry in written if isinstance(entry, Happened)] == ["one", "two"]
    assert "A journal entry was lost" in caplog.text


async def test_a_full_journal_drops_events_before_turns() -> None:
    shelf = Shelf()
    writer = JournalWriter(shelf.write)
    call = uuid.uuid4()
    for number in range(QUEUE):
        writer.record(event() if number % 2 else turn(call, number))
    turns = [entry for entry in writer._queue if isinstance(entry, TurnTaken)]
    assert len(turns) == QUEUE // 2
    for _ in range(QUEUE):
        writer.record(event())
    assert len(writer._queue) == EVENTS_UP_TO + (len(turns) - EVENTS_UP_TO // 2)
    await writer.aclose()
