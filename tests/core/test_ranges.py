from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.ranges import RangeSet, latest

LIMIT = 40


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, LIMIT))
    return start, draw(st.integers(start, LIMIT))


def check(found: RangeSet, model: set[int]) -> None:
    """Every question answered as a set of ints answers it, and the invariants of the module hold."""
    assert {byte for start, end in found for byte in range(start, end)} == model
    edges = [edge for pair in found for edge in pair]
    assert edges == sorted(set(edges)), "sorted, none empty, none touching"
    assert found.total == len(model)
    assert [byte in found for byte in range(LIMIT + 1)] == [byte in model for byte in range(LIMIT + 1)]
    assert found.prefix_end() == next(byte for byte in range(LIMIT + 2) if byte not in model)


@given(st.lists(st.tuples(st.booleans(), ranges())), ranges())
def test_behaves_as_a_set_of_ints(steps: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]) -> None:
    found, model = RangeSet(), set[int]()
    for adds, (start, end) in steps:
        if adds:
            found.add(start, end)
            model |= set(range(start, end))
        else:
            found.remove(start, end)
            model -= set(range(start, end))
        check(found, model)
    inside = set(range(*asked))
    gaps = list(found.gaps(*asked))
    assert found.covers(*asked) == (inside <= model)
    assert {byte for start, end in gaps for byte in range(start, end)} == inside - model
    assert all(start < end for start, end in gaps)
    assert all(a[1] < b[0] for a, b in pairwise(gaps))
    assert found.first_gap(*asked) == (gaps[0] if gaps else None)


@given(st.lists(ranges()))
def test_order_of_adding_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    backwards = RangeSet()
    for start, end in reversed(pairs):
        backwards.add(start, end)
    assert RangeSet(pairs) == backwards


def test_a_copy_is_independent() -> None:
    one = RangeSet([(0, 10)])
    other = one.copy()
    other.remove(2, 4)
    assert (list(one), list(other)) == ([(0, 10)], [(0, 2), (4, 10)])
    assert (one.total, other.total) == (10, 8)


def test_touching_ranges_become_one() -> None:
    found = RangeSet([(0, 5), (10, 15)])
    found.add(5, 10)
    assert list(found) == [(0, 15)]
    assert len(found) == 1


@pytest.mark.parametrize("pair", [(-1, 3), (4, 3)])
def test_what_is_no_range_is_refused(pair: tuple[int, int]) -> None:
    found = RangeSet([(0, 9)])
    for ask in (found.add, found.remove, found.covers, found.first_gap):
        with pytest.raises(ValueError, match="not a range"):
            ask(*pair)
    assert list(found) == [(0, 9)]


def test_shows_itself_without_its_whole_length() -> None:
    assert repr(RangeSet([(0, 5)])) == "RangeSet([0, 5))"
    assert repr(RangeSet((i * 2, i * 2 + 1) for i in range(100))).endswith("… 92 more)")


@given(st.lists(ranges().filter(lambda pair: pair[0] < pair[1])))
def test_latest_is_what_painting_one_over_the_other_leaves(strokes: list[tuple[int, int]]) -> None:
    canvas: dict[int, int] = {}
    for index, (start, end) in enumerate(strokes):
        canvas.update(dict.fromkeys(range(start, end), index))
    runs = list(latest(strokes))
    assert {byte: index for start, end, index in runs for byte in range(start, end)} == canvas
    assert runs == sorted(runs)
    # A run is cut only where another stroke begins to be seen.
    assert all(a[1] < b[0] or a[2] != b[2] for a, b in pairwise(runs))
