"""Pictures of the last day: what they show, and that they show it to those who cannot see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.calls.statistics.figures import Ending, Figures
from apps.calls.statistics.selectors import Hour
from apps.calls.statistics.spread import Spread
from apps.dashboard.home.charts import Chart, charts, nice

BEGINS = datetime(2026, 1, 2, 3, tzinfo=UTC)
HELD, LOST = Ending("completed", "bot_ended", ""), Ending("completed", "gateway_lost", "")


def drawn(*figures: Figures) -> list[Chart]:
    with timezone.override("UTC"):
        return charts([Hour(BEGINS + timedelta(hours=n), one) for n, one in enumerate(figures)])


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_scale_is_round_and_not_far_above_its_values(value: float) -> None:
    top = nice(value)
    assert value <= top * (1 + 1e-9)
    assert top <= value * 2.0001


def test_bars_stand_on_one_another_from_the_ground() -> None:
    (calls, _, _) = drawn(Figures({HELD: 3, LOST: 1}), Figures())
    held, failed = calls.columns[0].shapes
    assert (held.look, failed.look) == ("bc-bar-held", "bc-bar-failed")
    assert held.y + held.height == pytest.approx(100)
    assert failed.y + failed.height == pytest.approx(held.y)
    assert calls.columns[1].shapes == []
    assert calls.columns[0].text == "03:00: 3 held, 1 failed"
    assert calls.columns[1].text == "04:00: no calls"


def test_lines_break_where_nobody_was_answered() -> None:
    some = Figures(answers=Spread.of([(500, 9), (1_500, 1)]))
    (_, answers, _) = drawn(some, some, Figures(), some)
    assert len([line for line in answers.lines if line.look == "bc-line-p50"]) == 1
    assert answers.columns[0].cells == ["504 ms", "1.5 s", "10"]
    assert answers.columns[2].text == "05:00: no answers"


def test_costs_say_whether_they_are_all() -> None:
    (_, _, cost) = drawn(Figures({HELD: 2}, cost_usd=Decimal("2.5"), unpriced=1))
    assert cost.columns[0].text == "03:00: at least $2.50"


def test_a_day_without_anything_can_be_drawn() -> None:
    assert all(chart.is_empty for chart in drawn(Figures(), Figures()))


def test_a_picture_is_well_formed_and_its_table_says_the_same() -> None:
    for chart in drawn(Figures({HELD: 3}, answers=Spread.of([(500, 1)])), Figures()):
        html = render_to_string("dashboard/home/_chart.html", {"chart": chart})
        picture = ElementTree.fromstring(html)
        (svg,) = picture.iter("svg") if not chart.legend else list(picture.iter("svg"))[-1:]
        assert svg.get("role") == "img"
        assert svg.find("title") is not None
        rows = [[cell.text for cell in row] for row in picture.iter("tr")][1:]
        assert rows == [[column.name, *column.cells] for column in chart.columns]
