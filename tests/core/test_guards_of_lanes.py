"""Guards of how lanes are opened, shared and given up, one by one: what each keeps from happening."""

from __future__ import annotations

import pytest

from tests.core.desk import KIB, MIB, Desk, asked_lanes, of
from tests.core.test_guards import at_the_brim
from thunderdl.core.climbing import MIN_WINDOW_S
from thunderdl.core.protocol import Budget, Cancel, Ended, Failed, FaultKind, Fetch, PieceBad, Shrunk
from thunderdl.core.roster import SILENT_S
from thunderdl.core.staffing import START_LANES

FAR = 1024 * MIB


# -- within the budget


def test_openings_that_overrun_the_budget_cost_a_lane_at_the_next_tick() -> None:
    """Each source brings a lane with its first answer, whether there is room for it or not."""
    desk = Desk(FAR, all_lanes=2)
    for number in (1, 2, 3):
        desk.open(number, start=number * 64 * MIB, end=number * 64 * MIB + 32 * MIB)
        desk.move(desk.lease(number), number * MIB)
    assert len(desk.scheduler.roster.lanes) == 3
    said = desk.obey(desk.tick())
    assert len(of(Cancel, said)) == 1
    assert len(desk.scheduler.roster.lanes) == 2


def test_over_the_budget_the_end_of_a_lane_makes_no_room_for_another() -> None:
    desk = at_the_brim()
    desk.scheduler._all_lanes = 7
    assert desk.scheduler._make_room() == []
    assert [desk.source(number).climb.lanes for number in (1, 2)] == [3, 4]


def test_no_source_climbs_beyond_the_budget() -> None:
    desk = Desk(FAR, host_lanes=16, all_lanes=4)
    desk.open()
    for _ in range(50):
        desk.flow(0.1, {1: MIB})
        assert desk.source().climb.lanes <= 4


def test_a_lane_that_was_promised_is_waited_for() -> None:
    """It comes when another ends; judged before, the promise would be forgotten and given again, and again."""
    desk = at_the_brim()
    assert desk.scheduler._make_room() == []
    begun = desk.now
    while len(desk.lanes(2)) == 4:
        assert [desk.source(number).climb.lanes for number in (1, 2)] == [3, 5]
        desk.flow(0.1, {1: 10 * KIB, 2: 4 * MIB})
    assert desk.now - begun > 1.5 * MIN_WINDOW_S, "long enough to measure and to judge"


def test_a_source_keeps_its_only_lane_though_anothers_are_all_quicker() -> None:
    desk = Desk(FAR, host_lanes=2)
    desk.open(1, max_lanes=2)
    desk.open(2, max_lanes=1)
    desk.flow(3, {1: 4 * MIB, 2: 100 * KIB})
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [2, 1]
    desk.obey(desk.tell(Budget(2)))
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [1, 1]


def test_until_one_that_is_given_up_has_answered_no_other_is_in_its_stead() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open()
    desk.flow(3, {1: MIB})
    (given_up,) = of(Cancel, desk.tell(Budget(3)))
    slower = [lane for lane in desk.lanes() if lane.leases[0].id != given_up.lease][-1]
    slower.rate.mean /= 4
    assert of(Cancel, desk.tick()) == []


def test_a_trial_is_not_judged_before_the_new_lanes_have_brought_something() -> None:
    """They may take longer than a round trip: to judge it by the old ones would condemn every trial."""
    desk = Desk(FAR, host_lanes=16)
    desk.open()
    while len(desk.lanes()) <= START_LANES:
        desk.flow(0.1, {1: MIB})
    old = desk.lanes()[:START_LANES]
    assert desk.source().climb.trying
    for _ in range(round(2 * MIN_WINDOW_S / 0.1)):
        for lane in old:
            desk.advance(lane, 100 * KIB)
        desk.obey(desk.tick(after_s=0.1))
    assert desk.source().climb.trying


def test_a_lane_refused_beside_one_that_hangs_is_a_fault_of_the_source() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open(start=0, end=256 * MIB)
    desk.move(desk.lease(), MIB)
    desk.now += SILENT_S + 1.0
    desk.open(start=512 * MIB, end=768 * MIB)
    hanging, fresh = desk.lanes()[:2]
    assert hanging.worked
    assert hanging.is_silent(desk.now)
    desk.tell(Failed(fresh.leases[0].id, 512 * MIB, FaultKind.PASSING))
    assert desk.source().failures == 1
    assert not desk.source().climb.rests(desk.now), "it did not refuse one more"


# -- when a lane is opened


def test_once_the_rate_is_known_further_lanes_need_not_wait_for_a_tick() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open(start=0, end=256 * KIB)
    assert not desk.source().known
    said = desk.finish(desk.lease())
    assert asked_lanes(said) == 4


def test_a_stream_is_not_asked_twice_at_once_though_its_start_was_wrong() -> None:
    desk = Desk(64 * MIB, host_lanes=4)
    desk.open(random_access=False)
    desk.flow(2, {1: MIB})
    desk.tell(PieceBad(0, MIB, frozenset(), frozenset()))
    desk.tick(after_s=0.1)
    assert list(desk.scheduler.missing) == [(0, MIB)]
    assert len(desk.lanes()) == 1


def test_beside_a_lane_that_has_not_been_answered_none_asks_whether_the_source_is_back() -> None:
    """Nor is the source given up, without retries, before that one has been heard of."""
    desk = Desk(FAR, host_lanes=4, retries=0)
    for part in range(2):
        desk.open(start=part * 256 * MIB, end=part * 256 * MIB + MIB, latency_s=1.0)
    desk.fail()
    assert desk.source().failures == 1
    (waiting,) = desk.lanes()
    assert not waiting.probe
    assert not desk.source().exhausted
    said = desk.tick(after_s=0.8)
    assert desk.source().retry_at < desk.now
    assert {fetch.lane for fetch in of(Fetch, said)} <= {waiting.id}


# -- behind a cut


@pytest.mark.parametrize("cut", [True, False])
def test_where_an_answer_was_cut_the_lane_has_to_connect_anew(*, cut: bool) -> None:
    desk = Desk(FAR)
    desk.open(start=0, end=8 * MIB, latency_s=1.0)
    lane, lease = desk.lane(), desk.lease()
    desk.move(lease, MIB, after_s=2.0)
    if cut:
        desk.scheduler._shrink(lease, 2 * MIB)
        desk.tell(Shrunk(lease.id, 2 * MIB))
    desk.tell(Ended(lease.id, lease.end))
    assert lane.connected is not cut


@pytest.mark.parametrize(("shared", "lanes", "bound"), [(True, 4, False), (False, 6, True)])
def test_a_trial_that_the_budget_cuts_short_is_judged_all_the_same(*, shared: bool, lanes: int, bound: bool) -> None:
    desk = Desk(4 * FAR, host_lanes=16, all_lanes=6)
    desk.open()
    desk.flow(60, {1: MIB}, shared=shared)
    assert (len(desk.lanes()), desk.source().climb.lane_bound) == (lanes, bound)
