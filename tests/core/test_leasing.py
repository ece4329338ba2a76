from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.climbing import Climb
from thunderdl.core.leasing import (
    CUT_BYTES,
    FINE_CUT_BYTES,
    MAX_FIRST_BYTES,
    MAX_LEASE_BYTES,
    MAX_LEASE_S,
    MIN_GAIN_S,
    MIN_LEASE_S,
    Steal,
    best_steal,
    cut_bytes,
    lease_bytes,
    lease_end,
    position_now,
)
from thunderdl.core.roster import SILENT_S, Lane, Lease, Roster, Source

KIB, MIB = 1024, 1024 * 1024
GIB = 1024 * MIB


class Field:
    """Sources whose lanes have shown exactly this rate and latency; it is 0 o'clock."""

    def __init__(self) -> None:
        self.roster = Roster()

    def source(self, latency_s: float = 0.05) -> Source:
        number = len(self.roster.sources) + 1
        source = self.roster.add_source(Source(id=number, host=f"host{number}", climb=Climb(4)))
        source.latency.add(latency_s)
        return source

    def lane(self, rate: int | None, *, source: Source | None = None, latency_s: float = 0.05) -> Lane:
        lane = self.roster.add_lane(source or self.source(latency_s))
        lane.connected = True
        if rate is not None:
            lane.rate.begin(-1.0)
            lane.rate.add(rate, 0.0)
        return lane

    def lease(self, lane: Lane, start: int, end: int) -> Lease:
        return self.roster.add_lease(lane, start, end, 0.0)

    def steal(self, thief: Lane, now: float = 0.0) -> Steal | None:
        return best_steal(thief, self.roster.leases.values(), now)


# -- sizes


def test_of_an_unknown_source_little_is_asked_first() -> None:
    lane = Field().lane(None)
    assert lease_bytes(lane, 100 * GIB, 0.0, MIB) == MAX_FIRST_BYTES
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


def test_no_lease_is_huge_unless_the_path_holds_that_much() -> None:
    assert lease_bytes(Field().lane(GIB, latency_s=0.001), 100 * GIB, GIB, MIB) == MAX_LEASE_BYTES
    long_path = Field().lane(GIB, latency_s=1.0)
    assert lease_bytes(long_path, 1000 * GIB, GIB, MIB) == 2 * GIB


@given(st.integers(1, GIB), st.integers(1, 100 * GIB), st.sampled_from([CUT_BYTES, MIB, 3 * MIB + 5]))
def test_leases_are_whole_borders_and_never_empty(rate: int, missing: int, align: int) -> None:
    want = lease_bytes(Field().lane(rate), missing, rate, align)
    assert want > 0
    if want >= align:
        assert want % align == 0
    else:
        assert want % cut_bytes(rate) == 0


def test_cuts_are_finer_where_a_leaf_takes_long() -> None:
    assert cut_bytes(10 * CUT_BYTES) == CUT_BYTES
    assert cut_bytes(10 * CUT_BYTES - 1) == FINE_CUT_BYTES


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


# -- stealing


@pytest.mark.parametrize(("thief_rate", "victim_rate"), [(MIB, MIB), (4 * MIB, MIB), (MIB, 4 * MIB)])
def test_thief_and_victim_end_together(thief_rate: int, victim_rate: int) -> None:
    field = Field()
    victim, thief = field.lane(victim_rate), field.lane(thief_rate)
    lease = field.lease(victim, 0, 100 * MIB)
    steal = field.steal(thief)
    assert steal is not None
    assert steal.victim is lease
    victim_s = steal.cut / victim_rate
    thief_s = thief.asking_s + (lease.end - steal.cut) / thief_rate
    assert thief_s == pytest.approx(victim_s, abs=2 * CUT_BYTES / min(thief_rate, victim_rate))
    assert steal.gain_s == pytest.approx(100 * MIB / victim_rate - max(victim_s, thief_s))
    assert steal.cut % CUT_BYTES == 0


def test_a_thief_that_must_connect_first_takes_less() -> None:
    def taken(*, connected: bool) -> int:
        field = Field()
        field.lease(field.lane(MIB), 0, 10 * MIB)
        thief = field.lane(MIB, latency_s=1.0)
        thief.connected = connected
        steal = field.steal(thief)
        assert steal is not None
        return steal.victim.end - steal.cut

    assert taken(connected=True) - taken(connected=False) == pytest.approx(MIB / 2, abs=2 * CUT_BYTES)


def test_what_is_worth_less_than_its_cost_is_left() -> None:
    field = Field()
    victim, thief = field.lane(MIB), field.lane(MIB, latency_s=0.001)
    field.lease(victim, 0, int(2 * MIB * MIN_GAIN_S * 0.9))
    assert field.steal(thief) is None
    other = Field()
    victim, thief = other.lane(MIB), other.lane(MIB, latency_s=0.001)
    other.lease(victim, 0, int(2 * MIB * MIN_GAIN_S * 1.5))
    assert other.steal(thief) is not None


def test_a_distant_thief_needs_half_a_round_trip_of_gain() -> None:
    for latency_s, worth in ((0.05, True), (2.0, False)):
        field = Field()
        field.lease(field.lane(MIB), 0, 3 * MIB)
        assert (field.steal(field.lane(MIB, latency_s=latency_s)) is not None) is worth


