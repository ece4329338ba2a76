from __future__ import annotations

import pytest

from tests.core.desk import KIB, MIB, Desk, asked_lanes, fetched, of
from thunderdl.core.backing_off import MAX_BACK_OFF_S, MIN_BACK_OFF_S, MIN_BUSY_WAIT_S
from thunderdl.core.protocol import (
    Blamed,
    Cancel,
    Cleared,
    Close,
    Complete,
    Ended,
    Failed,
    FaultKind,
    Fetch,
    FirstByte,
    GiveUp,
    Moved,
    Shrunk,
    SourceLost,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet

GONE = 999


# -- the usual way


def test_a_source_that_opens_is_put_to_work_from_the_start() -> None:
    desk = Desk()
    first = of(Fetch, desk.open())[0]
    assert (first.source, first.start) == (1, 0)
    assert desk.lease().id == first.lease


def test_what_a_source_brings_with_it_becomes_its_first_lease() -> None:
    desk = Desk(host_lanes=1)
    first = of(Fetch, desk.open(start=0, end=MIB))[0]
    assert (first.start, first.end) == (0, MIB)


def test_what_two_bring_at_once_belongs_to_the_first() -> None:
    desk = Desk()
    desk.open(1, start=0, end=MIB)
    assert 0 not in fetched(desk.open(2, start=0, end=MIB))
    third = of(Fetch, desk.open(3, start=40 * MIB, end=41 * MIB))[0]
    assert (third.start, third.end) == (40 * MIB, 41 * MIB)


def test_what_is_there_already_is_not_fetched() -> None:
    desk = Desk(4 * MIB, filled=RangeSet([(0, MIB), (2 * MIB, 3 * MIB)]))
    said = [*desk.open(start=0, end=MIB), *desk.flow(10, {1: MIB})]
    assert list(fetched(said)) == [(MIB, 2 * MIB), (3 * MIB, 4 * MIB)]
    assert Complete() in said


def test_every_byte_is_asked_for_once_and_then_all_is_complete() -> None:
    desk = Desk(20 * MIB)
    said = [*desk.open(1), *desk.open(2), *desk.flow(30, {1: MIB, 2: 300 * KIB})]
    assert desk.scheduler.filled == RangeSet([(0, 20 * MIB)])
    assert Complete() in said
    assert GiveUp() not in said


def test_an_empty_file_is_complete_at_once() -> None:
    assert Complete() in Desk(0).open()


def test_positions_never_go_back_nor_past_the_end() -> None:
    desk = Desk()
    desk.open(start=0, end=MIB)
    lease = desk.lease()
    desk.tell(Moved(lease.id, 1000))
    desk.tell(Moved(lease.id, 500))
    assert lease.position == 1000
    desk.tell(Moved(lease.id, 5 * MIB))
    assert desk.scheduler.filled == RangeSet([(0, MIB)])


def test_a_lease_that_ends_short_gives_its_rest_back() -> None:
    desk = Desk()
    desk.open(start=0, end=8 * MIB)
    said = desk.tell(Ended(desk.lease().id, 3 * MIB), after_s=1.0)
    assert of(Fetch, said)[0].start == 3 * MIB


def test_a_clock_that_steps_back_is_not_believed() -> None:
    desk = Desk()
    desk.open()
    desk.now -= 50.0
    desk.fail(retry_after_s=5.0)
    assert desk.scheduler.next_wakeup() == 105.0


@pytest.mark.parametrize(
    "event",
    [
        Moved(GONE, 5), FirstByte(GONE, 0.1), Ended(GONE, 5), Failed(GONE, 5, FaultKind.LASTING), Shrunk(GONE, 5),
        Blamed(GONE), Cleared(GONE), SourceLost(GONE, "no reason"),
    ],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_news_of_what_is_over_does_no_harm(
    event: Moved | FirstByte | Ended | Failed | Shrunk | Blamed | Cleared | SourceLost,
) -> None:
    desk = Desk()
    desk.open()
    before = [(lease.id, lease.position) for lease in desk.leases()]
    assert desk.tell(event) == []
    assert [(lease.id, lease.position) for lease in desk.leases()] == before


def test_the_first_byte_tells_the_latency_and_is_a_sign_of_life() -> None:
    desk = Desk(stall_s=10.0)
    desk.open(latency_s=0.1)
    desk.tell(FirstByte(desk.lease().id, 0.4), after_s=9.0)
    assert desk.source().latency.value == pytest.approx(0.19)
    assert of(Cancel, desk.tell(Moved(desk.lease().id, 0), after_s=2.0)) == []


def test_a_silent_lane_is_given_up_once() -> None:
    desk = Desk(stall_s=10.0)
    desk.open()
    lease = desk.lease()
    assert desk.scheduler.next_wakeup() == 110.0
    assert of(Cancel, desk.tick(after_s=9.9)) == []
    assert of(Cancel, desk.tick(after_s=0.3)) == [Cancel(lease.id, FaultKind.STALLED)]
    assert of(Cancel, desk.tick(after_s=1.0)) == []


# -- faults and back-off


def test_what_a_broken_lane_brought_stays_and_the_rest_is_fetched_again() -> None:
    desk = Desk()
    desk.open(start=0, end=8 * MIB)
    lease = desk.lease()
    said = desk.tell(Failed(lease.id, MIB, FaultKind.PASSING), after_s=1.0)
    assert desk.scheduler.filled == RangeSet([(0, MIB)])
    assert of(Fetch, said)[0].start == MIB, "it brought bytes before it broke: again at once"


def test_a_source_that_brings_nothing_is_left_alone_for_longer_each_time() -> None:
    desk = Desk(retries=20)
    desk.open()
    waits = []
    for _ in range(30):
        assert of(Fetch, desk.fail()) == []
        wakeup = desk.scheduler.next_wakeup()
        assert wakeup is not None
        waits.append(wakeup - desk.now)
        assert of(Fetch, desk.tick(after_s=waits[-1] - 0.001)) == [], "not before its time"
        assert asked_lanes(desk.tick(after_s=0.002)) == 1, "but then, on one lane"
    assert MIN_BACK_OFF_S * 0.75 <= waits[0] <= MIN_BACK_OFF_S * 1.25
    assert waits[-1] > 5 * waits[0]
    assert max(waits) <= MAX_BACK_OFF_S * 1.25


def test_a_busy_server_is_left_alone_for_rather_longer() -> None:
    desk = Desk()
    desk.open()
    desk.fail(kind=FaultKind.BUSY)
    assert desk.source().retry_at - desk.now >= MIN_BUSY_WAIT_S * 0.75


@pytest.mark.parametrize("kind", [FaultKind.BUSY, FaultKind.PASSING])
def test_retry_after_is_obeyed_to_the_second(kind: FaultKind) -> None:
    desk = Desk()
    desk.open()
    desk.fail(kind=kind, retry_after_s=30.0)
    assert desk.scheduler.next_wakeup() == desk.now + 30.0
    assert of(Fetch, desk.tick(after_s=29.9)) == []
    assert asked_lanes(desk.tick(after_s=0.1)) == 1


def test_retry_after_is_obeyed_by_a_source_that_was_working() -> None:
    desk = Desk()
    desk.open(start=0, end=8 * MIB)
    desk.move(desk.lease(), MIB)
    assert of(Fetch, desk.fail(kind=FaultKind.BUSY, retry_after_s=30.0)) == []
    assert of(Fetch, desk.tick(after_s=29.9)) == []


def test_of_several_lanes_broken_in_one_outage_the_longest_retry_after_counts() -> None:
    desk = Desk(host_lanes=4)
    for part in range(2):
        desk.open(1, start=part * 8 * MIB, end=(part + 1) * 8 * MIB)
    desk.fail(kind=FaultKind.PASSING)
    desk.fail(kind=FaultKind.BUSY, retry_after_s=30.0)
    assert of(Fetch, desk.tick(after_s=29.9)) == []


def test_bytes_make_a_source_well_again() -> None:
    desk = Desk(retries=5)
    desk.open()
    for _ in range(3):
        desk.fail()
        desk.tick(after_s=10.0)
    assert desk.source().failures == 3
    desk.move(desk.lease(), 20 * KIB)
    assert (desk.source().failures, desk.source().down_since) == (0, None)


def test_a_lane_refused_beside_others_that_work_is_one_too_many() -> None:
    desk = Desk(256 * MIB, host_lanes=8)
    desk.open(start=0, end=60 * MIB)
    said = [*desk.move(desk.lease(), MIB), *desk.tick(after_s=0.1)]
    fresh = {each.lane: each.lease for each in of(Fetch, said) if each.lane != desk.lease().lane.id}
    count = len(desk.lanes())
    assert len(fresh) == count - 1 > 1
    refused = next(iter(fresh.values()))
    desk.tell(Failed(refused, desk.scheduler.roster.leases[refused].position, FaultKind.BUSY))
    assert desk.source().failures == 0, "the source is not down"
    assert desk.source().climb.lanes == count - 1
    desk.flow(5.0, {1: MIB})
    assert len(desk.lanes()) == count - 1, "and one more is not asked for again soon"


def test_a_lasting_fault_is_the_end_of_a_source() -> None:
    desk = Desk()
    desk.open()
    assert desk.fail(kind=FaultKind.LASTING) == [GiveUp()]
    assert of(Fetch, desk.tick(after_s=1000.0)) == []


def test_a_cancelled_lane_is_no_fault() -> None:
    desk = Desk()
    desk.open()
    desk.fail(kind=FaultKind.CANCELLED)
    assert desk.source().failures == 0
    assert len(desk.lanes()) == 1
    assert desk.lease().start == 0, "its work is given out again at once"


# -- giving up


def outage(desk: Desk, source: int, seconds: float) -> list[float]:
    """Every attempt fails at once, for so long; when they were made. Other sources go on."""
    attempts = []
    until = desk.now + seconds
    while desk.now < until:
        if desk.leases(source):
            attempts.append(desk.now)
            if GiveUp() in desk.fail(source):
                break
        desk.tick(after_s=0.1)
    return attempts


def test_gives_up_only_after_patience_and_retries() -> None:
    desk = Desk(retries=4)
    desk.open()
    attempts = outage(desk, 1, 1000.0)
    assert len(attempts) > 4
    assert 15 * 0.7 <= attempts[-1] - attempts[0] <= 60


def test_time_alone_does_not_exhaust_a_source() -> None:
    desk = Desk(retries=5)
    desk.open()
    desk.fail(kind=FaultKind.BUSY, retry_after_s=1000.0)
    desk.tick(after_s=1000.0)
    assert GiveUp() not in desk.fail(), "tried twice, not six times"


def test_more_retries_mean_more_patience() -> None:
    lasted = []
    for retries in (0, 2, 5):
        desk = Desk(retries=retries)
        desk.open()
        attempts = outage(desk, 1, 1000.0)
        lasted.append(attempts[-1] - attempts[0])
    assert lasted[0] == 0.0
    assert lasted[0] < lasted[1] < lasted[2]


def test_an_exhausted_source_is_tried_again_while_another_works() -> None:
    desk = Desk(1024 * MIB, retries=1)
    desk.open(1)
    desk.open(2)
    attempts = []
    for _ in range(1200):
        desk.flow(0.1, {1: 100 * KIB})
        if desk.leases(2):
            attempts.append(desk.now)
            assert GiveUp() not in desk.fail(2)
    assert desk.source(2).exhausted
    assert attempts[-1] > desk.now - MAX_BACK_OFF_S, "still tried"
    desk.now += 0.1
    desk.tick(after_s=MAX_BACK_OFF_S)
    desk.move(desk.lease(2), 20 * KIB)
    assert not desk.source(2).exhausted, "and welcome back"


def test_gives_up_only_when_nobody_is_left() -> None:
    desk = Desk()
    desk.open(1)
    desk.open(2)
    assert GiveUp() not in desk.fail(1, FaultKind.LASTING)
    assert desk.fail(2, FaultKind.LASTING) == [GiveUp()]


def test_no_giving_up_while_a_lease_runs() -> None:
    desk = Desk(retries=0)
    desk.open(1)
    desk.open(2)
    said = desk.tell(SourceLost(2, "changed"))
    assert GiveUp() not in [*said, *desk.fail(1)], "the cancelled lane has not answered yet"
    assert GiveUp() in desk.fail(2, FaultKind.CANCELLED)


def test_a_source_without_ranges_is_no_hope_once_it_broke_halfway() -> None:
    desk = Desk()
    desk.open(start=0, end=64 * MIB, random_access=False)
    lease = desk.lease()
    assert desk.tell(Failed(lease.id, 10 * MIB, FaultKind.PASSING), after_s=1.0) == [GiveUp()]


def test_a_source_without_ranges_may_begin_again_where_nothing_came() -> None:
    desk = Desk()
    desk.open(start=0, end=64 * MIB, random_access=False)
    assert GiveUp() not in desk.fail()
    (again,) = of(Fetch, desk.tick(after_s=5.0))
    assert (again.start, again.end) == (0, 64 * MIB)


# -- sources lost


def test_a_lost_source_is_stopped_and_another_brings_its_part() -> None:
    desk = Desk(4 * MIB)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=2 * MIB, end=4 * MIB)
    lease = desk.lease(1)
    said = desk.tell(SourceLost(1, "its file is another version now"))
    assert said[0] == Cancel(lease.id, FaultKind.CANCELLED)
    assert desk.source(1).note == "its file is another version now"
    said = [*desk.obey(said), *desk.flow(10, {2: MIB})]
    assert fetched(said, 1).total == 0
    assert Complete() in said


def test_idle_lanes_of_a_lost_source_are_closed() -> None:
    desk = Desk(MIB)
    desk.open(1, start=0, end=MIB)
    desk.open(2)
    (lane,) = desk.lanes(2)
    assert not lane.leases
    assert Close(lane.id) in desk.tell(SourceLost(2, "no more"))
    assert desk.lanes(2) == []


def asked_after_refusal(desk: Desk) -> Fetch:
    """What is asked for first once a request was refused and the wait is over."""
    return (of(Fetch, desk.fail(kind=FaultKind.BUSY)) or of(Fetch, desk.tick(after_s=20.0)))[0]


def test_one_that_counts_requests_is_asked_for_more_at_once() -> None:
    """Each request is answered and the next one refused, as by nginx's limit_req."""
    desk, asked = Desk(256 * MIB), list[int]()
    desk.open(start=0, end=MIB)
    desk.finish(desk.lease())
    for _ in range(6):
        fetch = asked_after_refusal(desk)
        asked.append(fetch.end - fetch.start)
        desk.finish(desk.scheduler.roster.leases[fetch.lease])
    # Not each of them: what another lane gave back may be a smaller gap.
    assert (asked[0], asked[-1]) == (64 * KIB, 2 * MIB)


def test_one_that_is_down_for_long_is_asked_for_little() -> None:
    """It refuses everything: that says nothing of requests that it counts."""
    desk = Desk(256 * MIB)
    desk.open(start=0, end=MIB)
    desk.finish(desk.lease())
    asked = [asked_after_refusal(desk) for _ in range(6)]
    assert all(each.end - each.start <= 64 * KIB for each in asked)
