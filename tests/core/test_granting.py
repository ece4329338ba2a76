from __future__ import annotations

from tests.core.desk import KIB, MIB, Desk, fetched, of
from thunderdl.core.granting import MAX_AHEAD
from thunderdl.core.leasing import MAX_FIRST_BYTES, MAX_LEASE_S
from thunderdl.core.protocol import Complete, Fetch, Horizon, Shrink, Shrunk
from thunderdl.core.ranges import RangeSet
from thunderdl.core.roster import SILENT_S

FAR = 1024 * MIB


# -- grants


def test_low_bytes_first_so_that_readers_in_order_follow_closely() -> None:
    desk = Desk(FAR, filled=RangeSet([(0, 10 * MIB)]))
    starts = [each.start for number in (1, 2, 3) for each in of(Fetch, desk.open(number))]
    assert starts == sorted(starts)
    assert starts[0] == 10 * MIB


def test_no_lease_holds_its_source_for_longer_than_the_longest_time() -> None:
    desk = Desk(4 * FAR)
    said = [*desk.open(1), *desk.open(2)]
    assert all(each.end - each.start <= MAX_FIRST_BYTES for each in of(Fetch, said))
    said = desk.flow(30, {1: 5 * MIB, 2: 20 * MIB})
    slow = [each.end - each.start for each in of(Fetch, said) if each.source == 1]
    assert 0 < max(slow) <= 5 * MIB * MAX_LEASE_S * 1.05


def test_the_next_range_is_asked_for_before_the_last_one_ends() -> None:
    desk = Desk(FAR)
    desk.open()
    desk.flow(3, {1: MIB})
    (lane,) = desk.lanes()
    for _ in range(50):
        desk.flow(0.1, {1: MIB})
        left_s = lane.left_bytes / MIB
        assert lane.leases, "never idle for a round trip"
        assert left_s > 0.1 or len(lane.leases) > 1
        assert len(lane.leases) <= MAX_AHEAD + 1


def test_an_unknown_source_is_given_two_leases_and_no_second_lane() -> None:
    desk = Desk(FAR, host_lanes=8)
    said = [*desk.open(), *desk.tick(after_s=0.5)]
    assert len(of(Fetch, said)) == 2
    assert len(desk.lanes()) == 1


def test_a_source_without_ranges_brings_all_from_the_start_and_nothing_else() -> None:
    desk = Desk(10 * MIB, filled=RangeSet([(0, MIB)]))
    assert of(Fetch, desk.open(random_access=False)) == []
    whole = Desk(10 * MIB, host_lanes=8)
    (fetch,) = of(Fetch, whole.open(random_access=False))
    assert (fetch.start, fetch.end) == (0, 10 * MIB)
    assert of(Fetch, whole.flow(3, {1: MIB})) == []
    assert len(whole.lanes()) == 1


# -- the horizon


def test_nothing_behind_the_horizon_is_fetched() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.tell(Horizon(3 * MIB))
    said = [*desk.open(1), *desk.open(2), *desk.flow(10, {1: MIB, 2: MIB})]
    assert desk.scheduler.filled == fetched(said) == RangeSet([(0, 3 * MIB)])
    assert Complete() not in said


def test_when_the_horizon_moves_idle_lanes_go_on_at_once() -> None:
    desk = Desk(FAR)
    desk.tell(Horizon(MIB))
    desk.open()
    desk.flow(5, {1: MIB})
    said = of(Fetch, desk.tell(Horizon(2 * MIB)))
    assert said
    assert said[0].start == MIB
    assert max(each.end for each in said) <= 2 * MIB


def test_a_horizon_beyond_the_end_is_none() -> None:
    desk = Desk(4 * MIB)
    desk.tell(Horizon(1 << 60))
    desk.open()
    assert Complete() in desk.flow(10, {1: MIB})


# -- stealing


def test_when_nothing_is_missing_an_idle_lane_takes_from_a_slow_one() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    said = [*desk.open(2), *desk.tick(after_s=0.1)]
    (shrink,) = of(Shrink, said)
    assert shrink.lease == desk.lease(1).id
    assert 5 * MIB < shrink.end < 14 * MIB


def test_what_is_stolen_has_no_owner_until_the_victim_has_answered() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    (shrink,) = of(Shrink, [*desk.open(2), *desk.tick(after_s=0.1)])
    assert of(Fetch, [*desk.tick(after_s=0.1), *desk.tick(after_s=0.1)]) == []
    said = of(Fetch, desk.tell(Shrunk(shrink.lease, shrink.end)))
    assert said[0].source == 2
    assert said[0].start == shrink.end


def test_a_victim_that_had_come_further_keeps_what_it_has() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    (shrink,) = of(Shrink, [*desk.open(2), *desk.tick(after_s=0.1)])
    beyond = shrink.end + 100
    said = of(Fetch, desk.tell(Shrunk(shrink.lease, beyond)))
    assert desk.scheduler.filled.covers(0, beyond)
    assert said[0].start == beyond


def test_a_silent_lane_loses_all_and_gets_nothing_until_it_shows_life() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=8 * MIB)
    desk.open(2, start=8 * MIB, end=16 * MIB)
    said = desk.flow(SILENT_S + 4, {2: 4 * MIB})
    assert said
    assert desk.scheduler.filled.covers(8 * MIB, 16 * MIB)
    assert desk.source(1).silent
    said += desk.flow(4, {2: 4 * MIB})
    assert Complete() in said
    assert fetched(said, 1).total == 0


def test_all_end_together_whatever_their_rates() -> None:
    rates = {1: 4 * MIB, 2: MIB, 3: 250 * KIB}
    desk = Desk(100 * MIB, align=256 * KIB)
    for number in rates:
        desk.open(number)
    said, start = [], desk.now
    while Complete() not in said:
        said = desk.flow(0.1, rates)
        assert desk.now < start + 60
    assert desk.now - start < 1.1 * 100 * MIB / sum(rates.values())
