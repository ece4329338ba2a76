"""What the swarm brings beside the lanes: reserved bytes are nobody's, and what is brought is not fetched again."""

from __future__ import annotations

from tests.core.desk import MIB, Desk, fetched, of
from thunderdl.core.protocol import (
    Beside,
    Brought,
    Command,
    Complete,
    Event,
    Fetch,
    PieceBad,
    Released,
    Reserved,
    Scarce,
    Shrink,
    Shrunk,
    SourceOpened,
)  # fmt: skip
from thunderdl.core.ranges import RangeSet

SIZE = 64 * MIB


def reserved(desk: Desk, start: int, end: int) -> None:
    desk.obey(desk.scheduler.handle(Reserved(start, end), desk.now))


class Shared(Desk):
    """Its books have one more place than those of a desk without a swarm: see :func:`everywhere`."""

    def tell(self, event: Event, *, after_s: float = 0.0) -> list[Command]:
        self.now += after_s
        return self.scheduler.handle(event, self.now)


def bare(size: int = SIZE) -> Shared:
    return Shared(size)


def everywhere(desk: Desk) -> None:
    """Every byte is in one place at least, and nothing is both missing and somewhere else."""
    books = desk.scheduler
    held = RangeSet((lease.position, lease.end) for lease in books.roster.leases.values())
    places = [RangeSet(books.filled), RangeSet(books.reserved), held]
    whole = RangeSet(books.missing)
    for place in places:
        for start, end in place:
            assert list(books.missing.gaps(start, end)) == [(start, end)], "missing, and somewhere else"
            whole.add(start, end)
    assert list(whole) == [(0, books.size)]


def test_reserved_bytes_are_not_fetched() -> None:
    desk = bare()
    reserved(desk, MIB, SIZE)
    said = desk.open()
    assert fetched(said)
    assert list(fetched(said).gaps(MIB, SIZE)) == [(MIB, SIZE)]
    everywhere(desk)


def test_a_lease_that_reaches_into_it_ends_before_it() -> None:
    desk = bare()
    desk.open(start=0, end=8 * MIB)
    lease = desk.lease()
    assert of(Shrink, desk.tell(Reserved(6 * MIB, SIZE))) == [Shrink(lease.id, 6 * MIB)]
    desk.tell(Shrunk(lease.id, 6 * MIB))
    assert (lease.position, lease.end) == (0, 6 * MIB)
    assert SIZE - 1 not in desk.scheduler.missing
    everywhere(desk)


def test_what_a_lease_brought_before_it_heard_of_it_stays() -> None:
    desk = bare()
    desk.open(start=0, end=8 * MIB)
    lease = desk.lease()
    desk.tell(Reserved(6 * MIB, 8 * MIB))
    desk.tell(Shrunk(lease.id, 7 * MIB))
    assert desk.scheduler.filled.covers(0, 7 * MIB)
    assert 7 * MIB not in desk.scheduler.missing


def test_a_lease_under_a_cut_is_not_cut_again() -> None:
    desk = bare()
    desk.open(start=0, end=8 * MIB)
    desk.tell(Reserved(6 * MIB, SIZE))
    assert of(Shrink, desk.tell(Reserved(5 * MIB, 6 * MIB))) == []


def test_released_bytes_are_missing_again_as_far_as_they_are() -> None:
    desk = bare()
    reserved(desk, 0, SIZE)
    desk.tell(Brought(2 * MIB, 3 * MIB))
    desk.tell(Released(0, 4 * MIB))
    assert list(desk.scheduler.missing) == [(0, 2 * MIB), (3 * MIB, 4 * MIB)]
    everywhere(desk)


def test_released_bytes_are_fetched_at_once_where_a_lane_idles() -> None:
    desk = bare()
    reserved(desk, 0, SIZE)
    desk.open()
    assert 0 in fetched(desk.tell(Released(0, MIB)))


def test_released_bytes_that_a_lease_still_holds_are_not_missing() -> None:
    desk = bare()
    desk.open(start=0, end=8 * MIB)
    lease = desk.lease()
    desk.tell(Reserved(6 * MIB, 8 * MIB))
    desk.tell(Released(6 * MIB, 8 * MIB))
    assert 6 * MIB not in desk.scheduler.missing
    desk.tell(Shrunk(lease.id, 6 * MIB))
    everywhere(desk)


