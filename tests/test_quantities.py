from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.quantities import clock, duration, peers, percent, rate, size


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "0.98 KiB"), (1536, "1.50 KiB"), (256 << 20, "256 MiB"),
        (84_100_000, "80.2 MiB"), (1023.9 * 1024, "1.00 MiB"), (2**70, "1024 EiB"), (-5, "0 B"),
    ],
)  # fmt: skip
def test_sizes_have_three_figures(amount: float, text: str) -> None:
    assert size(amount) == text


@given(st.integers(0, 2**63))
def test_a_size_never_outgrows_its_column(amount: int) -> None:
    assert len(size(amount)) <= 8


def test_rate_is_a_size_a_second() -> None:
    assert rate(2048) == "2.00 KiB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3149, "0.31 s"), (3.2, "3.2 s"), (59.99, "1 min 00 s"), (125, "2 min 05 s"), (11520, "3 h 12 min"),
     (187_200, "2 d 04 h"), (-1, "0.00 s")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-:--"), (7, "0:07"), (725, "12:05"), (11525, "3:12:05"), (400_000, "4 d"), (float("nan"), "-:--"),
     (float("inf"), "-:--"), (-3, "-:--")],
)  # fmt: skip
def test_time_left(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def test_a_hundred_percent_only_at_the_last_byte() -> None:
    assert percent(999_999, 1_000_000) == "99 %"
    assert percent(1_000_000, 1_000_000) == "100 %"
    assert percent(0, 0) == "100 %"
    assert percent(5, None) == "? %"


def test_peers_and_seeds() -> None:
    assert peers(1, 1) == "1 peer, a seed"
    assert peers(1, 0) == "1 peer, not a seed"
    assert peers(3, 1) == "3 peers, 1 of them a seed"
    assert peers(3, 2) == "3 peers, 2 of them seeds"
