"""Guards of granting and staffing, one by one: what each keeps from happening."""

from __future__ import annotations

import pytest

from tests.core.desk import KIB, MIB, Desk, of
from thunderdl.core.granting import MIN_WORK_FOR_LANE_S
from thunderdl.core.leasing import CUT_BYTES, cut_bytes
from thunderdl.core.protocol import Budget, Cancel, Fetch, HostCap, Shrink, Shrunk
from thunderdl.core.roster import SILENT_S, Lane
from thunderdl.core.staffing import UNTRIED_END_S, UNTRIED_WORTH, USELESS_WORTH, _gain, _loss

FAR = 1024 * MIB


def nearly_done(desk: Desk, source: int = 1, *, left: int = 10 * KIB) -> Lane:
    """The source's first lane has but a little left of its only lease."""
    lane = desk.lane(source)
    desk.move(lane.leases[0], lane.leases[0].left_bytes - left, after_s=1.0)
    assert len(lane.leases) == 1
    return lane


# -- who is fed


def test_a_lane_that_has_little_left_is_fed() -> None:
    desk = Desk(FAR)
    desk.open(start=0, end=8 * MIB)
    nearly_done(desk)
    assert of(Fetch, desk.tick())


@pytest.mark.parametrize("state", ["cancelled", "shrinking"])
def test_one_whose_last_lease_is_being_ended_or_cut_is_not(state: str) -> None:
    desk = Desk(FAR)
    desk.open(start=0, end=8 * MIB)
    setattr(nearly_done(desk).leases[0], state, True)
    assert of(Fetch, desk.tick()) == []


def test_one_that_is_silent_is_not_though_its_siblings_flow() -> None:
    desk = Desk(FAR)
    for part in range(2):
        desk.open(start=part * 8 * MIB, end=(part + 1) * 8 * MIB)
    hanging = nearly_done(desk)
    flowing = desk.lanes()[1]
    for _ in range(round(SILENT_S / 0.1) + 3):
        desk.move(flowing.leases[0], 10 * KIB)
    assert hanging.is_silent(desk.now)
    assert not desk.source().silent
    assert hanging.id not in {fetch.lane for fetch in of(Fetch, desk.tick())}


def test_one_that_sees_whether_its_source_is_back_has_two_leases_at_most() -> None:
    desk = Desk(FAR)
    desk.open(start=0, end=8 * MIB)
    desk.fail()
    assert len(of(Fetch, desk.tick(after_s=5.0))) <= 2
    assert of(Fetch, desk.tick(after_s=0.05)) == []


# -- who steals


@pytest.mark.parametrize("state", ["stream", "probation"])
def test_those_that_may_not_choose_do_not_steal(state: str) -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    desk.open(2, random_access=state != "stream")
    (lane,) = desk.lanes(2)
    for lease in desk.leases(1):
        lease.shrinking, lease.thief = False, None
    desk.source(2).doubted = state == "probation"
    assert desk.scheduler._steal_for(lane) == []


def test_nobody_steals_while_something_is_left_to_be_given() -> None:
    desk = Desk(FAR)
    desk.open(1, start=0, end=512 * MIB)
    desk.open(2, start=512 * MIB, end=520 * MIB)
    desk.flow(0.5, {1: MIB, 2: MIB})
    lane = nearly_done(desk, 2)
    assert desk.scheduler.missing.total
    assert desk.scheduler._steal_for(lane) == []


def test_what_a_silent_lane_is_relieved_of_costs_nothing() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(1, {1: MIB})
    desk.now += 10
    desk.scheduler._now = desk.now
    lease = desk.lease(1)
    desk.scheduler._shrink(lease, lease.position)
    assert desk.scheduler._lost_bytes == 0


def test_an_answer_that_frees_nothing_hands_over_nothing() -> None:
    desk = Desk(16 * MIB)
    desk.open(1, start=0, end=16 * MIB)
    desk.flow(2, {1: MIB})
    (shrink,) = of(Shrink, [*desk.open(2), *desk.tick(after_s=0.1)])
    said = desk.tell(Shrunk(shrink.lease, 16 * MIB))
    assert all(fetch.start < fetch.end for fetch in of(Fetch, said))


# -- until all are done


def in_sight_of_the_end(end_s: float, *, mine: int, theirs: int) -> tuple[Desk, Lane]:
    """Source 1 brings ``mine`` bytes a second and source 2 ``theirs``; all that is left is done in ``end_s``."""
    desk = Desk(FAR)
    desk.open(1, start=0, end=MIB)
    desk.open(2, start=FAR - MIB, end=FAR)
    desk.flow(0.3, {1: mine, 2: theirs})
    left = int(desk.scheduler._rate() * end_s)
    desk.scheduler.filled.remove(0, FAR)
    desk.scheduler.filled.add(0, FAR - left)
    return desk, desk.lane(1)


