"""Lanes given up because others need them: the caps of hosts and the budget of a download."""

from __future__ import annotations

from tests.core.desk import MIB, Desk, of
from thunderdl.core.protocol import Budget, Cancel, Fetch, HostCap, HostPause, Limited, Shrink
from thunderdl.core.staffing import START_LANES


def at_work(lanes: int = 4) -> Desk:
    desk = Desk(512 * MIB, host_lanes=lanes)
    desk.open(1)
    desk.open(2)
    desk.flow(3, {1: 4 * MIB, 2: MIB})
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [lanes, lanes]
    return desk


def test_a_smaller_budget_costs_the_slow_their_lanes_but_nobody_the_last() -> None:
    desk = at_work()
    assert len(of(Cancel, desk.obey(desk.tell(Budget(5))))) == 3
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [4, 1]


def test_a_budget_of_one_leaves_the_quickest() -> None:
    desk = at_work()
    desk.obey(desk.tell(Budget(1)))
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [1, 0]


def test_a_larger_budget_is_used_again() -> None:
    desk = at_work()
    desk.obey(desk.tell(Budget(2)))
    desk.obey(desk.tell(Budget(8)))
    desk.flow(8, {1: 4 * MIB, 2: MIB})
    assert len(desk.lanes(1)) + len(desk.lanes(2)) > 4


def test_a_lower_cap_of_a_host_costs_its_lanes_alone() -> None:
    desk = at_work()
    desk.obey(desk.tell(HostCap("host1", 1)))
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [1, 4]


def test_a_host_that_asked_for_a_pause_gets_no_new_lane_until_then() -> None:
    desk = Desk(512 * MIB, host_lanes=4)
    desk.open(1)
    desk.tell(HostPause("host1", desk.now + 30))
    desk.flow(20, {1: MIB})
    assert len(desk.lanes(1)) == 1
    said = desk.flow(12, {1: MIB})
    assert {fetch.lane for fetch in of(Fetch, said)} - {desk.lanes(1)[0].id}


def test_under_a_limit_nobody_steals_and_no_source_climbs() -> None:
    desk = Desk(64 * MIB, host_lanes=8)
    desk.tell(Limited(on=True))
    desk.open(1)
    lanes = len(desk.lanes(1))
    said = desk.flow(20, {1: MIB})
    assert len(desk.lanes(1)) <= max(lanes, START_LANES)
    desk.open(2)
    said += desk.flow(40, {1: MIB, 2: MIB // 8})
    assert of(Shrink, said) == []


def test_once_the_limit_is_lifted_it_steals_again() -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=64 * MIB)
    desk.flow(1, {1: MIB})
    desk.tell(Limited(on=True))
    desk.open(2)
    assert of(Shrink, desk.flow(1, {1: MIB})) == []
    desk.tell(Limited(on=False))
    assert of(Shrink, desk.flow(1, {1: MIB}))