def test_a_lease_over_what_was_brought_ends_before_it_and_what_is_behind_is_missing() -> None:
    desk = bare(8 * MIB)
    desk.open(start=0, end=8 * MIB)
    lease = desk.lease()
    assert of(Shrink, desk.tell(Brought(3 * MIB, 4 * MIB))) == [Shrink(lease.id, 3 * MIB)]
    said = desk.tell(Shrunk(lease.id, 3 * MIB))
    assert 3 * MIB not in fetched(said)
    assert 3 * MIB not in desk.scheduler.missing
    everywhere(desk)


def test_a_lease_that_has_passed_what_was_brought_goes_on() -> None:
    desk = bare(8 * MIB)
    desk.open(start=0, end=8 * MIB)
    desk.move(desk.lease(), 5 * MIB)
    assert of(Shrink, desk.tell(Brought(3 * MIB, 4 * MIB))) == []


def test_all_brought_is_complete() -> None:
    desk = bare(2 * MIB)
    desk.open()
    desk.tell(Reserved(0, 2 * MIB))
    assert of(Complete, desk.tell(Brought(0, MIB))) == []
    assert of(Complete, desk.tell(Brought(MIB, 2 * MIB))) == [Complete()]


def test_a_bad_piece_that_is_reserved_again_is_not_missing() -> None:
    desk = bare()
    reserved(desk, 0, SIZE)
    desk.tell(PieceBad(0, MIB, frozenset(), frozenset()))
    assert not desk.scheduler.missing


def test_a_bad_piece_that_is_not_reserved_is_missing() -> None:
    desk = bare()
    reserved(desk, MIB, SIZE)
    desk.tell(Brought(0, MIB))
    desk.tell(PieceBad(0, MIB, frozenset(), frozenset()))
    assert list(desk.scheduler.missing) == [(0, MIB)]


def test_scarce_pieces_come_first_in_their_order() -> None:
    desk = bare()
    desk.tell(Scarce((40 * MIB, 20 * MIB)))
    starts = [fetch.start for fetch in of(Fetch, desk.open(1))]
    assert starts[0] == 40 * MIB


def test_scarce_pieces_that_are_there_are_passed_over() -> None:
    desk = bare()
    reserved(desk, 40 * MIB, 41 * MIB)
    desk.tell(Scarce((40 * MIB, 20 * MIB)))
    assert next(iter(fetched(desk.open(1))))[0] == 20 * MIB


def test_grants_begin_where_they_are_to_and_go_around_the_end() -> None:
    desk = bare(8 * MIB)
    desk.scheduler.begin_at = 6 * MIB
    assert next(iter(fetched(desk.open(1))))[0] == 6 * MIB
    desk.tell(Reserved(6 * MIB, 8 * MIB))
    lane = desk.scheduler.new_lane()
    opened = SourceOpened(source=2, host="host2", lane=lane, start=0, end=0, latency_s=0.05)
    assert next(iter(fetched(desk.tell(opened), 2)))[0] == 0


def test_what_comes_beside_brings_the_end_nearer() -> None:
    alone, helped = bare(), bare()
    ends = []
    for desk, rate in ((alone, 0.0), (helped, 8.0 * MIB)):
        desk.open(start=0, end=SIZE)
        for _ in range(10):
            desk.move(desk.lease(), 100 * 1024)
        desk.tell(Beside(rate))
        desk.tick(after_s=0.1)
        ends.append(desk.scheduler._end_s())
    assert ends[1] < ends[0] / 2


def test_what_the_exchange_is_told_of_leases() -> None:
    desk = bare()
    desk.open()
    leases = list(desk.scheduler.roster.leases.values())
    spans = [(lease.start, lease.end) for lease in leases]
    assert [(each.position, each.end) for each in desk.scheduler.held()] == spans
    assert list(desk.scheduler.written_by_lanes()) == spans
    # Being cut: none to plan with, yet its lane may still write up to where it was asked for.
    desk.tell(Reserved(spans[0][1] - 1, spans[0][1]))
    assert leases[0].shrinking
    assert spans[0][0] not in [each.position for each in desk.scheduler.held()]
    assert spans[0] in list(desk.scheduler.written_by_lanes())
    assert desk.scheduler.has_source_at_work
    assert desk.scheduler.has_hopeful_source


def test_without_sources_there_is_no_hope() -> None:
    assert not bare().scheduler.has_source_at_work
    assert not bare().scheduler.has_hopeful_source