def test_in_sight_of_the_end_a_busy_lane_gets_what_it_can_bring_until_then() -> None:
    """What it has is work for some time: that is taken off."""
    desk, lane = in_sight_of_the_end(3.0, mine=MIB, theirs=MIB)
    assert lane.ready_s(desk.now) > 0.5
    room = (3.0 - lane.ready_s(desk.now)) * lane.likely_rate()
    wanted = desk.scheduler._before_the_end(lane, 100 * MIB, 0)
    assert wanted == pytest.approx(room, abs=2 * cut_bytes(MIB))
    assert desk.scheduler._before_the_end(lane, 64 * KIB, 0) == 64 * KIB, "small enough"


def test_a_busy_lane_that_could_bring_next_to_nothing_until_then_gets_nothing() -> None:
    desk, lane = in_sight_of_the_end(0.1, mine=MIB, theirs=10 * MIB)
    assert desk.scheduler._before_the_end(lane, 8 * MIB, 0) == 0


def test_nothing_smaller_than_its_source_finds_worth_it_is_left_for_a_lane_until_then() -> None:
    desk, lane = in_sight_of_the_end(MIN_WORK_FOR_LANE_S + 1, mine=MIB, theirs=MIB)
    lane.source.min_bytes = 5 * MIB
    assert lane.leases
    assert desk.scheduler._before_the_end(lane, 20 * MIB, 0) == 0
    idle(desk, lane)
    assert desk.scheduler._before_the_end(lane, 20 * MIB, 0) == 5 * MIB


def idle(desk: Desk, lane: Lane) -> None:
    for lease in list(lane.leases):
        desk.scheduler.roster.drop_lease(lease, desk.now)


def test_an_idle_lane_that_is_too_slow_is_tried_while_there_is_time() -> None:
    desk, lane = in_sight_of_the_end(MIN_WORK_FOR_LANE_S + 1, mine=KIB, theirs=10 * MIB)
    idle(desk, lane)
    assert desk.scheduler._before_the_end(lane, 8 * MIB, 0) >= CUT_BYTES


def test_and_is_not_when_there_is_none() -> None:
    desk, lane = in_sight_of_the_end(0.1, mine=KIB, theirs=10 * MIB)
    idle(desk, lane)
    idle(desk, desk.lane(2))
    assert desk.scheduler._before_the_end(lane, 8 * MIB, 0) == 0


@pytest.mark.parametrize("state", ["probation", "probe"])
def test_who_is_on_trial_brings_all_of_its_piece_or_nothing(state: str) -> None:
    for theirs, wanted in ((20 * KIB, MIB), (10 * MIB, 0)):
        desk, lane = in_sight_of_the_end(1.0, mine=100 * KIB, theirs=theirs)
        idle(desk, lane)
        idle(desk, desk.lane(2))
        lane.source.doubted, lane.probe = state == "probation", state == "probe"
        assert desk.scheduler._before_the_end(lane, MIB, 0) == wanted


@pytest.mark.parametrize("state", ["", "silent", "hangs", "doubted", "banned", "avoids", "unknown"])
def test_those_that_are_of_no_use_for_it_are_not_sooner(state: str) -> None:
    desk, lane = in_sight_of_the_end(0.1, mine=10 * KIB, theirs=10 * MIB)
    idle(desk, lane)
    other = desk.source(2)
    other.silent, other.banned, other.doubted = state == "silent", state == "banned", state == "doubted"
    if state == "avoids":
        other.avoid.add(0, MIB)
    if state == "hangs":
        desk.scheduler._now = desk.now + SILENT_S + 2
    if state == "unknown":
        desk.lane(2).rate.known = False
    assert desk.scheduler._is_first_to_bring(lane, 100 * KIB, 0) is bool(state)


def test_a_lane_that_is_only_a_little_later_counts_as_first() -> None:
    desk, lane = in_sight_of_the_end(0.1, mine=9 * MIB, theirs=10 * MIB)
    assert desk.scheduler._is_first_to_bring(lane, 8 * MIB, 0)


# -- lanes that change hands


