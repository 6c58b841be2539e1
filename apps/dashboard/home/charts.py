"""The last day in bars and lines: where each shape stands in its picture, and what it says.

Pure: templates draw it as SVG. Percentages, so that a picture fills whatever width it has, and its
text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from apps.calls.statistics.figures import Outcome
from apps.calls.statistics.selectors import Hour
from apps.dashboard.home.words import OUTCOMES, cost_words, ms_words

# What is kept free between two bars, as a share of an hour's width.
_GAP = 0.25
# Every so many hours have a name below.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Shape:
    """A bar, line or dot. look: its class. The rest in percent; y is from the top."""

    look: str
    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    x2: float = 0.0
    y2: float = 0.0


@dataclass(frozen=True, slots=True)
class Column:
    """One hour. text: all that is to be known of it. cells: the same, of the table."""

    x: float
    width: float
    name: str
    text: str
    cells: Sequence[str]
    shapes: Sequence[Shape] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its table. marks: names at the middle and the top of its scale.

    heads: of the table's columns, behind the hour. legend: classes and what they stand for.
    """

    id: str
    title: str
    columns: Sequence[Column]
    marks: tuple[str, str]
    heads: Sequence[str]
    legend: Sequence[tuple[str, str]] = ()
    lines: Sequence[Shape] = field(default_factory=tuple)
    is_empty: bool = False

    @property
    def named(self) -> Sequence[Column]:
        """The hours that have a name below the picture."""
        return self.columns[::_NAMED]

    @property
    def latest(self) -> Column:
        return self.columns[-1]


def charts(hours: Sequence[Hour]) -> list[Chart]:
    """Draw hours: calls by how they went, how long callers waited for answers, and cost."""
    return [_calls(hours), _answers(hours), _cost(hours)]


def _calls(hours: Sequence[Hour]) -> Chart:
    top = nice(max(hour.figures.calls for hour in hours))

    def column(place: int, hour: Hour) -> Column:
        counts = hour.figures.outcomes
        x, width = _place(place, len(hours))
        shapes, foot = [], 100.0
        for outcome in Outcome:
            height = _share(counts[outcome], top)
            foot -= height
            if height:
                shapes.append(Shape(f"bc-bar-{outcome}", *_bar(x, width, foot, height)))
        said = [f"{counts[one]} {OUTCOMES[one]}" for one in Outcome if counts[one]]
        name = _name(hour.begins)
        text = f"{name}: {', '.join(said) or 'no calls'}"
        cells = [str(counts[outcome]) for outcome in Outcome]
        return Column(x, width, name, text, cells, shapes)

    return Chart(
        id="chart-calls",
        title="Calls",
        columns=_columns(hours, column),
        marks=(f"{top / 2:g}", f"{top:g}"),
        heads=[OUTCOMES[outcome].capitalize() for outcome in Outcome],
        legend=[(f"bc-bar-{outcome}", OUTCOMES[outcome]) for outcome in Outcome],
        is_empty=not any(hour.figures.calls for hour in hours),
    )


def _answers(hours: Sequence[Hour]) -> Chart:
    top = nice(max(hour.figures.answers.p95 or 0 for hour in hours))
    lines: dict[str, list[tuple[float, float]]] = {"bc-line-p95": [], "bc-line-p50": []}

    def column(place: int, hour: Hour) -> Column:
        found = hour.figures.answers
        x, width = _place(place, len(hours))
        shapes = []
        for look, value in (("bc-line-p95", found.p95), ("bc-line-p50", found.p50)):
            if value is not None:
                y = 100 - _share(value, top)
                lines[look].append((x + width / 2, y))
                shapes.append(Shape(look, x + width / 2, y))
        name = _name(hour.begins)
        told = f"p50 {ms_words(found.p50)}, p95 {ms_words(found.p95)}"
        text = f"{name}: {told if found.count else 'no answers'}"
        cells = [ms_words(found.p50), ms_words(found.p95), str(found.count)]
        return Column(x, width, name, text, cells, shapes)

    columns = _columns(hours, column)
    return Chart(
        id="chart-answers",
        title="Turn latency",
        columns=columns,
        marks=(ms_words(round(top / 2)), ms_words(round(top))),
        heads=("p50", "p95", "Answers"),
        legend=[("bc-line-p50", "half within (p50)"), ("bc-line-p95", "95 % within (p95)")],
        lines=[line for look, points in lines.items() for line in _lines(look, points, len(hours))],
        is_empty=not any(hour.figures.answers.count for hour in hours),
    )


def _cost(hours: Sequence[Hour]) -> Chart:
    top = nice(float(max(hour.figures.cost_usd for hour in hours)))

    def column(place: int, hour: Hour) -> Column:
        figures = hour.figures
        x, width = _place(place, len(hours))
        height = _share(float(figures.cost_usd), top)
        shapes = [Shape("bc-bar-cost", *_bar(x, width, 100 - height, height))] if height else []
        name, cost = _name(hour.begins), cost_words(figures)
        return Column(x, width, name, f"{name}: {cost}", [cost], shapes)

    return Chart(
        id="chart-cost",
        title="Cost",
        columns=_columns(hours, column),
        marks=(_dollars(top / 2), _dollars(top)),
        heads=("Cost",),
        is_empty=not any(hour.figures.cost_usd for hour in hours),
    )


# --- inside ---------------------------------------------------------------------------------------


def nice(value: float) -> float:
    """Return a round number that is not below the value; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (step * power for step in (1, 2, 4, 5, 6, 8, 10))
    return next((step for step in steps if step >= value * (1 - 1e-9)), 10 * power)


def _columns(hours: Sequence[Hour], column: Callable[[int, Hour], Column]) -> list[Column]:
    return [column(place, hour) for place, hour in enumerate(hours)]


def _place(place: int, count: int) -> tuple[float, float]:
    width = 100 / count
    return round(place * width, 3), round(width, 3)


def _bar(x: float, width: float, y: float, height: float) -> tuple[float, float, float, float]:
    inset = width * _GAP / 2
    return round(x + inset, 3), round(y, 3), round(width - 2 * inset, 3), round(height, 3)


def _share(value: float, top: float) -> float:
    return round(100 * value / top, 3)


def _lines(look: str, points: Sequence[tuple[float, float]], count: int) -> list[Shape]:
    """Join hours that follow one another; a gap is an hour without answers."""
    step = 1.5 * 100 / count
    return [
        Shape(look, x=x, y=y, x2=x2, y2=y2)
        for (x, y), (x2, y2) in zip(points, points[1:], strict=False)
        if x2 - x < step
    ]


def _name(begins: datetime) -> str:
    return f"{timezone.localtime(begins):%H:%M}"


def _dollars(usd: float) -> str:
    return f"${Decimal(str(usd)).normalize():f}"
