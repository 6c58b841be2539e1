"""What a process tells Prometheus. Counted from the journal's batches, not on the audio path."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from apps.calls.entries import CallBegan, CallFinished, Entry, Happened, TurnTaken
from apps.core.routing import read_only

LAG_EVERY_S = 0.02

CALLS_LIVE = Gauge("botsconfig_calls_live", "Calls that this process holds")
CALLS_BEGUN = Counter("botsconfig_calls_begun", "Streams admitted")
CALLS_ENDED = Counter("botsconfig_calls_ended", "Streams ended", ["reason"])
EVENTS = Counter("botsconfig_call_events", "What happened in calls", ["kind"])
AUDIO_LOST = Counter(
    "botsconfig_audio_lost_messages", "Media messages that Twilio numbered and never sent"
)
ANSWER_SECONDS = Histogram(
    "botsconfig_answer_seconds",
    "End of the caller's speech to the first sound of the answer",
    buckets=(0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 5),
)
LOOP_LAG_SECONDS = Histogram(
    "botsconfig_loop_lag_seconds",
    "How late the event loop ran a timer of 20 ms",
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1),
)


async def lag_measure() -> None:
    """Measure the loop's lateness, for as long as it runs."""
    while True:
        due = time.monotonic() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        LOOP_LAG_SECONDS.observe(max(0.0, time.monotonic() - due))


def entries_count(entries: Sequence[Entry]) -> None:
    """Count what a batch of the journal holds."""
    for entry in entries:
        match entry:
            case CallBegan():
                CALLS_BEGUN.inc()
            case CallFinished(reason=reason):
                CALLS_ENDED.labels(reason).inc()
            case Happened(kind=kind, data=data):
                EVENTS.labels(kind).inc()
                if kind == "audio.lost":
                    AUDIO_LOST.inc(data["messages"])
            case TurnTaken(values=values):
                if stages := values["stages_ms"]:
                    ANSWER_SECONDS.observe(sum(stages.values()) / 1_000)


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus. Numbers of this process alone; no names, no ids."""
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
