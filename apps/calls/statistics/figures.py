"""What a set of calls that are over comes to, and how that is counted and kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.expressions import Combinable

from apps.calls.models import Call
from apps.calls.statistics.spread import Spread


class Outcome(StrEnum):
    """How a call went, for people."""

    HELD = "held"
    UNANSWERED = "unanswered"
    FAILED = "failed"
    CANCELED = "canceled"


class Ending(NamedTuple):
    """How a call ended: ``Call.status``, its ``end_reason``, and Twilio's number, if any."""

    status: str
    reason: str
    code: str

    @property
    def outcome(self) -> Outcome:
        if self.status == Call.Status.COMPLETED:
            return Outcome.FAILED if self.reason in BROKE_OFF else Outcome.HELD
        return _OUTCOMES.get(self.status, Outcome.FAILED)

    @property
    def is_failure(self) -> bool:
        """Somebody was not reached, or was lost."""
        return self.outcome in (Outcome.FAILED, Outcome.UNANSWERED)


# Calls that were held, and ended as nobody wanted.
BROKE_OFF = frozenset(
    (
        *("connection_lost", "gateway_lost", "internal_error", "line_lost", "line_stuck"),
        *("provider_failure", "reaped_no_stream", "shutdown"),
    )
)
_OUTCOMES: Mapping[str, Outcome] = {
    Call.Status.BUSY: Outcome.UNANSWERED,
    Call.Status.NO_ANSWER: Outcome.UNANSWERED,
    Call.Status.CANCELED: Outcome.CANCELED,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What calls that are over came to. Two add up to the figures of both.

    endings: how many ended how. cost_usd: the sum of what is known; unpriced: of how many a part is
    not. first_words: from when somebody could speak to the bot's first audio. answers: from the end
    of the caller's speech to the first audio of the bot's answer; of turns, not calls.
    """

    endings: Mapping[Ending, int] = field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    first_words: Spread = Spread()
    answers: Spread = Spread()

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            Counter(self.endings) + Counter(other.endings),
            self.cost_usd + other.cost_usd,
            self.unpriced + other.unpriced,
            self.first_words + other.first_words,
            self.answers + other.answers,
        )

    @property
    def calls(self) -> int:
        return sum(self.endings.values())

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many calls went how; every outcome is there."""
        found = dict.fromkeys(Outcome, 0)
        for ending, count in self.endings.items():
            found[ending.outcome] += count
        return found

    @property
    def failures(self) -> list[tuple[Ending, int]]:
        """How many calls failed how, the most frequent first."""
        found = [(ending, count) for ending, count in self.endings.items() if ending.is_failure]
        return sorted(found, key=lambda one: (-one[1], one[0]))


def figures_by(calls: QuerySet[Call], key: Combinable) -> dict[Any, Figures]:
    """Count calls that are over, apart by ``key``. Three queries, however many there are."""
    rows: QuerySet[Any] = calls.order_by().annotate(key=key)
    ends = rows.values("key", "status", "end_reason", "error_code").annotate(
        n=Count("pk"), usd=Sum("cost_usd"), unpriced=Count("pk", filter=_UNPRICED)
    )
    endings: dict[Any, Counter[Ending]] = defaultdict(Counter)
    usd: dict[Any, Decimal] = defaultdict(Decimal)
    unpriced: Counter[Any] = Counter()
    for row in ends:
        endings[row["key"]][Ending(row["status"], row["end_reason"], row["error_code"])] = row["n"]
        usd[row["key"]] += row["usd"] or 0
        unpriced[row["key"]] += row["unpriced"]
    first_words, answers = _spreads(rows, "first_word_ms"), _spreads(rows, "turns__answer_ms")
    return {
        found: Figures(
            endings[found],
            usd[found],
            unpriced[found],
            first_words.get(found, Spread()),
            answers.get(found, Spread()),
        )
        for found in endings
    }


# A call in which no stream began has cost nothing here.
_UNPRICED = Q(cost_is_complete=False) & ~Q(stream_sid="")


def _spreads(rows: QuerySet[Any], path: str) -> dict[Any, Spread]:
    known = rows.filter(**{f"{path}__isnull": False})
    counted: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    for row in known.values("key", ms=F(path)).annotate(n=Count("pk")):
        counted[row["key"]].append((row["ms"], row["n"]))
    return {key: Spread.of(values) for key, values in counted.items()}


# --- as they are kept -----------------------------------------------------------------------------


def figures_store(figures: Figures) -> dict[str, Any]:
    """Return figures as JSON."""
    return {
        "endings": [[*ending, count] for ending, count in figures.endings.items()],
        "cost_usd": str(figures.cost_usd),
        "unpriced": figures.unpriced,
        "first_words": {str(ms): count for ms, count in figures.first_words.counts.items()},
        "answers": {str(ms): count for ms, count in figures.answers.counts.items()},
    }


def figures_load(kept: Mapping[str, Any]) -> Figures:
    """Read what ``figures_store`` returned."""
    return Figures(
        {Ending(*ending): count for *ending, count in kept["endings"]},
        Decimal(kept["cost_usd"]),
        kept["unpriced"],
        *(
            Spread({int(ms): count for ms, count in kept[name].items()})
            for name in ("first_words", "answers")
        ),
    )
