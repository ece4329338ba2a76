from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.ranking import MIN_SAMPLE_S, LatencyEstimate, RateEstimate

STEP_S = 0.1
FAST, SLOW = 1_000_000, 100_000


def flowed(estimate: RateEstimate, rate: float, seconds: float, since: float = 0.0) -> float:
    """``rate`` for so long, told every tenth of a second; the moment at its end."""
    for step in range(1, round(seconds / STEP_S) + 1):
        estimate.add(round(rate * STEP_S), since + step * STEP_S)
    return since + seconds


def busy() -> RateEstimate:
    estimate = RateEstimate()
    estimate.begin(0.0)
    return estimate


def test_nothing_is_known_before_the_first_byte() -> None:
    estimate = busy()
    estimate.add(0, 5.0)
    assert not estimate.known
    assert (estimate.mean, estimate.safe) == (0.0, 0.0)


@pytest.mark.parametrize("elapsed_s", [0.05, 1.0, 30.0])
def test_the_first_sample_is_the_estimate(elapsed_s: float) -> None:
    estimate = busy()
    estimate.add(round(FAST * elapsed_s), elapsed_s)
    assert estimate.known
    assert estimate.mean == pytest.approx(FAST)
    assert estimate.safe == pytest.approx(FAST)


def test_a_first_sample_too_short_to_divide_by_is_taken_low() -> None:
    estimate = busy()
    estimate.add(16_384, 0.0001)
    assert estimate.mean == pytest.approx(16_384 / MIN_SAMPLE_S)


def test_bytes_that_come_before_they_were_due_do_not_stretch_the_time_that_follows() -> None:
    estimate = RateEstimate()
    estimate.begin(10.0)
    estimate.add(100, 9.0)
    assert estimate.known
    estimate.add(FAST, 11.0)
    estimate.add(FAST, 12.0)
    assert estimate.lately == pytest.approx(FAST, rel=0.01)
    assert estimate.mean == pytest.approx(FAST, rel=0.01)


def test_samples_that_are_too_short_are_gathered() -> None:
    estimate = busy()
    now = flowed(estimate, FAST, 1.0)
    estimate.add(10**9, now + MIN_SAMPLE_S / 4)
    assert estimate.mean == pytest.approx(FAST), "not yet"
    estimate.add(0, now + 1000.0)
    assert estimate.mean == pytest.approx(10**9 / 1000, rel=0.05), "but not forgotten"


def test_a_steady_rate_is_found_exactly_however_it_is_cut_into_samples() -> None:
    estimate = busy()
    now = 0.0
    for elapsed_s in (0.1, 0.5, 0.03, 2.0, 0.1) * 5:
        now += elapsed_s
        estimate.add(round(FAST * elapsed_s), now)
    assert estimate.mean == pytest.approx(FAST)
    assert estimate.safe == pytest.approx(FAST)


def test_a_fall_is_seen_within_seconds() -> None:
    estimate = busy()
    now = flowed(estimate, FAST, 20.0)
    now = flowed(estimate, SLOW, 1.0, now)
    assert estimate.mean < FAST / 2
    flowed(estimate, SLOW, 2.0, now)
    assert estimate.mean < 1.25 * SLOW


def test_a_rise_is_seen_within_seconds() -> None:
    estimate = busy()
    now = flowed(estimate, SLOW, 20.0)
    flowed(estimate, FAST, 2.0, now)
    assert estimate.mean > FAST * 0.8


def test_silence_is_a_fall_too() -> None:
    estimate = busy()
    now = flowed(estimate, FAST, 20.0)
    flowed(estimate, 0, 3.0, now)
    assert estimate.mean < FAST / 20


def test_one_burst_out_of_a_full_buffer_changes_little() -> None:
    estimate = busy()
    now = flowed(estimate, FAST, 20.0)
    estimate.add(10 * round(FAST * MIN_SAMPLE_S), now + MIN_SAMPLE_S)
    assert estimate.mean < 1.1 * FAST


def test_a_rate_that_swings_is_trusted_less_than_a_steady_one() -> None:
    swinging = busy()
    now = 0.0
    for _ in range(20):
        now = flowed(swinging, FAST * 1.5, 0.5, now)
        now = flowed(swinging, FAST * 0.5, 0.5, now)
    assert swinging.mean == pytest.approx(FAST, rel=0.25)
    assert swinging.safe < 0.75 * swinging.mean


def test_time_without_work_says_nothing_of_the_rate() -> None:
    estimate = busy()
    now = flowed(estimate, FAST, 2.0)
    estimate.begin(now + 100.0)
    estimate.add(round(FAST * STEP_S), now + 100.0 + STEP_S)
    assert estimate.mean == pytest.approx(FAST)


samples = st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 100)), min_size=1, max_size=40)


@given(samples)
def test_safe_lies_between_a_quarter_of_the_mean_and_the_mean(steps: list[tuple[int, float]]) -> None:
    estimate, now = busy(), 0.0
    for count, elapsed_s in steps:
        now += elapsed_s
        estimate.add(count, now)
        assert 0 <= estimate.mean / 4 <= estimate.safe <= estimate.mean


@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(MIN_SAMPLE_S, 100)), min_size=1, max_size=40))
def test_the_mean_lies_among_the_samples(steps: list[tuple[int, float]]) -> None:
    estimate, now = busy(), 0.0
    for count, elapsed_s in steps:
        now += elapsed_s
        estimate.add(count, now)
    # A little room: a sample that falls under MIN_SAMPLE_S by rounding is gathered with the next.
    rates = [count / elapsed_s for count, elapsed_s in steps]
    assert min(rates) * 0.5 <= estimate.mean <= max(rates) * 2.1


def test_latency_begins_with_a_guess_that_the_first_sample_replaces() -> None:
    latency = LatencyEstimate(0.1)
    assert (latency.value, latency.known) == (0.1, False)
    latency.add(0.4)
    assert (latency.value, latency.known) == (0.4, True)


def test_one_slow_answer_does_not_make_a_slow_server_but_several_do() -> None:
    latency = LatencyEstimate()
    latency.add(0.1)
    latency.add(1.1)
    assert 0.1 < latency.value < 0.5
    for _ in range(5):
        latency.add(1.1)
    assert latency.value > 0.9


def test_a_first_byte_that_was_waited_for_through_an_outage_counts_in_part() -> None:
    latency = LatencyEstimate()
    latency.add(0.1)
    latency.add(20.0)
    assert latency.value < 0.3
    for _ in range(20):
        latency.add(0.4)
    assert latency.value == pytest.approx(0.4, rel=0.05), "what lasts is believed"