@given(st.integers(10 * KIB, 10 * MIB), st.integers(10 * KIB, 10 * MIB), st.integers(1, 64 * MIB))
def test_a_steal_never_takes_a_crumb_nor_what_is_there(victim_rate: int, thief_rate: int, length: int) -> None:
    field = Field()
    lease = field.lease(field.lane(victim_rate), 0, length)
    if steal := field.steal(field.lane(thief_rate)):
        assert steal.gain_s > MIN_GAIN_S
        assert lease.position <= steal.cut < lease.end
        border = cut_bytes(victim_rate + thief_rate)
        assert lease.end - steal.cut >= border or steal.cut == lease.position
        assert steal.cut == lease.position or steal.cut % border == 0


def test_the_steal_that_helps_most_is_chosen() -> None:
    field = Field()
    field.lease(field.lane(4 * MIB), 0, 20 * MIB)
    slow = field.lease(field.lane(MIB), 20 * MIB, 40 * MIB)
    field.lease(field.lane(2 * MIB), 40 * MIB, 60 * MIB)
    steal = field.steal(field.lane(MIB))
    assert steal is not None
    assert steal.victim is slow


@pytest.mark.parametrize("state", ["shrinking", "cancelled"])
def test_nothing_is_stolen_twice(state: str) -> None:
    field = Field()
    lease = field.lease(field.lane(MIB), 0, 100 * MIB)
    setattr(lease, state, True)
    assert field.steal(field.lane(MIB)) is None


def test_nobody_steals_from_itself() -> None:
    field = Field()
    lane = field.lane(MIB)
    field.lease(lane, 0, 100 * MIB)
    assert field.steal(lane) is None


def test_a_thief_does_not_take_what_it_is_kept_away_from() -> None:
    field = Field()
    lease = field.lease(field.lane(MIB), 0, 100 * MIB)
    thief = field.lane(MIB)
    thief.source.avoid.add(50 * MIB, 51 * MIB)
    assert field.steal(thief) is None
    lease.position = 51 * MIB
    assert field.steal(thief) is not None, "those bytes are here by now"


def test_only_the_last_of_a_lanes_leases_is_stolen_from_and_the_ones_before_it_count() -> None:
    field = Field()
    victim, thief = field.lane(MIB), field.lane(MIB, latency_s=0.001)
    field.lease(victim, 0, 6 * MIB)
    last = field.lease(victim, 6 * MIB, 10 * MIB)
    steal = field.steal(thief)
    assert steal is not None
    assert steal.victim is last
    # Ten seconds of work for one are five for two: more than the last lease holds, so all of that goes.
    assert steal.cut == 6 * MIB


def test_lanes_of_one_source_steal_from_each_other_as_far_as_more_lanes_bring_more() -> None:
    gains = {}
    for lane_bound in (True, None, False):
        for length in (3 * MIB, 40 * MIB):
            field = Field()
            source = field.source()
            source.climb.lane_bound = lane_bound
            victim, thief = field.lane(MIB, source=source), field.lane(MIB, source=source)
            field.lease(victim, 0, length)
            gains[lane_bound, length // MIB] = field.steal(thief) is not None
    assert gains == {
        (True, 3): True, (True, 40): True, (None, 3): False, (None, 40): True, (False, 3): False, (False, 40): False,
    }  # fmt: skip


def test_a_lease_that_shows_who_brought_a_piece_is_left_alone_for_small_gains() -> None:
    for alone, length, worth in ((False, MIB, True), (True, MIB, False), (True, 10 * MIB, True)):
        field = Field()
        field.lease(field.lane(MIB), 0, length).alone = alone
        assert (field.steal(field.lane(MIB)) is not None) is worth


def test_from_a_silent_lane_all_is_taken() -> None:
    field = Field()
    victim, thief = field.lane(10 * MIB), field.lane(100 * KIB)
    lease = field.lease(victim, 0, 4 * MIB)
    lease.position = 100
    steal = field.steal(thief, SILENT_S + 0.1)
    assert steal is not None
    assert steal.victim is lease
    assert steal.cut == 100


def test_a_lease_with_less_than_a_border_left_is_taken_from_where_it_was_last_seen() -> None:
    field = Field()
    field.lease(field.lane(1000), 0, 1000)
    steal = field.steal(field.lane(MIB), 0.5)
    assert steal is not None
    assert steal.cut == 0, "the victim answers where it is; a guess of that would leave it a crumb"


def test_of_a_silent_lane_any_lease_may_be_taken() -> None:
    field = Field()
    victim, thief = field.lane(MIB), field.lane(MIB)
    first = field.lease(victim, 0, 40 * MIB)
    field.lease(victim, 40 * MIB, 41 * MIB)
    steal = field.steal(thief, SILENT_S + 0.1)
    assert steal is not None
    assert steal.victim is first


def test_silence_is_measured_in_round_trips_too() -> None:
    lane = Field().lane(MIB, latency_s=2.0)
    field_lease = Roster().add_lease(lane, 0, MIB, 0.0)
    assert not lane.is_silent(5.9)
    assert lane.is_silent(6.1)
    assert field_lease.position == 0


def test_between_reports_a_lease_goes_on() -> None:
    field = Field()
    lane = field.lane(MIB)
    running, waiting = field.lease(lane, 0, 10 * MIB), field.lease(lane, 10 * MIB, 20 * MIB)
    assert position_now(running, 0.5) == MIB // 2
    assert position_now(waiting, 0.5) == 10 * MIB, "it has not begun"
    running.end = MIB // 4
    assert position_now(running, 0.5) == MIB // 4, "not past its end"
    assert position_now(running, SILENT_S + 0.1) == 0, "silent: it is where it was"
