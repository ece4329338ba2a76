from __future__ import annotations

import pytest

from thunderdl.core.backing_off import (
    BACK_OFF_SHARE,
    MAX_BACK_OFF_S,
    MIN_BACK_OFF_S,
    MIN_BUSY_WAIT_S,
    back_off_s,
    is_hopeless,
)


def test_one_that_is_back_is_missed_for_no_longer_than_a_share_of_the_time_it_was_away() -> None:
    assert back_off_s(0.0, is_busy=False) == MIN_BACK_OFF_S
    assert back_off_s(40.0, is_busy=False) == pytest.approx(40 * BACK_OFF_SHARE)
    assert back_off_s(1e9, is_busy=False) == MAX_BACK_OFF_S


def test_one_that_is_busy_is_left_alone_for_longer() -> None:
    assert back_off_s(0.0, is_busy=True) == MIN_BUSY_WAIT_S
    assert all(back_off_s(t, is_busy=True) > back_off_s(t, is_busy=False) for t in (0.0, 1.0, 10.0, 100.0))
    assert back_off_s(1e9, is_busy=True) == MAX_BACK_OFF_S


@pytest.mark.parametrize(
    ("failures", "down_s", "retries", "hopeless"),
    [
        (1, 0.0, 0, True), (1, 0.0, 1, False), (6, 100.0, 5, True), (5, 100.0, 5, False), (60, 3.0, 5, False),
        (10**6, 1e9, 10**5, True), (2000, 10.0, 1024, False),
    ],
)  # fmt: skip
def test_hope_ends_after_so_many_tries_and_the_time_that_goes_with_them(
    failures: int, down_s: float, retries: int, *, hopeless: bool
) -> None:
    assert is_hopeless(failures, down_s, retries) is hopeless
