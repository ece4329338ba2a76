"""On how many lanes each source works, and who gets them where there are not enough."""

from __future__ import annotations

from tests.core.desk import KIB, MIB, Desk, of
from thunderdl.core.climbing import MAX_REST_S
from thunderdl.core.granting import MIN_WORK_FOR_LANE_S
from thunderdl.core.protocol import Cancel, Close, Command, FaultKind, Fetch, HostCap, HostPause
from thunderdl.core.staffing import (
    CLEAR_GAIN,
    MIN_LANE_RATE,
    MIN_WORK_FOR_LANE_BYTES,
    MOST_ENDING,
    START_LANES,
    SURPLUS_S,
    UNTRIED_WORTH,
)

FAR = 1024 * MIB


# -- within limits


def test_lanes_to_one_host_stay_within_its_limit() -> None:
    desk = Desk(FAR, host_lanes=3)
    desk.open(1, host="same")
    desk.open(2, host="same")
    desk.open(3, host="other")
    for _ in range(30):
        desk.flow(0.5, {1: MIB, 2: MIB, 3: MIB})
        assert len(desk.lanes(1)) + len(desk.lanes(2)) <= 3
        assert len(desk.lanes(3)) <= 3
    assert len(desk.lanes(1)) + len(desk.lanes(2)) == len(desk.lanes(3)) == 3, "and use it"


def test_a_host_cap_is_respected_and_may_be_lifted() -> None:
    desk = Desk(FAR, host_lanes=8)
    desk.tell(HostCap("host1", 2))
    desk.open()
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 2
    desk.tell(HostCap("host1", 4))
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 4


def test_the_cap_of_one_host_is_not_anothers() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.tell(HostCap("host1", 1))
    desk.open(1)
    desk.open(2)
    desk.flow(10, {1: MIB, 2: MIB})
    assert (len(desk.lanes(1)), len(desk.lanes(2))) == (1, 4)


def test_a_source_that_is_down_does_not_come_back_over_its_hosts_cap() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open()
    desk.fail()
    desk.tell(HostCap("host1", 0))
    assert of(Fetch, desk.tick(after_s=10.0)) == []
    assert len(of(Fetch, desk.tell(HostCap("host1", 1)))) >= 1


def test_all_lanes_together_stay_within_the_budget() -> None:
    desk = Desk(FAR, host_lanes=8, all_lanes=6)
    rates = {}
    for number in (1, 2, 3):
        desk.open(number)
        rates[number] = MIB
    for _ in range(40):
        desk.flow(0.5, rates)
        assert len(desk.scheduler.roster.lanes) <= 6
    assert len(desk.scheduler.roster.lanes) == 6


def test_no_second_lane_for_little_work() -> None:
    for size, lanes in ((MIN_WORK_FOR_LANE_BYTES - 100 * KIB, 1), (MIN_WORK_FOR_LANE_BYTES + 100 * KIB, 2)):
        desk = Desk(size, host_lanes=8)
        desk.open(start=0, end=64 * KIB)
        assert desk.scheduler.missing.total
        desk.flow(0.1, {1: 200 * KIB})
        assert len(desk.lanes()) == lanes


def test_many_sources_begin_with_few_lanes_each() -> None:
    desk = Desk(FAR, host_lanes=16, all_lanes=32)
    for number in range(1, 17):
        desk.open(number)
    lanes = [desk.source(number).climb.lanes for number in range(1, 17)]
    assert lanes[0] == START_LANES
    assert lanes[-1] == 32 // 16
    assert lanes == sorted(lanes, reverse=True)


def test_those_that_are_still_to_come_count_as_sources() -> None:
    desk = Desk(FAR, host_lanes=16, all_lanes=32)
    desk.open(1, to_come=39)
    assert desk.source().climb.lanes == 1


def test_a_source_never_begins_with_more_lanes_than_its_host_may_have() -> None:
    desk = Desk(FAR, host_lanes=2)
    desk.open()
    assert desk.source().climb.lanes == 2


# -- what a source can do


def test_no_more_lanes_than_a_source_wishes() -> None:
    desk = Desk(FAR, host_lanes=16)
    desk.open(1, max_lanes=2)
    desk.open(2)
    most = 0
    for _ in range(20):
        desk.flow(0.5, {1: MIB, 2: MIB})
        most = max(most, len(desk.lanes(1)))
    assert most == 2
    assert len(desk.lanes(2)) > 2


def test_a_wish_for_more_lanes_than_the_host_may_have_is_not_granted() -> None:
    desk = Desk(FAR, host_lanes=3)
    desk.open(max_lanes=10)
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 3


