"""However its signals come, a call ends once, the same way, and is told of once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.accounts.audit import Actor
from apps.accounts.services import account_create
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from apps.calls.callbacks import callbacks_sweep
from apps.calls.endings import call_close, ended_data, latency_of, started_data
from apps.calls.entries import CallBegan, CallFinished, Entry, TurnTaken
from apps.calls.models import Call, GatewayProcess, StreamPass, Turn, call_id
from apps.calls.reaping import calls_reap
from apps.calls.services import entries_write
from apps.webhooks.kinds import KINDS
from apps.webhooks.models import Endpoint, Event
from apps.webhooks.signing import secret_new
from tests.calls.test_calls_api import make_call
from tests.calls.test_reaping import Wakeful
from tests.calls.twilio_side import NOW, arrived
from tests.conftest import BODY

SECOND = timedelta(seconds=1)
GATEWAY = uuid.UUID(int=7)
COST = {
    **{"stream_sid": "MZ1", "slot": "llm", "provider": "x", "model": "y", "units": {}},
    **{"cost_usd": "0.25", "is_complete": True},
}


def listens(account_id: Any) -> None:
    Endpoint.objects.create(account_id=account_id, url="https://a.example", secret=secret_new())


def told(kind: str) -> list[dict[str, Any]]:
    return [event.data["call"] for event in Event.objects.filter(kind=kind)]


def journal_of(
    config: TwilioConfig, call: uuid.UUID, *, reason: str = "caller_hung_up", failed: bool = False
) -> list[Entry]:
    """What the gateway writes of a call with one turn."""
    assert config.current is not None
    began = CallBegan(
        call_id=call,
        account_id=str(config.account_id),
        config_id=str(config.id),
        version_id=config.current.id,
        call_sid="CA1",
        stream_sid="MZ1",
        at=NOW + SECOND,
        attempt=1,
        gateway=GATEWAY,
        cap_at=NOW + timedelta(days=1),
    )
    words = {"index": 0, "role": "bot", "text_said": "Hello.", "text_heard": "Hello."}
    times = {"started_at": NOW + 2 * SECOND, "ended_at": NOW + 3 * SECOND}
    return [
        began,
        TurnTaken(call, "MZ1", {**words, **times, "stages_ms": {"model": 640.0}}),
        CallFinished(call, "MZ1", NOW + 4 * SECOND, reason, failed, [COST]),
    ]


# --- what is told ---------------------------------------------------------------------------------


def test_the_end_is_told_with_transcript_latency_and_cost(config: TwilioConfig) -> None:
    listens(config.account_id)
    call = call_id(account_id=config.account_id, call_sid="CA1")
    entries_write(journal_of(config, call))
    (ended,) = told("call.ended")
    assert (ended["status"], ended["end_reason"]) == ("completed", "caller_hung_up")
    assert (ended["cost_usd"], ended["cost_is_complete"]) == ("0.25000000", True)
    assert ended["latency"] == {"first_word_ms": 1000.0, "p50_ms": 640.0, "p95_ms": 640.0}
    assert [turn["text_heard"] for turn in ended["turns"]] == ["Hello."]
    assert ended["duration_s"] == 3.0


def test_what_is_told_has_the_form_that_is_documented(config: TwilioConfig) -> None:
    call = make_call(config, ended_at=NOW, cost_usd=Decimal(1))
    Turn.objects.create(call=call, stream_sid="MZ1", index=0, started_at=NOW, ended_at=NOW)
    ended, example = ended_data(call), KINDS["call.ended"].example["call"]
    assert ended.keys() == example.keys()
    assert ended["latency"].keys() == example["latency"].keys()
    assert ended["turns"][0].keys() == example["turns"][0].keys()
    assert started_data(call).keys() == KINDS["call.started"].example["call"].keys()


def test_the_beginning_is_told_once_whatever_is_written_again(config: TwilioConfig) -> None:
    listens(config.account_id)
    call = call_id(account_id=config.account_id, call_sid="CA1")
    began = journal_of(config, call)[0]
    for _ in range(2):
        entries_write([began])
    (started,) = told("call.started")
    assert (started["status"], started["call_sid"]) == ("in-progress", "CA1")


def test_a_call_ends_once(config: TwilioConfig) -> None:
    listens(config.account_id)
    call = make_call(config)
    first = call_close(call, status="completed", reason="one", at=NOW)
    second = call_close(call, status="failed", reason="two", at=NOW)
    assert (first, second) == (True, False)
    assert [ended["end_reason"] for ended in told("call.ended")] == ["one"]


@pytest.mark.parametrize(
    ("gaps", "p50", "p95"),
    [
        ([], None, None),
        ([5.0], 5.0, 5.0),
        ([4.0, 1.0, 3.0, 2.0], 2.0, 4.0),
        ([float(gap) for gap in range(1, 101)], 50.0, 95.0),
    ],
)
def test_percentiles_are_of_the_answers(
    gaps: list[float], p50: float | None, p95: float | None
) -> None:
    call = Call(started_at=NOW)
    turns = [Turn(role="bot", started_at=NOW, stages_ms={"model": gap}) for gap in gaps]
    found = latency_of(call, turns)
    assert (found["p50_ms"], found["p95_ms"]) == (p50, p95)


def test_a_stream_that_comes_after_the_end_reopens_nothing(config: TwilioConfig) -> None:
    call = make_call(config, status="no-answer", end_reason="no_answer", ended_at=NOW)
    entries_write(journal_of(config, call.id))
    call.refresh_from_db()
    assert (call.status, call.end_reason, call.ended_at) == ("no-answer", "no_answer", NOW)
    assert (call.stream_sid, call.cost_usd) == ("MZ1", Decimal("0.25"))
    assert call.turns.count() == 1


def test_an_earlier_stream_that_is_written_late_takes_nothing_over(config: TwilioConfig) -> None:
    call = make_call(config, stream_sid="MZ2", attempts=2, gateway=uuid.UUID(int=8))
    entries_write(journal_of(config, call.id, reason="connection_lost"))
    call.refresh_from_db()
    assert (call.stream_sid, call.gateway, call.attempts) == ("MZ2", uuid.UUID(int=8), 2)
    assert (call.stream_ended_at, call.status) == (None, "in-progress")


# --- in any order ---------------------------------------------------------------------------------

ENDS = {
    "caller_hung_up": False,
    "bot_hung_up": False,
    "provider_failure": True,
    "connection_lost": False,
    "internal_error": True,
}
BROKEN = ("connection_lost", "internal_error")
STATUSES = ("initiated", "ringing", "in-progress", "completed")


@dataclass(frozen=True)
class Story:
    """A call's signals as they arrive: ``j0``-``j2`` of the journal, ``c0``-``c3`` of Twilio's,
    and ``sweep``. known: a call that we dialled, whose row is there before."""

    known: bool
    reason: str
    signals: Sequence[str] = field(default_factory=tuple)

    def has(self, signal: str) -> bool:
        return signal in self.signals


@st.composite
def stories(draw: st.DrawFn) -> Story:
    # A gateway writes in order until it is gone; it may write all of it again.
    written = [f"j{n}" for n in range(draw(st.integers(0, 3)))]
    written += written if draw(st.booleans()) else []
    called = draw(st.lists(st.sampled_from(["c0", "c1", "c2", "c3"]), max_size=7))
    signals: list[str] = []
    while written or called:
        take = written if written and (not called or draw(st.booleans())) else called
        signals.append(take.pop(0))
        if draw(st.booleans()):
            signals.append("sweep")
    return Story(draw(st.booleans()), draw(st.sampled_from(sorted(ENDS))), tuple(signals))


class AnyOrder(TestCase):
    @settings(max_examples=60)
    @given(stories())
    def test_a_call_ends_once_and_the_same_way(self, story: Story) -> None:
        config = _bot()
        call = _row(config, story)
        seen: list[tuple[Any, ...]] = []
        for number, signal in enumerate(story.signals):
            _arrives(config, call, story, signal, number)
            seen += _end_of(call)
        for later in (timedelta(hours=1), timedelta(hours=26)):
            callbacks_sweep(now=NOW + later)
            calls_reap(now=NOW + later, vigil=Wakeful())
            seen += _end_of(call)
        if not (story.known or story.has("j0")):
            assert not Call.objects.exists()
            return
        assert Call.objects.count() == 1
        assert len(set(seen)) == 1, "it left its end"
        _is_true(story)


def _bot() -> TwilioConfig:
    account = account_create(name="Hotel", actor=Actor())
    listens(account.id)
    # It lives as long as signals come.
    beat_at = NOW + 5 * SECOND
    GatewayProcess.objects.create(pk=GATEWAY, started_at=NOW, beat_at=beat_at)
    return config_create(account=account, draft=draft_read(BODY), actor=Actor())


def _row(config: TwilioConfig, story: Story) -> Call:
    """The call, written down if it is known before; a stream of it was let in, if there was one."""
    if story.known:
        values = {"status": "dialing", "direction": "outbound", "posted_at": NOW}
        call = make_call(config, "", **{"started_at": NOW, **values})
    else:
        found = call_id(account_id=config.account_id, call_sid="CA1")
        call = Call(id=found, account_id=config.account_id)
    if any(signal.startswith("j") for signal in story.signals):
        StreamPass.objects.create(call_id=call.id, attempt=1)
    return call


def _arrives(config: TwilioConfig, call: Call, story: Story, signal: str, number: int) -> None:
    if signal == "sweep":
        callbacks_sweep(now=NOW + 5 * SECOND)
        calls_reap(now=NOW + 5 * SECOND, vigil=Wakeful())
    elif signal.startswith("j"):
        entries = journal_of(config, call.id, reason=story.reason, failed=ENDS[story.reason])
        entries_write([entries[int(signal[1])]])
    else:
        place = int(signal[1])
        at = NOW + place * SECOND
        arrived(call, STATUSES[place], sequence=place, at=at, CallDuration="3", n=str(number))


def _end_of(call: Call) -> list[tuple[Any, ...]]:
    """The end as it stands; nothing while there is none."""
    found = Call.objects.filter(pk=call.pk).first()
    return [] if found is None or not found.is_over else [_what(found)]


def _what(call: Call) -> tuple[Any, ...]:
    return (call.status, call.end_reason, call.ended_at)


def _is_true(story: Story) -> None:
    call = Call.objects.get()
    assert call.is_over
    assert call.end_reason
    if story.has("j2") and story.reason not in BROKEN:
        status = "failed" if ENDS[story.reason] else "completed"
        assert (call.status, call.end_reason) == (status, story.reason)
    elif story.has("j2"):
        assert (call.status, call.end_reason) == ("completed", story.reason)
    elif story.has("c3"):
        assert (call.status, call.end_reason) == ("completed", "twilio_completed")
    elif story.has("j0"):
        assert (call.status, call.end_reason) == ("completed", "gateway_lost")
    if story.has("c3"):
        assert (call.twilio_status, call.billed_s) == ("completed", 3)
    (ended,) = told("call.ended")
    assert len(told("call.started")) == story.has("j0")
    assert len(ended["turns"]) == story.has("j1")
    assert ended["cost_usd"] == ("0.25000000" if story.has("j2") else None)
