from __future__ import annotations

import pytest

from tests.core.desk import KIB, MIB, Desk, fetched, of
from thunderdl.core.granting import MAX_AHEAD
from thunderdl.core.leasing import LOSS_SHARE, MAX_FIRST_BYTES, MAX_LEASE_S, on_its_way
from thunderdl.core.protocol import (
    Cancel,
    Command,
    Complete,
    FaultKind,
    Fetch,
    Horizon,
    HostCap,
    PieceBad,
    Shrink,
    Shrunk,
    SourceLost,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet

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


def a_steal_under_way() -> tuple[Desk, Shrink]:
    """Source 1 holds the whole file, source 2 has come and wants a part of it."""
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    (shrink,) = of(Shrink, [*desk.open(2), *desk.tick(after_s=0.1)])
    return desk, shrink


def test_when_nothing_is_missing_an_idle_lane_takes_from_a_slow_one() -> None:
    desk, shrink = a_steal_under_way()
    assert shrink.lease == desk.lease(1).id
    assert 5 * MIB < shrink.end < 14 * MIB


def test_what_is_stolen_has_no_owner_until_the_victim_has_answered() -> None:
    desk, shrink = a_steal_under_way()
    assert of(Fetch, [*desk.tick(after_s=0.1), *desk.tick(after_s=0.1)]) == []
    said = of(Fetch, desk.tell(Shrunk(shrink.lease, shrink.end)))
    assert said[0].source == 2
    assert said[0].start == shrink.end


def test_a_victim_that_had_come_further_keeps_what_it_has() -> None:
    desk, shrink = a_steal_under_way()
    beyond = shrink.end + 100
    said = of(Fetch, desk.tell(Shrunk(shrink.lease, beyond)))
    assert desk.scheduler.filled.covers(0, beyond)
    assert said[0].start == beyond


def test_an_answer_that_was_not_asked_for_changes_nothing() -> None:
    desk, shrink = a_steal_under_way()
    desk.tell(Shrunk(shrink.lease, shrink.end))
    assert desk.tell(Shrunk(shrink.lease, 0)) == []
    assert desk.scheduler.roster.leases[shrink.lease].end == shrink.end


def test_what_a_cut_frees_goes_to_the_lane_that_it_was_made_for() -> None:
    desk, shrink = a_steal_under_way()
    (thief,) = desk.lanes(2)
    assert desk.scheduler.roster.leases[shrink.lease].thief == thief.id
    # Another one would take it as well.
    desk.open(3)
    said = desk.tell(Shrunk(shrink.lease, shrink.end))
    first = of(Fetch, said)[0]
    assert (first.lane, first.start, first.end) == (thief.id, shrink.end, 16 * MIB)


def test_where_the_thief_is_gone_what_a_cut_frees_is_for_everybody() -> None:
    desk, shrink = a_steal_under_way()
    desk.tell(SourceLost(2, "another version"))
    desk.open(3)
    said = of(Fetch, desk.tell(Shrunk(shrink.lease, shrink.end)))
    assert {each.source for each in said} == {3}
    assert said[0].start == shrink.end


def test_a_thief_that_is_being_given_up_gets_nothing() -> None:
    desk, shrink = a_steal_under_way()
    (thief,) = desk.lanes(2)
    # Meanwhile it was given something else, and is given up before that has come.
    desk.tell(PieceBad(0, MIB, frozenset({1}), frozenset()))
    assert thief.leases
    desk.tell(HostCap("host2", 0))
    assert of(Cancel, desk.tick()) == [Cancel(thief.leases[0].id, FaultKind.CANCELLED)]
    assert of(Fetch, desk.tell(Shrunk(shrink.lease, shrink.end))) == []


def test_who_has_had_what_it_stole_may_steal_from_the_same_lease_again() -> None:
    """The victim has become far slower than it was when the cut was made."""
    desk, shrink = a_steal_under_way()
    desk.obey([shrink])
    assert of(Shrink, desk.flow(8, {1: 50 * KIB, 2: 4 * MIB}))
    assert desk.scheduler.filled.total == desk.scheduler.size


def test_a_thief_leaves_to_others_that_are_idle_their_part() -> None:
    """Two of three could share what is left; all three are done sooner."""
    desk = Desk(62 * MIB)
    for number, (start, end) in {1: (0, 60), 2: (60, 61), 3: (61, 62)}.items():
        desk.open(number, start=start * MIB, end=end * MIB)
    said = list[Command]()
    while not of(Shrink, said):
        said = desk.flow(0.1, dict.fromkeys((1, 2, 3), MIB))
    victim, cut = desk.lease(1), of(Shrink, said)[0].end
    assert 60 * MIB - cut == pytest.approx((60 * MIB - victim.position) / 3, rel=0.1)


def test_whoever_waits_for_what_it_steals_steals_no_more() -> None:
    desk = Desk(32 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.open(2, start=16 * MIB, end=32 * MIB)
    desk.flow(2, {1: MIB, 2: MIB})
    said = [*desk.open(3), *desk.tick(after_s=0.1), *desk.tick(after_s=0.1)]
    assert len(of(Shrink, said)) == 1


def test_a_lane_asks_for_a_part_of_anothers_before_its_own_last_one_ends() -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=48 * MIB)
    desk.open(2, start=48 * MIB, end=64 * MIB)
    said, commands = list[Shrink](), desk.flow(0.2, {1: MIB, 2: 4 * MIB})
    while not said:
        said = of(Shrink, commands)
        busy = bool(desk.lane(2).leases)
        commands = desk.flow(0.1, {1: MIB, 2: 4 * MIB})
    assert said[0].lease == desk.lease(1).id
    assert busy


def test_the_last_bytes_are_not_handed_from_one_to_the_other() -> None:
    rates = dict.fromkeys((1, 2, 3, 4), MIB)
    desk = Desk(64 * MIB, align=256 * KIB)
    for number in rates:
        desk.open(number)
    said: list[Command] = []
    while Complete() not in said:
        said += desk.flow(0.1, rates)
    assert len(of(Shrink, said)) <= 8


def test_what_cuts_have_lost_is_reckoned() -> None:
    desk, shrink = a_steal_under_way()
    lost = desk.scheduler._lost_bytes
    assert lost == pytest.approx(on_its_way(MIB, 0.05), rel=0.2)
    desk.tell(Shrunk(shrink.lease, shrink.end))
    # The same answer is cut a second time: its end costs once.
    victim = desk.scheduler.roster.leases[shrink.lease]
    desk.scheduler._shrink(victim, victim.position)
    assert desk.scheduler._lost_bytes == lost


def test_after_dear_cuts_small_gains_are_left() -> None:
    for lost_share, cuts in ((0.0, 1), (10 * LOSS_SHARE, 0)):
        desk = Desk(16 * MIB)
        desk.open(1, start=0, end=16 * MIB)
        desk.flow(14, {1: MIB})
        desk.scheduler._lost_bytes = lost_share * desk.scheduler.size
        assert len(of(Shrink, [*desk.open(2), *desk.tick(after_s=0.1)])) == cuts


# -- until all are done


def test_near_the_end_a_slow_lane_is_not_given_what_others_bring_sooner() -> None:
    """The quick one has the last megabyte in a tenth of a second; the slow one would be at 64 KiB for six."""
    desk = Desk(8 * MIB, align=256 * KIB)
    desk.open(1, start=0, end=64 * KIB)
    desk.open(2, start=64 * KIB, end=7 * MIB)
    desk.flow(0.3, {1: 10 * KIB, 2: 10 * MIB})
    said = desk.flow(0.6, {1: 200 * KIB, 2: 10 * MIB})
    assert Complete() in said
    assert fetched(said, 1).total <= 300 * KIB


@pytest.mark.parametrize("rate", [100 * KIB, MIB])
def test_no_lane_is_given_more_than_it_can_bring_until_all_are_done(rate: int) -> None:
    desk = Desk(40 * MIB, align=256 * KIB)
    desk.open(1)
    desk.open(2)
    desk.flow(2, {1: rate, 2: 4 * MIB})
    for _ in range(70):
        end_s = desk.scheduler._end_s()
        for fetch in of(Fetch, desk.flow(0.1, {1: rate, 2: 4 * MIB})):
            if fetch.source == 1 and end_s < MAX_LEASE_S:
                assert (fetch.end - fetch.start) / rate <= end_s + 0.3


def test_all_end_together_whatever_their_rates() -> None:
    rates = {1: 4 * MIB, 2: MIB, 3: 250 * KIB}
    desk = Desk(100 * MIB, align=256 * KIB)
    for number in rates:
        desk.open(number)
    said, start = list[Command](), desk.now
    while Complete() not in said:
        said = desk.flow(0.1, rates)
        assert desk.now < start + 60
    assert desk.now - start < 1.05 * 100 * MIB / sum(rates.values())


def test_who_sends_no_ranges_begins_at_the_start_wherever_the_others_do() -> None:
    desk = Desk(64 * MIB)
    desk.scheduler.begin_at = 32 * MIB
    assert [each.start for each in of(Fetch, desk.open(random_access=False))] == [0]
