"""How large leases are, and where they end; stealing is in test_stealing.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.field import GIB, KIB, MIB, Field
from thunderdl.core.leasing import (
    CUT_BYTES,
    CUT_S,
    FINE_CUT_BYTES,
    MAX_FIRST_BYTES,
    MAX_LEASE_S,
    MIN_FIRST_BYTES,
    MIN_LEASE_S,
    PROBE_BYTES,
    UNSETTLED_LEASE_S,
    cut_bytes,
    lease_bytes,
    lease_end,
)

# -- sizes


def test_of_an_unknown_source_little_is_asked_first() -> None:
    lane = Field().lane(None)
    latency = lane.source.latency
    latency.value = 0.5
    assert lease_bytes(lane, 100 * GIB, 0.0, MIB) == MAX_FIRST_BYTES, "a long fat path is filled"
    latency.value = 0.0005
    assert lease_bytes(lane, 100 * GIB, 0.0, MIB) == MIN_FIRST_BYTES, "a short one may be slow"
    latency.value = 0.05
    assert lease_bytes(lane, 64 * MIB, 0.0, MIB) == MIB
    assert lease_bytes(lane, 64 * KIB, 0.0, MIB) == CUT_BYTES


def test_a_source_on_probation_brings_one_piece_at_a_time() -> None:
    lane = Field().lane(10 * MIB)
    lane.source.doubted = True
    assert lease_bytes(lane, GIB, 10 * MIB, 256 * KIB) == 256 * KIB


@pytest.mark.parametrize("rate", [100 * KIB, MIB, 2 * MIB])
def test_far_from_the_end_a_lease_takes_the_longest_time_allowed(rate: int) -> None:
    lane = Field().lane(rate)
    assert lease_bytes(lane, 100 * GIB, rate, CUT_BYTES) / rate == pytest.approx(MAX_LEASE_S, rel=0.02)


@pytest.mark.parametrize(("lane_bound", "trying"), [(None, False), (True, True), (False, True)])
def test_while_it_is_open_how_many_lanes_share_a_rate_leases_are_short(
    lane_bound: bool | None, *, trying: bool
) -> None:
    field = Field()
    lane = field.lane(MIB, source=field.source(lane_bound=lane_bound))
    lane.source.climb.lanes += trying
    assert lease_bytes(lane, 100 * GIB, MIB, CUT_BYTES) / MIB == pytest.approx(UNSETTLED_LEASE_S, rel=0.02)


def test_a_distant_source_has_its_four_round_trips_even_then() -> None:
    field = Field()
    lane = field.lane(MIB, source=field.source(1.0, lane_bound=None))
    assert lease_bytes(lane, 100 * GIB, MIB, CUT_BYTES) == 4 * MIB


def test_leases_are_sized_in_time_so_that_slow_and_fast_end_alike() -> None:
    field = Field()
    slow, fast = field.lane(100 * KIB), field.lane(MIB)
    times = [lease_bytes(lane, 10 * MIB, 1124 * KIB, CUT_BYTES) / lane.rate.mean for lane in (slow, fast)]
    assert times[0] == pytest.approx(times[1], rel=0.05)
    # Half of the time that all of them need for the rest.
    assert times[0] == pytest.approx(10 * MIB / (2 * 1124 * KIB), rel=0.05)


def test_near_the_end_leases_are_short_but_worth_their_round_trip() -> None:
    near = Field().lane(MIB, latency_s=0.01)
    assert lease_bytes(near, MIB // 4, MIB, CUT_BYTES) / MIB == pytest.approx(MIN_LEASE_S, rel=0.05)
    distant = Field().lane(MIB, latency_s=0.5)
    assert lease_bytes(distant, MIB // 4, MIB, CUT_BYTES) / MIB == pytest.approx(2.0, rel=0.05)


def test_no_lease_is_longer_than_the_longest_time_however_far_the_source_is() -> None:
    lane = Field().lane(MIB, latency_s=10.0)
    for missing in (MIB, GIB, 1000 * GIB):
        assert lease_bytes(lane, missing, MIB, CUT_BYTES) / MIB == pytest.approx(MAX_LEASE_S, rel=0.02)


def test_what_swings_is_given_what_it_will_likely_keep() -> None:
    lane = Field().lane(MIB)
    lane.rate.safe = MIB / 2
    assert lease_bytes(lane, 100 * GIB, MIB, CUT_BYTES) == pytest.approx(MAX_LEASE_S * MIB / 2, rel=0.02)


@pytest.mark.parametrize(("rate", "want"), [(100, FINE_CUT_BYTES), (30 * KIB, 30 * KIB), (100 * MIB, PROBE_BYTES)])
def test_one_that_looks_whether_its_source_is_back_asks_for_a_seconds_worth_at_most(rate: int, want: int) -> None:
    lane = Field().lane(rate)
    lane.probe = True
    assert lease_bytes(lane, 100 * GIB, rate, MIB) == want


@pytest.mark.parametrize("state", ["probe", "unknown", "slow"])
def test_nothing_smaller_is_asked_for_than_the_source_finds_worth_it(state: str) -> None:
    field = Field()
    lane = field.lane(None if state == "unknown" else KIB, source=field.source(min_bytes=3 * MIB))
    lane.probe = state == "probe"
    assert lease_bytes(lane, 8 * MIB, MIB, MIB) >= 3 * MIB


@given(st.integers(1, GIB), st.integers(1, 100 * GIB), st.sampled_from([CUT_BYTES, MIB, 3 * MIB + 5]))
def test_leases_are_whole_borders_and_never_empty(rate: int, missing: int, align: int) -> None:
    want = lease_bytes(Field().lane(rate), missing, rate, align)
    assert want > 0
    if want >= align:
        assert want % align == 0
    else:
        assert want % cut_bytes(rate) == 0


# -- borders


def test_cuts_are_finer_where_a_leaf_takes_long() -> None:
    assert cut_bytes(CUT_BYTES / CUT_S) == CUT_BYTES
    assert cut_bytes(CUT_BYTES / CUT_S - 1) == FINE_CUT_BYTES


@given(st.integers(0, 10 * MIB), st.integers(1, 10 * MIB), st.integers(0, 10 * MIB))
def test_a_lease_ends_inside_its_gap_and_leaves_no_crumb(start: int, want: int, more: int) -> None:
    gap_end = start + want + more
    end = lease_end(start, want, gap_end, MIB)
    assert start < end <= gap_end
    assert end == gap_end or gap_end - end >= FINE_CUT_BYTES
    assert end <= start + want or end == gap_end


def test_a_lease_ends_on_a_piece_where_one_is_near() -> None:
    assert lease_end(100, 3 * MIB, GIB, MIB) == 3 * MIB
    assert lease_end(100, MIB // 2, GIB, MIB) == 100 + MIB // 2, "smaller than a piece: as asked"
    assert lease_end(2 * MIB, MIB, 3 * MIB + FINE_CUT_BYTES - 1, MIB) == 3 * MIB + FINE_CUT_BYTES - 1
