"""Sources that fall silent: looked after by new lanes, relieved of what they hold when others would run out of work."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.core.desk import KIB, MIB, Desk, asked_lanes, fetched, of
from thunderdl.core.backing_off import BACK_OFF_SHARE, MIN_BACK_OFF_S
from thunderdl.core.granting import RECLAIM_S
from thunderdl.core.leasing import CUT_BYTES, PROBE_BYTES
from thunderdl.core.protocol import (
    Cancel,
    Close,
    Command,
    Complete,
    Ended,
    FaultKind,
    Fetch,
    FirstByte,
    GiveUp,
    HostCap,
    Renewing,
    Shrink,
)  # fmt: skip
from thunderdl.core.roster import SILENT_S, SILENT_TRIPS
from thunderdl.core.scheduler import LOST_S, LOST_TRIPS, PROBE_S

FAR = 1024 * MIB
STALL_S = 30.0
# From the last byte until a source counts as silent, with what it takes until the next Tick; and to its first probe.
HUSH_S = SILENT_S + 0.2
PROBED_S = HUSH_S + MIN_BACK_OFF_S + 0.2


def at_work(*, host_lanes: int = 4, sources: int = 1, size: int = FAR, all_lanes: int = 32) -> Desk:
    desk = Desk(size, host_lanes=host_lanes, all_lanes=all_lanes, stall_s=STALL_S, retries=3)
    for number in range(1, sources + 1):
        desk.open(number)
    desk.flow(3, dict.fromkeys(range(1, sources + 1), MIB))
    return desk


def with_lanes_to_spare() -> Desk:
    """Four lanes at work, and room for four more."""
    desk = Desk(FAR, host_lanes=8, stall_s=STALL_S, retries=3)
    desk.tell(HostCap("host1", 4))
    desk.open()
    desk.flow(3, {1: MIB})
    desk.tell(HostCap("host1", 8))
    assert len(desk.lanes()) == 4
    return desk


# -- falling silent


def test_a_source_is_silent_once_all_of_its_lanes_are() -> None:
    desk = at_work()
    (first, *others) = desk.lanes()
    for _ in range(20):
        desk.move(first.leases[0], 10 * KIB)
        desk.tick()
    assert not desk.source().silent
    assert all(lane.is_silent(desk.now) for lane in others)
    desk.flow(HUSH_S, {})
    assert desk.source().silent


def test_silence_is_longer_than_three_round_trips() -> None:
    desk = Desk(FAR, stall_s=STALL_S)
    desk.open(start=0, end=FAR, latency_s=1.0)
    desk.flow(1, {1: MIB})
    desk.flow(SILENT_TRIPS - 0.2, {})
    assert not desk.source().silent
    desk.flow(0.4, {})
    assert desk.source().silent


def test_the_wait_for_a_first_byte_is_no_silence() -> None:
    desk = Desk(FAR)
    desk.open(latency_s=0.5)
    desk.flow(1 + SILENT_S / 2, {})
    assert not desk.source().silent
    desk.tell(FirstByte(desk.lease().id, 0.5))
    desk.flow(SILENT_S - 0.1, {})
    assert not desk.source().silent, "it was heard of"


def test_a_silent_source_gets_no_new_work_and_no_lane_but_one_that_looks() -> None:
    desk = with_lanes_to_spare()
    desk.flow(HUSH_S, {})
    assert desk.source().silent
    said: list[Command] = []
    for _ in range(200):
        said += desk.flow(0.1, {})
        assert len([lane for lane in desk.lanes() if lane.probe]) <= 1
        assert len(desk.lanes()) <= 5
    assert asked_lanes(said) > 1, "it is looked after again and again"
    assert all(fetch.end - fetch.start <= PROBE_BYTES for fetch in of(Fetch, said))


def test_a_stream_is_waited_for() -> None:
    desk = Desk(FAR, stall_s=STALL_S)
    desk.open(random_access=False)
    desk.flow(1, {1: MIB})
    assert of(Fetch, desk.flow(STALL_S - 1, {})) == []
    assert not desk.source().silent
    assert len(of(Cancel, desk.flow(1.5, {}))) == 1


# -- looking whether it is back


def test_a_new_lane_looks_whether_a_silent_source_is_back() -> None:
    desk = with_lanes_to_spare()
    old = set(desk.source().lanes)
    said = desk.flow(PROBED_S, {})
    (probe,) = [lane for lane in desk.lanes() if lane.probe]
    assert probe.id not in old
    assert {fetch.lane for fetch in of(Fetch, said)} >= {probe.id}
    assert of(Cancel, said) == [], "what hangs may wake up"


def test_its_first_bytes_make_the_source_well_again_and_lanes_that_hang_on_are_given_up() -> None:
    desk = with_lanes_to_spare()
    old = set(desk.source().lanes)
    desk.flow(PROBED_S, {})
    (probe,) = [lane for lane in desk.lanes() if lane.probe]
    said: list[Command] = []
    for _ in range(round(LOST_S / 0.1)):
        for lane in desk.lanes():
            if lane.id not in old:
                said += desk.advance(lane, 100 * KIB)
        desk.now += 0.1
        said += desk.obey(desk.tick())
    assert not desk.source().silent
    assert (desk.source().failures, desk.source().down_since) == (0, None)
    assert not probe.probe
    assert len(of(Cancel, said)) == len(old)
    assert not old & set(desk.source().lanes)
    assert len(desk.lanes()) > 1, "and others are in their place"


def test_an_old_lane_that_wakes_up_makes_the_source_well_again() -> None:
    desk = at_work()
    (first, *_) = desk.lanes()
    desk.flow(HUSH_S, {})
    assert desk.source().silent
    desk.move(first.leases[0], 20 * KIB)
    assert not desk.source().silent
    assert of(Fetch, desk.flow(3, {1: MIB})), "and its lanes are at work again"


def test_what_a_lane_did_before_its_silence_says_nothing_any_more() -> None:
    desk = at_work(host_lanes=1)
    (lane,) = desk.lanes()
    desk.flow(10, {})
    desk.move(lane.leases[0], 10 * KIB)
    desk.move(lane.leases[0], 10 * KIB, after_s=1.0)
    assert lane.rate.mean < 20 * KIB


def test_one_that_has_only_just_been_opened_to_look_is_no_sign_that_the_others_hang() -> None:
    """It has shown nothing yet, and what hangs may wake up."""
    desk = with_lanes_to_spare()
    old = set(desk.source().lanes)
    desk.flow(3 * LOST_S, {})
    assert desk.source().silent
    assert old <= set(desk.source().lanes), "only those that looked in vain were given up"


def test_a_few_bytes_do_not_make_a_source_well_again() -> None:
    desk = Desk(FAR)
    desk.open()
    desk.fail()
    desk.tick(after_s=5.0)
    desk.move(desk.lease(), CUT_BYTES - 1)
    assert (desk.source().failures, desk.source().is_down) == (1, True)
    desk.move(desk.lease(), 1)
    assert not desk.source().is_down


def test_where_lanes_are_too_many_the_one_that_found_the_source_well_stays() -> None:
    desk = with_lanes_to_spare()
    desk.flow(PROBED_S, {})
    (probe,) = [lane for lane in desk.lanes() if lane.probe]
    desk.source().climb.step_down(1)
    desk.move(probe.leases[0], 20 * KIB)
    assert not probe.probe
    assert desk.lane() is probe
    assert of(Close, desk.finish(probe.leases[0])) == [], "those that hang are one too many"


def test_what_its_source_did_before_is_remembered_all_the_same() -> None:
    desk = Desk(FAR)
    desk.open(start=0, end=MIB)
    desk.finish(desk.lease(), after_s=1.0)
    desk.flow(10, {})
    desk.move(desk.lease(), KIB)
    assert not desk.lane().rate.known
    assert desk.source().known
    assert desk.source().lane_rate() == pytest.approx(MIB, rel=0.1)


def test_a_lane_that_looks_in_vain_is_given_up_soon_and_the_next_one_comes_later() -> None:
    desk = Desk(FAR, host_lanes=4, stall_s=1000.0, retries=9)
    desk.open()
    desk.flow(0.5, {1: MIB})
    said_at: list[float] = []
    for _ in range(1200):
        if of(Fetch, desk.flow(0.1, {})):
            said_at.append(desk.now)
    waits = [later - earlier for earlier, later in pairwise(said_at)]
    assert len(waits) > 5
    assert waits[0] < PROBE_S + 4 * MIN_BACK_OFF_S + 1.0
    down_s = said_at[-1] - said_at[0]
    assert PROBE_S < waits[-1] < PROBE_S + 1.0 + down_s * BACK_OFF_SHARE * 1.25


def test_it_counts_as_a_fault_only_where_nothing_else_is_waited_for() -> None:
    desk = with_lanes_to_spare()
    said = desk.flow(STALL_S - 1, {})
    assert len(of(Cancel, said)) > 1
    assert desk.source().failures == 0
    desk.flow(STALL_S, {})
    assert desk.source().failures > 0


@pytest.mark.parametrize("which", ["host", "budget", "wish"])
def test_where_no_lane_is_left_for_it_one_that_hangs_makes_room(which: str) -> None:
    """Measured in the simulation: an outage of 14 s cost 11 s more before, until old connections woke up."""
    desk = Desk(FAR, host_lanes=4 if which == "host" else 16, all_lanes=4 if which == "budget" else 32)
    desk.open(max_lanes=4 if which == "wish" else 0)
    desk.flow(5, {1: MIB})
    assert len(desk.lanes()) == 4
    said = desk.flow(PROBED_S, {})
    assert len(of(Cancel, said)) == 1
    assert len([lane for lane in desk.lanes() if lane.probe]) == 1
    assert len(desk.lanes()) == 4


def test_no_second_lane_makes_room_while_one_looks() -> None:
    """Where round trips are long it has been silent for some before it is given up: the next one waits for that."""
    desk = Desk(FAR, host_lanes=4, stall_s=STALL_S)
    desk.open(latency_s=0.5)
    desk.flow(10, {1: MIB})
    assert len(desk.lanes()) == 4
    made_room = list[Cancel]()
    while not any(lane.probe for lane in desk.lanes()):
        made_room += of(Cancel, desk.flow(0.1, {}))
    (probe,) = [lane for lane in desk.lanes() if lane.probe]
    while not probe.is_silent(desk.now + 0.3):
        made_room += of(Cancel, desk.flow(0.1, {}))
    made_room += of(Cancel, desk.flow(1.0, {}))
    assert probe.is_silent(desk.now)
    assert probe.id in desk.source().lanes
    assert len(made_room) == 1


def test_the_last_lane_is_not_given_for_one_that_looks() -> None:
    desk = at_work(host_lanes=1)
    assert of(Cancel, desk.flow(STALL_S - 0.5, {})) == []


def test_a_lane_that_hangs_beside_others_that_flow_is_given_up() -> None:
    desk = at_work()
    (hanging, *_) = desk.lanes()
    said, begun = [], desk.now
    while hanging.id in desk.source().lanes:
        for lane in desk.lanes():
            if lane is not hanging:
                said += desk.advance(lane, 100 * KIB)
        desk.now += 0.1
        said += desk.obey(desk.tick())
    assert LOST_S <= desk.now - begun <= LOST_S + 0.3
    assert len(of(Cancel, said)) == 1
    assert not desk.source().silent


@pytest.mark.parametrize("latency_s", [0.05, 1.0])
def test_it_is_waited_for_six_round_trips_though_where_these_are_long(latency_s: float) -> None:
    desk = Desk(FAR, host_lanes=2, stall_s=STALL_S)
    desk.open(start=0, end=256 * MIB, latency_s=latency_s)
    desk.open(start=512 * MIB, end=768 * MIB, latency_s=latency_s)
    desk.now += latency_s
    hanging, flowing = (lane.leases[0] for lane in desk.lanes())
    for lease in (hanging, flowing):
        desk.move(lease, MIB, after_s=0.0)
    lost_s = max(LOST_S, LOST_TRIPS * latency_s)
    desk.move(flowing, MIB, after_s=lost_s - 0.1)
    assert of(Cancel, desk.tick()) == []
    desk.move(flowing, MIB, after_s=0.1)
    assert of(Cancel, desk.tick()) == [Cancel(hanging.id, FaultKind.CANCELLED)]


def test_near_the_end_one_that_idles_looks_whether_the_source_is_back() -> None:
    """Three lanes are done, the fourth hangs and is given up: there is no new lane to open, and nobody else to ask."""
    desk = Desk(4 * MIB, host_lanes=4, align=256 * KIB, stall_s=10.0)
    desk.open()
    desk.flow(0.7, {1: MIB})
    hanging = desk.lane()
    said, begun = list[Command](), desk.now
    while Complete() not in said and desk.now < begun + 60:
        for lane in desk.lanes():
            if lane is not hanging:
                said += desk.advance(lane, 100 * KIB)
        desk.now += 0.1
        said += desk.obey(desk.tick())
    assert Complete() in said
    assert desk.now - begun < SILENT_S + 3


# -- what silent lanes hold


def test_what_silent_lanes_hold_is_left_to_them_while_others_have_work() -> None:
    desk = at_work(sources=2)
    desk.open(3, start=0, end=0)
    said = desk.flow(10, {2: MIB})
    assert desk.source(1).silent
    assert desk.scheduler.missing.total > RECLAIM_S * MIB * 4
    assert of(Shrink, said) == []


def test_it_is_taken_back_when_the_others_would_soon_have_nothing_else_to_do() -> None:
    desk = Desk(32 * MIB)
    desk.open(1, start=0, end=8 * MIB)
    desk.open(2, start=8 * MIB, end=16 * MIB)
    desk.flow(0.5, {1: MIB, 2: MIB})
    said, begun = list[Command](), desk.now
    while not of(Shrink, said) and desk.now < begun + 60:
        said = desk.flow(0.1, {2: 4 * MIB})
    assert desk.scheduler.missing.total >= desk.lease(1).left_bytes
    assert desk.lease(1).end == desk.lease(1).position, "all that it had not brought"
    missing = desk.scheduler.missing.total - 7.5 * MIB
    assert missing < RECLAIM_S * 4 * MIB
    said += desk.flow(10, {2: 4 * MIB})
    assert Complete() in said
    assert fetched(said, 1).total <= PROBE_BYTES * 8


def test_to_end_for_a_cut_alone_is_no_sign_of_life() -> None:
    desk = Desk(10 * MIB)
    desk.open(1, start=0, end=8 * MIB)
    desk.open(2, start=8 * MIB, end=10 * MIB)
    desk.flow(0.5, {1: MIB, 2: 100 * KIB})
    lease = desk.lease(1)
    desk.flow(HUSH_S, {2: 100 * KIB})
    assert desk.source(1).silent
    assert lease.end == lease.position
    desk.tell(Ended(lease.id, lease.end))
    assert desk.source(1).silent


def test_nothing_is_taken_back_from_a_lane_twice() -> None:
    desk = Desk(10 * MIB)
    desk.open(1, start=0, end=8 * MIB)
    desk.open(2, start=8 * MIB, end=10 * MIB)
    desk.flow(0.5, {1: MIB, 2: 100 * KIB})
    said = list[Shrink]()
    for _ in range(20):
        desk.move(desk.lease(2), 10 * KIB)
        said += of(Shrink, desk.tick())
    assert len(said) == 1, "it has not answered yet"


def test_nobody_flows_nobody_takes() -> None:
    desk = at_work(sources=2, size=64 * MIB)
    said = desk.flow(10, {})
    assert of(Shrink, said) == []
    assert desk.source(1).silent
    assert desk.source(2).silent


# -- giving up


def silent_until_given_up(desk: Desk, *, most_s: float = 1000.0) -> float:
    begun = desk.now
    while desk.now < begun + most_s:
        if GiveUp() in desk.flow(0.1, {}):
            break
    return desk.now - begun


def test_no_lane_is_waited_for_longer_than_told() -> None:
    desk = at_work(host_lanes=1)
    assert len(of(Cancel, desk.flow(STALL_S + 0.3, {}))) == 1


@pytest.mark.parametrize("retries", [1, 3, 5])
def test_silence_exhausts_a_source_only_after_patience(retries: int) -> None:
    desk = Desk(FAR, host_lanes=4, stall_s=10.0, retries=retries)
    desk.open()
    desk.flow(3, {1: MIB})
    assert retries * 10.0 <= silent_until_given_up(desk) <= 2 * retries * 10.0 + 10.0


def test_with_no_retries_the_first_stall_is_the_end() -> None:
    desk = Desk(FAR, stall_s=10.0, retries=0)
    desk.open()
    desk.flow(3, {1: MIB})
    assert 10.0 <= silent_until_given_up(desk) < 20.0


def test_while_another_flows_a_silent_source_is_looked_after_for_ever() -> None:
    desk = Desk(64 * FAR, host_lanes=2, stall_s=10.0, retries=1)
    desk.open(1)
    desk.open(2)
    desk.flow(2, {1: MIB, 2: MIB})
    probes = 0
    for _ in range(30):
        probes += bool(of(Fetch, [c for c in desk.flow(10, {1: 100 * KIB}) if isinstance(c, Fetch) and c.source == 2]))
    assert desk.source(2).exhausted
    assert probes > 10
    while not desk.leases(2):
        desk.flow(0.1, {1: 100 * KIB})
    desk.move(desk.lease(2), 20 * KIB)
    assert not desk.source(2).exhausted
    assert not desk.source(2).silent


def test_a_probe_that_is_done_before_a_report_of_it_counts_as_well() -> None:
    desk = with_lanes_to_spare()
    desk.flow(PROBED_S, {})
    (probe,) = [lane for lane in desk.lanes() if lane.probe]
    desk.tell(Ended(probe.leases[0].id, probe.leases[0].end))
    assert not desk.source().silent


# -- links that are renewed


@pytest.mark.parametrize("host_lanes", [1, 4])
def test_nobody_gives_up_a_lane_that_waits_for_another_link(host_lanes: int) -> None:
    desk = at_work(host_lanes=host_lanes)
    for lane in desk.lanes():
        desk.tell(Renewing(lane.id, on=True))
    said = desk.flow(2 * STALL_S, {})
    assert not of(Cancel, said)
    assert not of(GiveUp, said)
    assert not desk.source().silent


def test_once_its_link_is_renewed_a_lane_has_all_the_time_that_a_question_has() -> None:
    desk = at_work(host_lanes=1)
    desk.tell(Renewing(desk.lane().id, on=True))
    desk.flow(2 * STALL_S, {})
    assert desk.scheduler.next_wakeup() is None
    desk.tell(Renewing(desk.lane().id, on=False))
    assert not of(Cancel, desk.flow(STALL_S - 1, {}))
    assert [command.kind for command in of(Cancel, desk.flow(2, {}))] == [FaultKind.STALLED]


def test_others_have_what_a_lane_holds_that_waits_for_another_link() -> None:
    desk = at_work(host_lanes=1, sources=2, size=64 * MIB)
    desk.tell(Renewing(desk.lane(1).id, on=True))
    desk.flow(STALL_S, {2: 4 * MIB})
    assert desk.scheduler.filled.total == 64 * MIB
