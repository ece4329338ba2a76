"""Wrong bytes as the scheduler sees them: probation, ban, suspicion, and a way out for a lone source."""

from __future__ import annotations

import pytest

from tests.core.desk import KIB, MIB, Desk, fetched, of
from thunderdl.core.protocol import (
    Blamed,
    Cancel,
    Cleared,
    Complete,
    Distrust,
    FaultKind,
    Fetch,
    GiveUp,
    PieceBad,
    SourceLost,
    Suspected,
)
from thunderdl.core.suspecting import DOUBTFUL_PIECES, MOST_BAD_TIMES


def bad(start: int, end: int, *suspects: int) -> PieceBad:
    """As the engine tells it: one suspect is the culprit, of several none is."""
    return PieceBad(start, end, frozenset(suspects), frozenset(suspects if len(suspects) == 1 else ()))


def three_pieces(*sources: int) -> Desk:
    """A file of three pieces, of which the first is here; each source has shown a rate."""
    desk = Desk(3 * MIB, align=MIB)
    for number in sources:
        desk.open(number, start=(number - 1) * MIB, end=number * MIB)
    for number in sources:
        desk.move(desk.lease(number), MIB // 2)
    desk.finish(desk.lease(1))
    return desk


def test_a_bad_piece_is_missing_again_and_brought_by_another() -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=MIB)
    desk.open(2, start=MIB, end=2 * MIB)
    desk.finish(desk.lease(1))
    desk.tell(bad(0, MIB, 1))
    assert not desk.scheduler.filled.covers(0, 1)
    said = desk.flow(3, {1: 100 * KIB, 2: 2 * MIB})
    assert not any(0 <= start < MIB for start, _ in fetched(said, 1))
    assert fetched(said, 2).covers(0, MIB)


def test_first_probation_then_ban_where_another_source_is_there() -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=8 * MIB, end=16 * MIB)
    desk.move(desk.lease(1), MIB)
    assert of(Cancel, desk.tell(bad(0, MIB, 1))) == []
    assert desk.source(1).on_probation
    assert desk.source(1).note == "served wrong bytes"
    lease = desk.lease(1)
    assert Cancel(lease.id, FaultKind.CANCELLED) in desk.tell(Blamed(1))
    assert desk.source(1).banned
    assert desk.source(1).note == "served wrong bytes again"
    said = [*desk.obey([Cancel(lease.id, FaultKind.CANCELLED)]), *desk.flow(60, {2: 2 * MIB})]
    assert fetched(said, 1).total == 0
    assert Complete() in said


def test_on_probation_it_brings_one_piece_at_a_time_on_one_lane() -> None:
    desk = Desk(256 * MIB, host_lanes=4)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=128 * MIB, end=256 * MIB)
    desk.move(desk.lease(1), MIB)
    desk.tell(bad(0, MIB, 1))
    said = desk.flow(5, {1: 8 * MIB, 2: 100 * KIB})
    late = [each for each in of(Fetch, said) if each.source == 1][-3:]
    # To the border of a piece first, then whole ones.
    assert all(each.end - each.start == MIB or each.end % MIB == 0 for each in late)
    assert all(each.end - each.start <= MIB for each in late)
    assert len(desk.leases(1)) == 1


def test_on_probation_it_brings_one_piece_at_a_time_even_where_its_rate_is_not_known() -> None:
    desk = Desk(256 * MIB)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=128 * MIB, end=256 * MIB)
    desk.tell(Blamed(1))
    desk.fail(1)
    (fetch,) = [each for each in of(Fetch, desk.tick(after_s=5.0)) if each.source == 1]
    assert fetch.end - fetch.start == MIB


def test_a_lone_source_gets_the_same_piece_again_but_not_for_ever() -> None:
    desk = Desk(MIB)
    desk.open(start=0, end=MIB)
    times = 0
    said = desk.finish(desk.lease())
    while GiveUp() not in said and times < 20:
        times += 1
        said = desk.obey(desk.tell(bad(0, MIB, 1)))
        while desk.leases():
            said = desk.finish(desk.lease())
    assert times == MOST_BAD_TIMES
    assert desk.source().banned


def test_a_lone_source_with_different_bad_pieces_goes_on() -> None:
    desk = Desk(64 * MIB)
    desk.open(start=0, end=32 * MIB)
    desk.move(desk.lease(), 8 * MIB)
    for piece in range(6):
        desk.tell(bad(piece * MIB, (piece + 1) * MIB, 1))
    assert desk.source().usable
    assert Complete() in desk.flow(60, {1: 8 * MIB})


def test_a_suspect_is_kept_away_until_it_is_cleared() -> None:
    desk = Desk(2 * MIB)
    desk.open(1, start=0, end=MIB)
    desk.open(2, start=MIB, end=2 * MIB)
    desk.finish(desk.lease(1))
    desk.fail(2, retry_after_s=1000.0)
    while desk.leases(1):
        desk.finish(desk.lease(1))
    said = desk.tell(PieceBad(0, MIB, frozenset({1}), frozenset()))
    assert desk.source(1).strikes == 0, "nothing is proven"
    assert fetched([*said, *desk.tick(after_s=1.0)]).total == 0, "it waits for the other"
    assert fetched(desk.tell(Cleared(1)), 1).covers(0, 1)


def test_better_from_a_suspect_than_never() -> None:
    desk = Desk(2 * MIB)
    desk.open(1, start=0, end=MIB)
    desk.open(2, start=MIB, end=2 * MIB)
    desk.finish(desk.lease(1))
    desk.finish(desk.lease(2))
    for suspect in (1, 2):
        desk.tell(PieceBad(0, MIB, frozenset({suspect}), frozenset()))
    assert Complete() in desk.flow(10, {1: MIB, 2: MIB})


