from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thunderdl.core.limits import BURST_S, MIN_BURST_BYTES, Flow, Limiter, TokenBucket

RATE = 1_000_000
BURST = 50_000
START_S = 1000.0


class Alone:
    """One connection of one download under a limit: over all downloads, or with ``own`` over that one."""

    def __init__(self, rate: float | None, *, own: bool = False) -> None:
        self._limiter = Limiter(None if own else rate)
        self._flow = Flow(own=TokenBucket(rate if own else None))
        self.change = self._flow.own.change if own else self._limiter.change

    def take(self, want_bytes: int, now: float) -> tuple[int, float]:
        return self._limiter.take(self._flow, 1, want_bytes, now)

    def give_back(self, unused_bytes: int) -> None:
        self._limiter.give_back(self._flow, unused_bytes)

    @property
    def rate_bytes_per_s(self) -> float | None:
        return self._limiter.rate_bytes_per_s


def drained(rate: float = RATE) -> Alone:
    """A bucket whose first burst is gone at START_S."""
    bucket = Alone(rate)
    bucket.take(1 << 30, START_S)
    return bucket


def test_without_a_limit_all_is_granted_at_once() -> None:
    bucket = Alone(None)
    assert [bucket.take(1 << 30, START_S) for _ in range(3)] == [(1 << 30, 0.0)] * 3
    assert bucket.rate_bytes_per_s is None


rates = st.floats(10_000, 1e9)
asks = st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 2)), min_size=1, max_size=60)


@given(rates, asks)
@example(RATE, [(1 << 20, 0.0)] * 30)
def test_grants_never_exceed_the_rate_and_one_burst(rate: float, steps: list[tuple[int, float]]) -> None:
    bucket, now, total = Alone(rate), START_S, 0
    for want, pause_s in steps:
        now += pause_s
        granted, wait_s = bucket.take(want, now)
        assert 0 <= granted <= want
        assert (granted == 0) == (wait_s > 0)
        total += granted
        assert total <= rate * (now - START_S) + max(rate * BURST_S, MIN_BURST_BYTES) + 1


@given(rates, st.integers(1, 1 << 20))
def test_asking_when_told_to_gets_all_of_the_rate(rate: float, want: int) -> None:
    bucket, now, total = Alone(rate), START_S, 0
    for _ in range(100):
        granted, wait_s = bucket.take(want, now)
        total += granted
        now += wait_s
    waited_s = now - START_S
    # A millisecond may be lost to rounding at each turn; nothing else.
    assert total >= rate * (waited_s - 0.1) - 2


@given(rates, st.integers(1, 1 << 20))
def test_when_is_neither_too_early_nor_too_late(rate: float, want: int) -> None:
    bucket = drained(rate)
    granted, wait_s = bucket.take(want, START_S)
    assert granted == 0
    if wait_s > 0.002:
        assert bucket.take(want, START_S + wait_s * 0.9)[0] == 0
    _, again_s = bucket.take(want, START_S + wait_s)
    assert again_s <= 0.001, "at the moment named the bytes are there, but for rounding"
    if again_s:
        assert bucket.take(want, START_S + wait_s + again_s)[0] > 0


def test_no_trickle_of_tiny_reads() -> None:
    bucket = drained()
    assert bucket.take(BURST, START_S + 0.0125 - 1e-4)[0] == 0
    assert bucket.take(BURST, START_S + 0.0125 + 1e-4)[0] >= BURST // 4


def test_a_small_wish_does_not_wait_for_a_quarter_of_a_burst() -> None:
    assert drained().take(1000, START_S + 0.0011) == (1000, 0.0)


def test_idle_time_is_saved_up_to_one_burst_only() -> None:
    bucket = drained()
    assert bucket.take(1 << 30, START_S + 3600)[0] == BURST
    assert bucket.take(1 << 30, START_S + 3600)[0] == 0


def test_a_clock_that_jumps_back_grants_nothing_and_does_not_stop_the_flow() -> None:
    bucket = drained()
    granted, wait_s = bucket.take(BURST, START_S - 500)
    assert granted == 0
    assert 0 < wait_s <= 0.0126, "not until the old time is reached again"
    assert bucket.take(BURST, START_S - 500 + 0.02)[0] == pytest.approx(20_000, abs=4_096)


def test_a_new_limit_holds_from_the_moment_it_is_set() -> None:
    bucket = drained()
    bucket.change(10 * RATE)
    assert bucket.rate_bytes_per_s == 10 * RATE
    total, now = 0, START_S
    for _ in range(200):
        granted, wait_s = bucket.take(1 << 18, now)
        total, now = total + granted, now + wait_s
    assert total == pytest.approx(10 * RATE * (now - START_S + BURST_S), rel=0.1)


def test_what_was_saved_at_a_high_limit_is_not_granted_under_a_low_one() -> None:
    bucket = Alone(100 * RATE)
    bucket.take(1, START_S)
    bucket.change(RATE)
    assert bucket.take(1 << 30, START_S)[0] == BURST


def test_a_limit_taken_away_and_set_again() -> None:
    bucket = drained()
    bucket.change(None)
    assert bucket.take(1 << 30, START_S) == (1 << 30, 0.0)
    bucket.change(RATE)
    assert bucket.take(1 << 30, START_S + 9)[0] == BURST


def test_bytes_given_back_may_be_had_again() -> None:
    bucket = Alone(RATE)
    assert bucket.take(BURST, START_S)[0] == BURST
    bucket.give_back(30_000)
    assert bucket.take(BURST, START_S) == (30_000, 0.0)


def test_bytes_given_back_make_no_larger_burst() -> None:
    bucket = Alone(RATE)
    bucket.take(BURST, START_S)
    bucket.give_back(BURST)
    assert bucket.take(1 << 30, START_S + 3600)[0] == BURST
