"""Whose words they are: orders in which vendors speak, without any vendor. Times are ms here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers import failures
from apps.providers.live_words import Said, Utterance, Utterances
from apps.voice.ports import Final, Partial, TranscriptEvent, TranscriptionFailed, TurnEnded

MS = 8


class Book:
    """Utterances, what they told, and a vendor's flushes by number."""

    def __init__(self, *, endpoints: bool = False) -> None:
        self.told: list[TranscriptEvent] = []
        self.left: list[int] = []
        self.words = Utterances(self.told.append, self._left, endpoints=endpoints)
        self._ticket = 0

    def _left(self, utterance: Utterance) -> None:
        self.left.append(utterance.number)

    def flush(self, utterance: Utterance | None, at: int) -> int:
        assert utterance is not None
        self._ticket += 1
        self.words.flushing(self._ticket, utterance, at * MS)
        return self._ticket

    def said(self, text: str, start: int, end: int, **more: Any) -> None:
        through = more.pop("through", None)
        reached = None if through is None else through * MS
        began, ended = (start * MS, end * MS) if text else (None, None)
        self.words.said(Said(text, True, began, ended, reached, **more))

    def guess(self, text: str, start: int, end: int) -> None:
        self.words.said(Said(text, False, start * MS, end * MS))

    def utterance(self, number: int, start: int, end: int) -> Utterance | None:
        """One that begins and is finished at once, 300 ms after its last word."""
        self.words.begin(number, (start + 200) * MS)
        self.words.pause((end + 100) * MS)
        return self.words.finish((end + 300) * MS)

    def finals(self) -> list[tuple[int, str]]:
        return [(e.utterance, e.text) for e in self.told if isinstance(e, Final)]


def test_pieces_are_joined_when_the_flush_is_answered() -> None:
    book = Book()
    ended = book.utterance(1, 1_000, 3_000)
    book.flush(ended, 3_300)
    book.said("my number is", 1_000, 2_000, through=2_000)
    assert book.finals() == []
    book.said("five five", 2_100, 3_000, through=3_300, flushed=True)
    assert book.finals() == [(1, "my number is five five")]


def test_words_that_were_final_before_the_end_need_no_answer() -> None:
    book = Book()
    book.words.begin(1, 1_200 * MS)
    book.said("yes", 1_000, 1_400, through=1_500)
    book.words.pause(1_500 * MS)
    book.said("", 0, 0, through=1_500)
    assert book.words.finish(1_700 * MS) is None
    assert book.finals() == [(1, "yes")]


def test_an_answer_to_an_earlier_flush_does_not_end_a_later_utterance() -> None:
    book = Book()
    first = book.utterance(1, 1_000, 2_000)
    book.flush(first, 2_300)
    second = book.utterance(2, 3_000, 4_000)
    book.flush(second, 4_300)
    book.said("one", 1_000, 2_000, through=2_300, flushed=True)
    assert book.finals() == [(1, "one")]
    book.said("two", 3_000, 4_000, through=4_300, flushed=True)
    assert book.finals() == [(1, "one"), (2, "two")]


def test_a_flush_that_the_vendor_skipped_is_answered_by_the_next() -> None:
    book = Book()
    book.flush(book.utterance(1, 1_000, 2_000), 2_300)
    book.flush(book.utterance(2, 3_000, 4_000), 4_300)
    book.said("two", 3_000, 4_000, through=4_300, flushed=True)
    assert sorted(book.finals()) == [(1, ""), (2, "two")]


def test_an_answer_that_tells_a_little_less_than_was_sent_is_an_answer() -> None:
    book = Book()
    book.flush(book.utterance(1, 1_000, 2_000), 2_300)
    book.said("one", 1_000, 2_000, through=2_180, flushed=True)
    assert book.finals() == [(1, "one")]


def test_answers_by_number_may_come_in_any_order() -> None:
    book = Book()
    one = book.flush(book.utterance(1, 1_000, 2_000), 2_300)
    two = book.flush(book.utterance(2, 3_000, 4_000), 4_300)
    book.words.said(Said("two", True, flushed=True, ticket=two))
    book.words.said(Said("one", True, flushed=True, ticket=one))
    assert book.finals() == [(2, "two"), (1, "one")]


