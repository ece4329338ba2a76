from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.replay.rates import MOST_BINS, Rates

MOMENTS = st.floats(0, 1e6)


@given(st.lists(st.tuples(st.integers(1, 3), MOMENTS, MOMENTS, st.integers(0, 10**9)), max_size=20))
def test_no_byte_is_lost_whatever_the_times(added: list[tuple[int, float, float, int]]) -> None:
    rates = Rates(0.0)
    for source, one, other, count in added:
        rates.add(source, min(one, other), max(one, other), count)
    assert rates.count <= MOST_BINS
    for source in (1, 2, 3):
        told = sum(rates.of(source)) * rates.width_s
        assert told == pytest.approx(sum(count for number, _, _, count in added if number == source), rel=1e-6)


def test_an_even_flow_is_even() -> None:
    rates = Rates(100.0)
    rates.add(1, 100.0, 110.0, 5000)
    assert rates.of(1)[:-1] == pytest.approx([500.0] * (rates.count - 1))
    assert rates.of(2) == [0.0] * rates.count


def test_long_times_make_wide_bins() -> None:
    rates = Rates(0.0)
    rates.add(1, 0.0, 1.0, 1000)
    rates.add(1, 1e9, 1e9, 1000)
    assert rates.count <= MOST_BINS
    assert sum(rates.of(1)) * rates.width_s == pytest.approx(2000)