def test_nothing_smaller_is_asked_of_a_source_than_it_finds_worth_it() -> None:
    desk = Desk(64 * MIB, align=256 * KIB)
    said = [*desk.open(1, min_bytes=2 * MIB), *desk.open(2)]
    said += desk.flow(40, {1: 200 * KIB, 2: MIB})
    asked = [each for each in of(Fetch, said) if each.source == 1]
    assert len(asked) > 2
    assert all(each.end - each.start >= 2 * MIB for each in asked[:-1])
    assert desk.scheduler.filled.total > 40 * MIB


def test_of_a_source_without_ranges_no_second_lane_is_opened() -> None:
    desk = Desk(FAR, host_lanes=8)
    desk.open(random_access=False)
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 1


# -- more lanes where they help


def test_more_lanes_are_tried_and_kept_where_each_is_limited() -> None:
    desk = Desk(FAR, host_lanes=16)
    desk.open()
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 16
    assert desk.source().climb.lane_bound is True


def test_lanes_that_share_a_rate_are_taken_back() -> None:
    desk = Desk(FAR, host_lanes=16)
    desk.open()
    desk.flow(12, {1: MIB}, shared=True)
    assert desk.source().climb.lane_bound is False
    assert len(desk.lanes()) <= START_LANES


def test_lanes_that_trickle_are_taken_back_until_each_brings_something() -> None:
    for rate, most in ((3 * MIN_LANE_RATE, 3), (MIN_LANE_RATE / 2, 2)):
        desk = Desk(MIB, host_lanes=8)
        desk.open()
        desk.flow(60, {1: int(rate)}, shared=True)
        assert len(desk.lanes()) <= most


def test_trickles_that_add_up_are_kept() -> None:
    desk = Desk(MIB, host_lanes=8)
    desk.open()
    desk.flow(60, {1: int(0.9 * MIN_LANE_RATE)})
    desk.source().climb.lane_bound = True
    lanes = len(desk.lanes())
    desk.flow(20, {1: int(0.9 * MIN_LANE_RATE)})
    assert len(desk.lanes()) >= lanes


def test_one_lane_too_many_ends_with_its_lease() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open()
    desk.flow(5, {1: MIB})
    before = list(desk.source().lanes)
    assert len(before) == 4
    desk.source().climb.step_down(3)
    said = desk.flow(10, {1: MIB})
    assert [close.lane for close in of(Close, said)] == before[-1:], "the one that came last"
    assert of(Cancel, said) == []


def test_one_that_would_be_at_it_for_long_is_not_waited_for() -> None:
    desk = Desk(FAR, host_lanes=2)
    desk.open()
    desk.flow(5, {1: MIB})
    lane = desk.lanes()[-1]
    desk.source().climb.step_down(1)
    lane.rate.mean = lane.left_bytes / (SURPLUS_S / 2)
    assert of(Cancel, desk.tick()) == []
    lane.rate.mean = lane.left_bytes / (SURPLUS_S * 2)
    first = lane.leases[0].id
    assert of(Cancel, desk.tick()) == [Cancel(first, FaultKind.CANCELLED)]
    assert of(Cancel, desk.tick()) == [], "once"


# -- where the budget is used up


def test_a_lane_goes_to_the_source_that_makes_most_of_it() -> None:
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=8)
    desk.open(1)
    desk.flow(20, {1: 50 * KIB})
    assert len(desk.lanes(1)) == 8
    assert of(Close, desk.flow(2, {1: 50 * KIB})) == []
    desk.open(2)
    desk.flow(60, {1: 50 * KIB, 2: 5 * MIB})
    assert len(desk.lanes(2)) > len(desk.lanes(1))
    assert len(desk.scheduler.roster.lanes) <= 8


def test_lanes_change_hands_a_few_at_a_time() -> None:
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=8)
    desk.open(1)
    desk.flow(20, {1: 50 * KIB})
    desk.open(2)
    for _ in range(100):
        desk.flow(0.1, {1: 50 * KIB, 2: 5 * MIB})
        assert len(desk.lanes(1)) - desk.source(1).climb.lanes <= MOST_ENDING


def test_nobody_loses_its_only_lane_to_one_that_may_have_use_for_more() -> None:
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=2)
    desk.open(1, to_come=1)
    desk.open(2)
    rates = {1: 400 * KIB, 2: 400 * KIB * 6}
    assert UNTRIED_WORTH * rates[2] > CLEAR_GAIN * rates[1], "as between lanes it would be clear"
    assert of(Cancel, desk.flow(6, rates)) == []
    assert len(desk.lanes(1)) == 1