def test_words_of_a_concluded_utterance_do_not_leak_into_the_next() -> None:
    book = Book()
    ended = book.utterance(1, 1_000, 2_000)
    ticket = book.flush(ended, 2_300)
    assert ended is not None
    book.words.conclude(ended)  # nothing came for long
    book.words.begin(2, 3_200 * MS)
    book.said("too late", 1_000, 2_000, through=2_300, flushed=True)
    book.words.said(Said("too late by number", True, flushed=True, ticket=ticket))
    book.said("two", 3_000, 4_000, through=4_000)
    book.flush(book.words.finish(4_300 * MS), 4_300)
    book.said("", 0, 0, through=4_300, flushed=True)
    assert book.finals() == [(1, ""), (2, "two")]


def test_an_answer_whose_utterance_is_over_does_not_end_the_next() -> None:
    book = Book()
    first = book.utterance(1, 1_000, 2_000)
    book.flush(first, 2_300)
    assert first is not None
    book.words.conclude(first)
    book.flush(book.utterance(2, 3_000, 4_000), 4_300)
    book.said("", 0, 0, through=2_300, flushed=True)
    assert book.finals() == [(1, "")]
    book.said("two", 3_000, 4_000, through=4_300, flushed=True)
    assert book.finals() == [(1, ""), (2, "two")]


def test_words_that_begin_after_the_end_are_the_next_utterances() -> None:
    book = Book()
    ended = book.utterance(1, 1_000, 2_000)
    book.words.begin(2, 2_500 * MS)
    book.said("two", 2_400, 2_900)
    book.flush(ended, 2_300)
    book.said("one", 1_000, 2_000, through=2_300, flushed=True)
    book.flush(book.words.finish(3_200 * MS), 3_200)
    book.said("", 0, 0, through=3_200, flushed=True)
    assert book.finals() == [(1, "one"), (2, "two")]


def test_words_before_the_mark_count_but_not_those_of_long_ago() -> None:
    book = Book()
    book.said("television", 100, 500)
    book.said("yes", 9_600, 9_900, through=10_000)
    book.words.begin(1, 10_000 * MS)
    book.flush(book.words.finish(10_300 * MS), 10_300)
    book.said("", 0, 0, through=10_300, flushed=True)
    assert book.finals() == [(1, "yes")]


def test_a_turn_that_was_over_before_its_mark_is_known_at_the_mark() -> None:
    book = Book(endpoints=True)
    book.said("yes", 9_600, 9_900, turn_over=True)
    assert book.words.begin(1, 10_000 * MS)
    assert book.words.finish(10_300 * MS) is None
    assert book.finals() == [(1, "yes")]


def test_who_endpoints_says_so_and_who_does_not_is_silent() -> None:
    for endpoints in (True, False):
        book = Book(endpoints=endpoints)
        book.words.begin(1, 1_200 * MS)
        book.said("yes", 1_000, 1_400, turn_over=True)
        ended = [event for event in book.told if isinstance(event, TurnEnded)]
        assert ended == ([TurnEnded(1)] if endpoints else [])
        assert book.words.finish(1_700 * MS) is None
        assert book.finals() == [(1, "yes")]


def test_an_engine_that_finishes_when_it_is_told_so_gets_its_words_at_once() -> None:
    told: list[TranscriptEvent] = []

    def take(event: TranscriptEvent) -> None:
        told.append(event)
        if isinstance(event, TurnEnded):
            words.finish(1_700 * MS)

    words = Utterances(take, lambda _: None, endpoints=True)
    words.begin(1, 1_200 * MS)
    words.said(Said("yes", True, 1_000 * MS, 1_400 * MS, turn_over=True))
    assert told[-1] == Final(1, "yes")
    assert len([event for event in told if isinstance(event, Final)]) == 1