def test_for_a_piece_of_mixed_origin_nobody_is_blamed_and_one_alone_brings_it_again() -> None:
    desk = three_pieces(1, 2)
    said = desk.tell(bad(0, MIB, 1, 2))
    assert (desk.source(1).strikes, desk.source(2).strikes) == (0, 0)
    said += desk.flow(10, {1: MIB, 2: MIB})
    assert len({each.source for each in of(Fetch, said) if each.start < MIB}) == 1
    assert Complete() in said


def test_who_has_a_part_in_most_bad_mixtures_is_looked_at_closely() -> None:
    desk = Desk(64 * MIB)
    for number in (1, 2, 3):
        desk.open(number, start=number * 8 * MIB, end=(number + 1) * 8 * MIB)
    desk.tell(bad(0, MIB, 1, 2))
    desk.tell(bad(MIB, 2 * MIB, 1, 3))
    assert not desk.source(1).on_probation
    desk.tell(bad(2 * MIB, 3 * MIB, 1, 2, 3))
    assert [desk.source(number).on_probation for number in (1, 2, 3)] == [True, False, False]


def test_a_ban_ends_the_doubt_about_the_others() -> None:
    desk = Desk(64 * MIB)
    for number in (1, 2, 3):
        desk.open(number, start=number * 8 * MIB, end=(number + 1) * 8 * MIB)
    for piece in range(3):
        desk.tell(bad(piece * MIB, (piece + 1) * MIB, 1, 2))
    assert desk.source(1).on_probation
    desk.tell(Blamed(2))
    desk.tell(Blamed(2))
    assert desk.source(2).banned
    assert not desk.source(1).on_probation


def test_a_bad_piece_does_not_touch_what_is_being_fetched_in_it() -> None:
    desk = Desk(4 * MIB)
    desk.open(1, start=0, end=4 * MIB)
    lease = desk.lease()
    desk.move(lease, MIB // 2)
    desk.tell(PieceBad(0, MIB, frozenset({1}), frozenset()))
    assert (lease.position, lease.end) == (MIB // 2, 4 * MIB)
    assert list(desk.scheduler.missing) == [(0, MIB // 2)]


def test_who_had_a_part_in_a_piece_each_time_it_was_wrong_keeps_away_from_it() -> None:
    desk = three_pieces(1, 2, 3)
    desk.tell(bad(0, MIB, 1, 2))
    assert not desk.source(1).avoid
    assert not desk.source(2).avoid
    desk.tell(bad(0, MIB, 2, 3))
    assert list(desk.source(2).avoid) == [(0, MIB)]
    assert not desk.source(1).avoid
    assert not desk.source(3).avoid


def test_where_nobody_else_is_there_they_bring_it_all_the_same() -> None:
    desk = three_pieces(1, 2)
    for _ in range(2):
        desk.tell(bad(0, MIB, 1, 2))
    assert not desk.source(1).avoid
    assert not desk.source(2).avoid


def test_a_banned_source_explains_what_others_had_a_part_in() -> None:
    desk = three_pieces(1, 2)
    for _ in range(2):
        desk.tell(Blamed(2))
    assert desk.source(2).banned
    for piece in range(DOUBTFUL_PIECES):
        desk.tell(bad(piece * MIB, (piece + 1) * MIB, 1, 2))
    assert not desk.source(1).doubted
    assert desk.source(1).suspected == 0


def test_nothing_that_a_banned_one_brought_is_believed_and_nothing_that_it_was_still_bringing() -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=8 * MIB, end=16 * MIB)
    desk.move(desk.lease(1), MIB)
    assert of(Distrust, desk.tell(bad(0, MIB, 1))) == []
    said = desk.tell(bad(0, MIB, 1))
    assert of(Distrust, said) == [Distrust(1)]
    assert of(Distrust, desk.fail(1, FaultKind.CANCELLED)) == [Distrust(1)]


@pytest.mark.parametrize("end", ["finish", "fail"])
def test_what_a_banned_one_brought_last_is_not_believed_either(end: str) -> None:
    desk = Desk(64 * MIB)
    desk.open(1, start=0, end=2 * MIB)
    desk.open(2, start=8 * MIB, end=16 * MIB)
    for _ in range(2):
        desk.tell(Blamed(1))
    said = desk.finish(desk.lease(1)) if end == "finish" else desk.fail(1, FaultKind.CANCELLED)
    assert of(Distrust, said) == [Distrust(1)]


def test_a_ban_explains_the_mixtures_before_it() -> None:
    desk = three_pieces(1, 2)
    desk.tell(bad(0, MIB, 1, 2))
    assert list(desk.scheduler.contested) == [(0, MIB)]
    for _ in range(2):
        desk.tell(Blamed(2))
    assert not desk.scheduler.contested


def test_a_mixture_with_one_that_is_known_to_lie_needs_nobody_who_brings_it_alone() -> None:
    desk = three_pieces(1, 2)
    desk.tell(Blamed(2))
    desk.tell(bad(0, MIB, 1, 2))
    assert not desk.scheduler.contested
    assert desk.source(1).suspected == 0


def test_a_suspect_brings_nothing_as_long_as_there_are_others() -> None:
    desk = Desk(64 * MIB)
    for number in (1, 2):
        desk.open(number, start=(number - 1) * MIB, end=number * MIB)
    desk.tell(Suspected(1))
    said = [*desk.finish(desk.lease(1)), *desk.finish(desk.lease(2)), *desk.flow(10, {1: MIB, 2: MIB})]
    assert fetched(said, 1).total == 0
    assert fetched(said, 2).total > 8 * MIB
    desk.obey(desk.tell(SourceLost(2, "gone")))
    assert Complete() in desk.flow(120, {1: MIB})