def test_who_gives_up_a_lane_too_many_does_not_lose_the_other_in_the_same_moment() -> None:
    """Of 35 mirrors six stood still for three seconds each, for their second lane had not helped."""
    desk = Desk(4 * FAR, host_lanes=2, all_lanes=3)
    desk.open(1)
    desk.open(2, max_lanes=1)
    desk.flow(2, {1: MIB, 2: MIB})
    desk.open(3)
    desk.obey(desk.fail(3, retry_after_s=1.0))
    desk.flow(0.5, {1: MIB, 2: MIB})
    assert [len(desk.lanes(number)) for number in (1, 2, 3)] == [2, 1, 0]
    desk.source(1).climb.step_down(1)
    desk.source(1).climb.lane_bound = False
    desk.now += 1.0
    assert of(Cancel, desk.tick()) == [], "the first lane of source 1 is no second one"


def test_no_lane_changes_hands_between_equals() -> None:
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=8)
    desk.open(1)
    desk.open(2)
    desk.flow(10, {1: MIB, 2: MIB})
    before = set(desk.scheduler.roster.lanes)
    assert len(before) == 8
    desk.flow(30, {1: MIB, 2: int(0.9 * MIB)})
    assert set(desk.scheduler.roster.lanes) == before


def budget_used_up_while_another_is_away() -> Desk:
    """Source 2 was refused for a while; meanwhile source 1 has come to use all lanes."""
    desk = Desk(4 * FAR, host_lanes=8, all_lanes=6)
    desk.open(1)
    desk.open(2)
    desk.flow(1, {1: MIB, 2: 4 * MIB})
    desk.tell(HostPause("host2", desk.now + 12))
    while desk.lanes(2):
        desk.obey(desk.fail(2, retry_after_s=12.0))
    desk.flow(10, {1: MIB})
    assert [len(desk.lanes(1)), len(desk.lanes(2))] == [6, 0]
    return desk


def test_a_source_that_returns_gets_a_lane_at_once_although_all_are_taken() -> None:
    desk = budget_used_up_while_another_is_away()
    said = desk.flow(3, {1: MIB})
    assert len(of(Cancel, said)) >= 1
    assert len(desk.lanes(1)) == 5
    assert len(desk.lanes(2)) == 1


def test_what_gave_its_last_lane_does_not_ask_for_it_back_at_once() -> None:
    desk = Desk(4 * FAR, host_lanes=2, all_lanes=2)
    desk.open(1)
    desk.open(2)
    given_at, said = 0.0, list[Command]()
    while not of(Cancel, said):
        said, given_at = desk.flow(0.1, {1: 20 * KIB, 2: MIB}), desk.now
    assert (len(desk.lanes(1)), len(desk.lanes(2))) == (0, 2)
    while not desk.lanes(1) and desk.now < given_at + 20:
        assert desk.now < given_at + MIN_WORK_FOR_LANE_S or desk.source(1).retry_at <= desk.now
        desk.flow(0.1, {2: MIB})
    assert desk.now > given_at + MIN_WORK_FOR_LANE_S


def test_giving_a_lane_shows_whether_lanes_matter() -> None:
    """The donor's rate is one that its lanes share, in the first case: the loss of one costs nothing."""
    learned = {}
    for shared in (True, False):
        desk = Desk(4 * FAR, host_lanes=4, all_lanes=5)
        desk.open(1)
        desk.flow(2, {1: 400 * KIB}, shared=shared)
        desk.source(1).climb.lane_bound = None
        desk.source(1).climb.step_down(4)
        desk.flow(2, {1: 400 * KIB}, shared=shared)
        desk.source(1).climb.lane_bound = None
        desk.source(1).climb.give_one()
        desk.flow(15, {1: 400 * KIB}, shared=shared)
        learned[shared] = desk.source(1).climb.lane_bound
    assert learned == {True: False, False: True}


# -- hosts


def test_a_pause_of_one_host_is_not_anothers() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open(1)
    desk.open(2)
    desk.tell(HostPause("host1", desk.now + 30))
    desk.flow(10, {1: MIB, 2: MIB})
    assert (len(desk.lanes(1)), len(desk.lanes(2))) == (1, 4)


def test_a_pause_is_not_shortened_by_a_shorter_one() -> None:
    desk = Desk(FAR, host_lanes=4)
    desk.open(1)
    until = desk.now + 30
    desk.tell(HostPause("host1", until))
    desk.tell(HostPause("host1", desk.now + 1))
    assert desk.source().retry_at == until


def test_where_one_more_is_refused_it_is_not_tried_again_for_the_longest_rest() -> None:
    desk = Desk(4 * FAR, host_lanes=8)
    desk.open()
    desk.flow(5, {1: MIB})
    count = len(desk.lanes())
    desk.source().climb.refused(2, desk.now)
    desk.flow(MAX_REST_S - 1, {1: MIB})
    assert len(desk.lanes()) == 2 < count