@pytest.mark.parametrize(("lane_bound", "gain", "loss"), [
    (True, 1.0, 1.0), (None, UNTRIED_WORTH, UNTRIED_WORTH), (False, UNTRIED_WORTH, USELESS_WORTH),
])  # fmt: skip
def test_what_a_lane_is_worth_is_known_from_the_climb(lane_bound: bool | None, gain: float, loss: float) -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open()
    desk.flow(3, {1: MIB})
    source = desk.source()
    source.climb.lane_bound = lane_bound
    assert len(source.lanes) > 1
    assert _gain(source) == pytest.approx(source.lane_rate() * gain)
    assert _loss(source) == pytest.approx(source.lane_rate() * loss)


def test_the_first_lane_of_a_source_is_worth_all_that_it_brings() -> None:
    desk = Desk(FAR)
    desk.open()
    desk.flow(1, {1: MIB})
    assert _loss(desk.source()) == pytest.approx(desk.source().lane_rate())
    desk.fail(retry_after_s=9.0)
    assert _gain(desk.source()) == pytest.approx(desk.source().lane_rate())


def at_the_brim() -> Desk:
    """Two sources of four lanes each and a budget of eight; the first is far slower and its lanes are useless."""
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=8)
    for number in (1, 2):
        desk.tell(HostCap(f"host{number}", 4))
        desk.open(number)
    desk.flow(6, {1: 10 * KIB, 2: 4 * MIB})
    for number in (1, 2):
        desk.tell(HostCap(f"host{number}", 8))
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [4, 4]
    desk.source(2).climb._kept = desk.source(2).climb.lanes = 4
    desk.source(2).climb._rest_until = 0.0
    desk.source(1).climb.lane_bound, desk.source(2).climb.lane_bound = False, True
    return desk


def test_a_lane_of_the_slow_goes_to_the_quick_and_ends_with_its_lease() -> None:
    desk = at_the_brim()
    assert desk.scheduler._make_room() == []
    assert (desk.source(1).climb.lanes, desk.source(2).climb.lanes) == (3, 5)


@pytest.mark.parametrize("why", ["all is granted", "it shares its rate", "it tries", "it rests", "its host is full"])
def test_no_lane_changes_hands_where(why: str) -> None:
    desk = at_the_brim()
    climb = desk.source(2).climb
    if why == "all is granted":
        desk.scheduler.missing.remove(0, 4 * FAR)
    elif why == "it shares its rate":
        climb.lane_bound = False
    elif why == "it tries":
        climb.allow(6)
    elif why == "it rests":
        climb._rest_until = desk.now + 10
    else:
        desk.scheduler._host_caps["host2"] = 4
    assert desk.scheduler._make_room() == []
    assert desk.source(1).climb.lanes == 4, why


def test_nothing_is_given_while_there_is_room() -> None:
    desk = at_the_brim()
    desk.scheduler._all_lanes = 9
    assert desk.scheduler._make_room() == []
    assert desk.source(1).climb.lanes == 4


# -- whose lanes are opened, and whose are given up


def test_one_more_lane_goes_to_a_source_that_has_none_before_one_that_is_quick() -> None:
    desk = Desk(FAR, host_lanes=4, all_lanes=3)
    desk.open(1)
    desk.flow(2, {1: 8 * MIB})
    desk.open(2)
    desk.fail(2, retry_after_s=9.0)
    desk.source(2).retry_at = 0.0
    desk.scheduler._all_lanes = len(desk.lanes(1)) + 1
    desk.source(1).climb.allow(4)
    assert desk.scheduler._wants_lane(set()) is desk.source(2)
    assert desk.scheduler._wants_lane({2}) is desk.source(1)


@pytest.mark.parametrize("why", ["idle", "shrinking", "unsettled", ""])
def test_to_steal_one_more_lane_is_opened_only_where(why: str) -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open(1, start=0, end=512 * MIB)
    desk.open(1, start=512 * MIB, end=FAR)
    desk.flow(1, {1: MIB})
    source = desk.source()
    source.climb.lane_bound = None if why == "unsettled" else True
    if why == "idle":
        desk.scheduler.roster.add_lane(source)
    desk.lease().shrinking = why == "shrinking"
    if why == "unsettled":
        # With a long way to go it is found out.
        assert desk.scheduler._may_steal(source)
        desk.scheduler._end_in_s = UNTRIED_END_S - 1.0
    assert desk.scheduler._may_steal(source) is not bool(why)


def test_a_lane_that_is_being_given_up_counts_no_more() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open()
    desk.flow(3, {1: MIB})
    assert len(desk.lanes()) == 4
    assert len(of(Cancel, desk.tell(Budget(3)))) == 1
    assert of(Cancel, desk.tell(Budget(3))) == [], "it has not answered yet"