def test_a_guess_after_the_pauses_answer_keeps_the_utterance_waiting() -> None:
    book = Book()
    book.words.begin(1, 1_200 * MS)
    book.words.pause(1_500 * MS)
    book.flush(book.words.open, 1_500)
    book.said("yes", 1_000, 1_400, through=1_500, flushed=True)
    book.guess("please", 1_550, 1_650)
    ended = book.words.finish(1_700 * MS)
    assert ended is not None and book.finals() == []
    assert not ended.tickets  # a new flush is needed
    book.flush(ended, 1_700)
    book.said("please", 1_550, 1_650, through=1_700, flushed=True)
    assert book.finals() == [(1, "yes please")]


def test_a_caller_who_resumed_is_not_done_by_the_pauses_answer() -> None:
    book = Book()
    book.words.begin(1, 1_200 * MS)
    book.words.pause(1_500 * MS)
    book.flush(book.words.open, 1_500)
    book.words.resume()
    book.said("yes", 1_000, 1_400, through=1_500, flushed=True)
    book.words.pause(2_500 * MS)
    ended = book.words.finish(2_700 * MS)
    assert ended is not None
    book.flush(ended, 2_700)
    book.said("please", 2_000, 2_400, through=2_700, flushed=True)
    assert book.finals() == [(1, "yes please")]


def test_after_a_lost_connection_nothing_is_outstanding_and_nothing_is_settled() -> None:
    book = Book()
    ended = book.utterance(1, 1_000, 2_000)
    book.flush(ended, 2_300)
    book.guess("on", 1_000, 1_500)
    book.words.lost()
    assert book.words.needed(5_000 * MS) <= 1_000 * MS
    book.flush(ended, 2_300)
    book.said("one", 1_000, 2_000, through=2_300, flushed=True)
    assert book.finals() == [(1, "one")]


def test_a_failure_is_told_once() -> None:
    book = Book()
    ended = book.utterance(1, 1_000, 2_000)
    assert ended is not None
    book.words.fail(ended, failures.silent("acme"))
    book.words.fail(ended, failures.silent("acme"))
    book.words.conclude(ended)
    assert [type(event) for event in book.told] == [TranscriptionFailed]
    assert book.left == [1]


def test_partials_hold_all_words_so_far_and_are_not_repeated() -> None:
    book = Book()
    book.words.begin(1, 1_200 * MS)
    book.said("my number", 1_000, 1_800)
    for _ in range(2):
        book.guess("is five", 1_900, 2_300)
    partials = [event.text for event in book.told if isinstance(event, Partial)]
    assert partials == ["my number", "my number is five"]


@pytest.mark.parametrize("kept", [True, False])
def test_audio_is_kept_from_the_last_final_word_on(kept: bool) -> None:
    book = Book()
    assert book.words.needed(20_000 * MS) == (20_000 - 1_500) * MS
    book.words.begin(1, 20_000 * MS)
    assert book.words.needed(30_000 * MS) == (20_000 - 1_500) * MS
    if kept:
        book.said("my number", 20_000, 21_000)
        assert book.words.needed(30_000 * MS) == 21_000 * MS


@given(st.lists(st.sampled_from(["early", "answer", "pieces", "skip", "late"]), max_size=8))
def test_every_finished_utterance_has_one_end_and_only_its_own_words(ways: list[str]) -> None:
    book = Book()
    for number, way in enumerate(ways, 1):
        start = number * 10_000
        book.words.begin(number, (start + 200) * MS)
        text = f"words {number}"
        if way == "early":
            book.said(text, start, start + 900, through=start + 1_200)
        book.words.pause((start + 1_100) * MS)
        ended = book.words.finish((start + 1_300) * MS)
        if ended is None:
            continue
        book.flush(ended, start + 1_300)
        if way == "pieces":
            book.said(f"words {number}", start, start + 900)
            book.said("", 0, 0, through=start + 1_300, flushed=True)
        elif way == "answer":
            book.said(text, start, start + 900, through=start + 1_300, flushed=True)
        else:
            book.words.conclude(ended)
            if way == "late":
                book.said(text, start, start + 900, through=start + 1_300, flushed=True)
    assert [number for number, _ in book.finals()] == list(range(1, len(ways) + 1))
    for (number, text), way in zip(book.finals(), ways, strict=True):
        assert text == ("" if way in ("skip", "late") else f"words {number}")
