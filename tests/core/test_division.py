"""Who brings which piece: each rule of the division, and that both sides together bring everything."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st

from tests.core.test_reserving import Shared, everywhere
from thunderdl.core.division import (
    LOOK_S,
    MIN_PIECES,
    MOST_SCARCE,
    SHARING_LANES,
    SILENT_S,
    SPARE_PIECES,
    Division,
    Held,
    Moves,
    SwarmView,
)
from thunderdl.core.protocol import Brought, Released, Reserved
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scarcity import OwnOrder

MIB = 1024 * 1024
COUNT = 100
SIZE = COUNT * MIB


def division(count: int = COUNT, *, first_piece: int = 0) -> Division:
    return Division(size=count * MIB, piece_bytes=MIB, first_piece=first_piece)


def swarm(rate: float = 0.0, *, has: Iterable[int] | None = None, count: int = COUNT, **changes: object) -> SwarmView:
    available = bytes(1 if has is None or piece in set(has) else 0 for piece in range(count))
    return SwarmView(rate_bytes_per_s=rate, available=available, **changes)  # type: ignore[arg-type]


def span(start: int, end: int) -> RangeSet:
    """Pieces ``[start, end)`` as bytes."""
    return RangeSet([(start * MIB, end * MIB)]) if start < end else RangeSet()


def held(start: float, end: float, rate: float) -> Held:
    return Held(position=int(start * MIB), end=int(end * MIB), rate_bytes_per_s=rate)


def given(asked: Division, *pieces: int) -> Division:
    asked.assigned.update(pieces)
    return asked


# -- the beginning


def test_with_mirrors_the_swarm_begins_with_few_pieces_at_the_far_end() -> None:
    assert division().begin(span(0, COUNT), mirrors=True).taken == (99, 98, 97, 96)


def test_of_a_small_file_it_begins_with_two() -> None:
    assert len(division(8).begin(span(0, 8), mirrors=True).taken) == MIN_PIECES


def test_without_mirrors_it_begins_with_all_that_is_not_here() -> None:
    asked = Division(size=4 * MIB - 1, piece_bytes=MIB, done=[1])
    assert asked.begin(RangeSet([(0, MIB), (2 * MIB, 4 * MIB - 1)]), mirrors=False).taken == (0, 2, 3)


def test_the_far_end_lies_before_the_first_piece_around_the_end() -> None:
    asked = division(first_piece=10)
    assert asked.begin(span(0, COUNT), mirrors=True).taken == (9, 8, 7, 6)
    assert asked.begin(span(8, COUNT), mirrors=True).taken == (9, 8, 99, 98)


def test_only_whole_missing_pieces_are_taken() -> None:
    missing = RangeSet([(MIB // 2, 3 * MIB + 1)])
    assert division(8).begin(missing, mirrors=True).taken == (2, 1)


def test_a_short_last_piece_is_a_whole_one() -> None:
    asked = Division(size=8 * MIB - 5, piece_bytes=MIB)
    assert asked.begin(RangeSet([(6 * MIB, 8 * MIB - 5)]), mirrors=True).taken == (7, 6)


# -- while there is enough for both


def look(asked: Division, view: SwarmView, missing: RangeSet, *leases: Held, rate: float = 10.0 * MIB) -> Moves:
    return asked.look(view, missing, leases, rate, mirrors=True)


def test_the_swarm_has_so_much_of_its_rate_ahead() -> None:
    rate = 20.0 * MIB
    moves = look(division(), swarm(rate), span(0, COUNT))
    assert len(moves.taken) == round(rate * LOOK_S / MIB)
    assert moves.taken == tuple(range(99, 99 - len(moves.taken), -1))


def test_some_of_what_it_has_is_never_begun() -> None:
    asked = given(division(), 98, 99)
    moves = look(asked, swarm(MIB, begun={98: 0.1, 99: 0.1}), span(0, 98))
    assert len(moves.taken) == SPARE_PIECES


def test_a_silent_swarm_is_given_no_more_than_one_to_show_that_it_lives() -> None:
    moves = look(division(), swarm(20.0 * MIB, silent_s=SILENT_S + 1), span(0, COUNT))
    assert moves.taken == (99,)


def test_what_is_too_much_is_given_back_but_for_what_is_begun() -> None:
    asked = given(division(), *range(50, 100))
    moves = look(asked, swarm(2.0 * MIB, begun={50: 0.5}), span(0, 50))
    assert moves.given_back
    assert moves.given_back == tuple(range(51, 51 + len(moves.given_back)))
    assert 50 in asked.assigned
    assert not asked.assigned & set(moves.given_back)


def test_pieces_that_no_peer_has_are_not_taken() -> None:
    assert look(division(), swarm(4.0 * MIB, has=[3, 5]), span(0, COUNT)).taken == (5, 3)


def test_pieces_that_turn_out_to_be_nobodys_are_given_back_all_but_one() -> None:
    asked = given(division(), 97, 98, 99)
    moves = look(asked, swarm(has=[1]), span(0, 97))
    assert len(moves.given_back) == 2
    assert len(asked.assigned) == 1


def test_while_nobody_is_there_they_stay() -> None:
    asked = given(division(), 97, 98, 99)
    assert look(asked, swarm(has=[]), span(0, 97)) == Moves()


def test_it_always_has_something_while_anything_is_missing() -> None:
    assert look(division(), swarm(has=[]), span(0, COUNT)).taken == (99,)


def test_it_is_short_when_little_is_left_or_nothing_is_spare() -> None:
    assert division().is_short(swarm(MIB))
    assert not given(division(), *range(90, 100)).is_short(swarm(MIB))
    assert given(division(), 98, 99).is_short(swarm(MIB, begun={98: 0.0, 99: 0.0}))


# -- nobody else


def test_without_mirrors_all_is_its_own_also_what_they_had_half() -> None:
    asked = Division(size=4 * MIB, piece_bytes=MIB, done=[0])
    moves = asked.look(swarm(count=4), RangeSet([(MIB + 5, 4 * MIB)]), [], 0.0, mirrors=False)
    assert moves.taken == (1, 2, 3)


def test_what_a_lease_still_holds_is_not() -> None:
    asked = division(4)
    moves = asked.look(swarm(count=4), span(2, 4), [held(0.5, 2, MIB)], 0.0, mirrors=False)
    assert moves.taken == (2, 3)


# -- the end in sight


def test_pieces_go_back_where_the_mirrors_would_have_them_sooner() -> None:
    asked = given(division(), *range(90, 100))
    moves = look(asked, swarm(2.0 * MIB), RangeSet(), held(89, 90, 10.0 * MIB))
    assert moves.given_back
    assert asked.assigned


def test_nothing_moves_where_both_end_together() -> None:
    asked = given(division(), 98, 99)
    assert look(asked, swarm(10.0 * MIB), RangeSet(), held(96, 98, 10.0 * MIB)) == Moves()


def test_leases_are_cut_from_their_ends_where_the_swarm_is_sooner() -> None:
    moves = look(division(), swarm(20.0 * MIB), RangeSet(), held(0, 20, MIB), rate=MIB)
    assert moves.taken[:2] == (19, 18)
    assert moves.taken == tuple(range(19, 19 - len(moves.taken), -1))
    assert 0 not in moves.taken


def test_of_a_piece_that_two_leases_share_both_are_cut() -> None:
    leases = (held(0, 9.5, MIB), held(9.5, 10, 0.1 * MIB))
    moves = look(division(), swarm(40.0 * MIB), RangeSet(), *leases, rate=1.1 * MIB)
    assert moves.taken[:2] == (9, 8)


def test_no_lease_is_cut_by_pieces_that_no_peer_has() -> None:
    moves = look(division(), swarm(20.0 * MIB, has=range(10)), RangeSet(), held(0, 20, MIB), rate=MIB)
    assert moves.taken == ()


def test_all_goes_back_where_the_mirrors_were_through_before_anybody_was_measured() -> None:
    asked = given(division(), 99)
    assert look(asked, swarm(silent_s=SILENT_S + 1), RangeSet(), rate=0.0).given_back == (99,)
    assert asked.assigned == set()


# -- both at work


@given_by_hypothesis(
    first=st.integers(0, 15),
    moments=st.lists(
        st.tuples(
            st.integers(0, 4 * MIB), st.integers(0, 4 * MIB), st.frozensets(st.integers(0, 15)), st.integers(0, 2)
        ),
        max_size=30,
    ),
)  # fmt: skip
def test_every_byte_is_in_one_place_and_both_together_bring_all(
    first: int, moments: list[tuple[int, int, frozenset[int], int]]
) -> None:
    both = Both(first)
    for swarm_rate, mirror_rate, has, brings in moments:
        both.pass_by(swarm_rate, mirror_rate, has, brings)
    for _ in range(400):
        if len(both.division.done) == 16:
            break
        both.pass_by(2 * MIB, 4 * MIB, frozenset(range(16)), 1)
    assert both.desk.scheduler.filled.total == 16 * MIB


class Both:
    """A division and a scheduler that does what it says, with one mirror that works."""

    def __init__(self, first: int) -> None:
        self.desk = Shared(16 * MIB)
        self.division = division(16, first_piece=first)
        self.desk.scheduler.begin_at = first * MIB
        self.perform(self.division.begin(self.desk.scheduler.missing, mirrors=True))
        self.desk.open()

    def perform(self, moves: Moves) -> None:
        for piece in moves.taken:
            self.desk.obey(self.desk.tell(Reserved(*self.division.bounds(piece))))
        for piece in moves.given_back:
            self.desk.obey(self.desk.tell(Released(*self.division.bounds(piece))))
        for piece in self.division.assigned:
            start, end = self.division.bounds(piece)
            assert list(self.desk.scheduler.missing.gaps(start, end)) == [(start, end)], "assigned, and missing"
        everywhere(self.desk)

    def pass_by(self, swarm_rate: int, mirror_rate: int, has: frozenset[int], brings: int) -> None:
        """A quarter of a second: the mirror brings, peers bring so many pieces, the division looks."""
        self.desk.flow(0.2, {1: mirror_rate})
        books = self.desk.scheduler
        for piece in [each for each in self.division.assigned if each in has][:brings]:
            self.division.brought(piece)
            self.desk.obey(self.desk.tell(Brought(*self.division.bounds(piece))))
        for piece in range(16):
            if piece not in self.division.done and books.filled.covers(*self.division.bounds(piece)):
                self.division.brought(piece)
        leases = [
            Held(position=each.position, end=each.end, rate_bytes_per_s=each.lane.likely_rate())
            for each in books.roster.leases.values() if each.left_bytes and not each.shrinking
        ]  # fmt: skip
        view = swarm(float(swarm_rate), has=has, count=16)
        self.perform(self.division.look(view, books.missing, leases, float(mirror_rate), mirrors=True))


# -- among downloaders


def test_among_downloaders_mirrors_are_spared_and_have_few_lanes() -> None:
    asked = division()
    assert asked.most_lanes is None
    moves = look(asked, swarm(40.0 * MIB, has=range(50), leechers=3), span(0, COUNT))
    assert set(range(50)) <= set(moves.taken)
    assert asked.most_lanes == SHARING_LANES


@pytest.mark.parametrize("changes", [{"leechers": 0}, {"leechers": 3, "silent_s": SILENT_S + 1}])
def test_nobody_is_spared_where_nobody_shares(changes: dict[str, int]) -> None:
    asked = division()
    look(asked, swarm(40.0 * MIB, **changes), span(0, COUNT))  # type: ignore[arg-type]
    assert asked.most_lanes is None


def test_what_a_peer_has_by_now_is_taken_from_the_ends_of_leases() -> None:
    view = swarm(40.0 * MIB, has=[19], leechers=1)
    assert look(division(), view, span(50, COUNT), held(0, 20, MIB), rate=MIB).taken == (19,)


def test_scarce_is_what_is_nowhere_in_the_order_asked_for() -> None:
    asked = Division(size=SIZE, piece_bytes=MIB, done=[7])
    rest = [piece for piece in range(COUNT) if piece not in (9, 1, 7, 3)]
    order = OwnOrder([9, 1, 7, 3, *rest])
    rest.remove(2)
    assert asked.scarce(swarm(has=[1, 2], leechers=1), order) == [9, 3, *rest[: MOST_SCARCE - 2]]
    assert asked.scarce(swarm(has=[1, 2]), order) == [], "for nobody"
    asked.brought(3)
    asked.lost(7)
    assert asked.scarce(swarm(has=[1, 2], leechers=1), order)[:2] == [9, 7]


def test_before_anything_is_known_of_peers_all_is_scarce() -> None:
    nothing_known = SwarmView(rate_bytes_per_s=0.0, available=b"", leechers=1)
    assert division(3).scarce(nothing_known, OwnOrder([2, 0, 1])) == [2, 0, 1]


def test_no_more_than_so_many_are_scarce() -> None:
    assert len(division().scarce(swarm(has=[], leechers=1), OwnOrder(range(COUNT)))) == MOST_SCARCE


def test_what_was_brought_and_lost_belongs_to_the_mirrors() -> None:
    asked = given(division(), 99)
    asked.brought(99)
    assert (asked.done, asked.assigned) == ({99}, set())
    asked.lost(99)
    assert (asked.done, asked.assigned) == (set(), set())
