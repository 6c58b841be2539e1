"""Percentiles out of buckets, against the values themselves."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from apps.calls.statistics.spread import Spread, bucket

MS = st.integers(0, 200_000)


@given(MS)
def test_a_bucket_is_near_all_that_is_in_it(ms: int) -> None:
    assert abs(bucket(ms) - ms) <= 0.032 * ms
    assert bucket(bucket(ms)) == bucket(ms)


@given(MS, MS)
def test_buckets_keep_the_order(one: int, other: int) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


@given(st.lists(MS, min_size=1), st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_a_percentile_is_that_of_the_values_within_5_percent(
    values: list[int], share: float
) -> None:
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    found = Spread.of(Counter(values).items()).quantile(share)
    assert found is not None
    assert abs(found - exact) <= 0.05 * exact


@given(st.lists(MS), st.lists(MS))
def test_two_spreads_add_up(one: list[int], other: list[int]) -> None:
    both = Spread.of(Counter(one).items()) + Spread.of(Counter(other).items())
    assert both == Spread.of(Counter(one + other).items())
    assert both.count == len(one) + len(other)


def test_of_nothing_there_is_no_percentile() -> None:
    assert Spread().p50 is None
