"""Lanes whose connection sends on behind a range: they keep going, and begin far apart."""

from __future__ import annotations

import pytest

from tests.core.desk import MIB, Desk, of
from thunderdl.core.onward import onward
from thunderdl.core.protocol import Fetch, Horizon
from thunderdl.core.ranges import RangeSet


@pytest.mark.parametrize(
    ("at", "heading", "found"),
    [
        pytest.param(30, set(), (30, 50), id="it keeps going"),
        pytest.param(50, set(), (10, 50), id="there is nothing to go on with: the first that nobody comes to"),
        pytest.param(None, {10}, (70, 90), id="a new one: the first that nobody comes to"),
        pytest.param(None, {10, 70}, (30, 50), id="ahead of who comes there, in the largest"),
        pytest.param(70, {10, 70}, (70, 90), id="where it stands, whoever else does"),
    ],
)
def test_where_it_goes_on(at: int | None, heading: set[int], found: tuple[int, int]) -> None:
    missing = RangeSet([(10, 50), (70, 90)])
    assert onward(missing, at=at, heading=heading, want_bytes=5, align=1) == found


def test_what_is_too_small_for_two_is_not_divided() -> None:
    assert onward(RangeSet([(10, 50)]), at=None, heading={10}, want_bytes=21, align=1) == (10, 50)


def test_it_begins_on_a_border_and_not_out_of_sight() -> None:
    missing = RangeSet([(0, 1000 * MIB)])
    start, end = onward(missing, at=None, heading={0}, want_bytes=MIB, align=3 * MIB) or (0, 0)
    assert (start, end) == (249 * MIB, 1000 * MIB)


def test_nothing_is_missing() -> None:
    assert onward(RangeSet(), at=5, heading=set(), want_bytes=1, align=1) is None


def restarts(*, runs_on: bool, horizon: int | None = None) -> int:
    """How often a lane goes on where it does not stand, in a file that four bring to its end."""
    desk = Desk(400 * MIB, host_lanes=4)
    if horizon is not None:
        desk.tell(Horizon(horizon))
    said = [*desk.open(runs_on=runs_on), *desk.flow(25, {1: 5 * MIB})]
    stand: dict[int, int] = {}
    count = 0
    for each in of(Fetch, said):
        count += stand.get(each.lane, each.start) != each.start
        stand[each.lane] = each.end
    assert len(stand) == 4
    return count


def test_lanes_of_such_a_source_keep_going() -> None:
    often, seldom = restarts(runs_on=False), restarts(runs_on=True)
    assert often > 3 * max(seldom, 1)


def test_a_reader_in_order_comes_first() -> None:
    """He waits for the lowest bytes: lanes far ahead would fill his window and leave him hungry."""
    assert restarts(runs_on=True, horizon=300 * MIB) == restarts(runs_on=False, horizon=300 * MIB)
