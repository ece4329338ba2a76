from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.trust import Provenance, Verdict, Version, compare
from thunderdl.model import Validators

MONDAY = "Mon, 06 Jan 2025 10:00:00 GMT"
TUESDAY = "Tue, 07 Jan 2025 10:00:00 GMT"
SAME, UNPROVEN, DIFFERENT = Verdict.SAME, Verdict.UNPROVEN, Verdict.DIFFERENT


def version(size: int | None, etag: str | None = None, date: str | None = None) -> Version:
    return Version(size=size, validators=Validators(etag=etag, last_modified=date))


VERDICTS = [
    # A size that differs proves another version, whatever the rest says.
    (version(5, '"a"', MONDAY), version(6, '"a"', MONDAY), DIFFERENT),
    (version(5), version(6), DIFFERENT),
    # Equal strong tags prove the same one, whatever the date says, and without a size.
    (version(5, '"a"', MONDAY), version(5, '"a"', TUESDAY), SAME),
    (version(5, '"a"'), version(None, '"a"'), SAME),
    (version(None, '"a"'), version(None, '"a"'), SAME),
    # Strong tags that differ: another version, unless date and size are those of one file on many nodes.
    (version(5, '"a"', MONDAY), version(5, '"b"', MONDAY), UNPROVEN),
    (version(5, '"a"', MONDAY), version(5, '"b"', TUESDAY), DIFFERENT),
    (version(5, '"a"'), version(5, '"b"'), DIFFERENT),
    (version(5, '"a"', MONDAY), version(5, '"b"'), DIFFERENT),
    (version(None, '"a"', MONDAY), version(None, '"b"', MONDAY), DIFFERENT),
    (version(5, '"a"', MONDAY), version(None, '"b"', MONDAY), DIFFERENT),
    # Weak tags are no proof of anything by themselves (RFC 9110 section 8.8.1).
    (version(5, 'W/"a"'), version(5, 'W/"a"'), UNPROVEN),
    (version(5, 'W/"a"'), version(5, 'W/"b"'), UNPROVEN),
    (version(5, 'W/"a"', MONDAY), version(5, 'W/"a"', MONDAY), SAME),
    (version(5, 'W/"a"', MONDAY), version(5, 'W/"a"', TUESDAY), DIFFERENT),
    # Written twice within the second that the date shows.
    (version(5, 'W/"a"', MONDAY), version(5, 'W/"b"', MONDAY), UNPROVEN),
    # Apache's tag is weak while the file is fresh and strong afterwards.
    (version(5, 'W/"a"', MONDAY), version(5, '"a"', MONDAY), UNPROVEN),
    (version(5, '"a"', MONDAY), version(5, None, MONDAY), UNPROVEN),
    # Dates alone.
    (version(5, None, MONDAY), version(5, None, MONDAY), SAME),
    (version(5, None, MONDAY), version(5, None, TUESDAY), DIFFERENT),
    (version(5, None, MONDAY), version(None, None, MONDAY), DIFFERENT),
    (version(None, None, MONDAY), version(None, None, MONDAY), DIFFERENT),
    # Nothing to go by.
    (version(5), version(5), UNPROVEN),
    (version(5), version(None), UNPROVEN),
    (version(None), version(None), UNPROVEN),
    (version(5, '"a"', MONDAY), version(5), UNPROVEN),
    (version(5, None, MONDAY), version(5, '"a"'), UNPROVEN),
]


@pytest.mark.parametrize(("known", "seen", "verdict"), VERDICTS, ids=str)
def test_verdict(known: Version, seen: Version, verdict: Verdict) -> None:
    assert compare(known, seen) is verdict
    assert compare(seen, known) is verdict, "no matter which came first"


def test_a_version_shows_what_is_known_of_it() -> None:
    assert str(version(5, '"a"', MONDAY)) == f'5 bytes, ETag "a", of {MONDAY}'
    assert str(version(None, 'W/"a"')) == 'ETag W/"a"'
    assert str(version(None)) == "unknown"


# -- provenance

LIMIT = 30


@st.composite
def strokes(draw: st.DrawFn) -> tuple[int, int, int | None]:
    """A range and the source it came from, None: forgotten."""
    start = draw(st.integers(0, LIMIT))
    return start, draw(st.integers(start, LIMIT)), draw(st.sampled_from([1, 1, 2, 3, None]))


def painted(steps: list[tuple[int, int, int | None]]) -> tuple[Provenance, dict[int, int]]:
    origin, model = Provenance(), dict[int, int]()
    for start, end, source in steps:
        if source is None:
            origin.remove(start, end)
            for byte in range(start, end):
                model.pop(byte, None)
        else:
            origin.add(start, end, source)
            model.update(dict.fromkeys(range(start, end), source))
    return origin, model


def bytes_of(extents: list[tuple[int, int, int]]) -> dict[int, int]:
    return {byte: source for start, end, source in extents for byte in range(start, end)}


@given(st.lists(strokes(), max_size=30), st.integers(0, LIMIT - 1), st.integers(1, LIMIT))
def test_provenance_is_a_dict_of_bytes(steps: list[tuple[int, int, int | None]], start: int, length: int) -> None:
    origin, model = painted(steps)
    extents = origin.within(0, LIMIT)
    assert bytes_of(extents) == model
    assert all(a < b for a, b, _ in extents)
    assert all(one[1] <= other[0] for one, other in pairwise(extents)), "sorted and disjoint"
    for source in (1, 2, 3):
        found = {byte for a, b in origin.extents_of(source) for byte in range(a, b)}
        assert found == {byte for byte, owner in model.items() if owner == source}
    end = start + length
    inside = {byte: source for byte, source in model.items() if start <= byte < end}
    assert bytes_of(origin.within(start, end)) == inside
    assert origin.sources_of(start, end) == frozenset(inside.values())
    assert origin.within(start, end, clip=False) == [each for each in extents if each[0] < end and each[1] > start]


def test_a_lane_that_goes_on_makes_one_extent() -> None:
    origin = Provenance()
    for start in range(0, 100, 10):
        origin.add(start, start + 10, 1)
    assert origin.extents_of(1) == [(0, 100)]


def test_neighbours_of_two_sources_stay_two() -> None:
    origin = Provenance()
    origin.add(0, 10, 1)
    origin.add(10, 20, 2)
    assert origin.within(0, 20) == [(0, 10, 1), (10, 20, 2)]


def test_a_lane_that_goes_on_does_not_swallow_what_follows() -> None:
    origin = Provenance()
    origin.add(0, 10, 1)
    origin.add(12, 20, 2)
    origin.add(10, 15, 1)
    assert origin.within(0, 100) == [(0, 10, 1), (10, 15, 1), (15, 20, 2)]


def test_the_last_writer_wins_in_the_middle() -> None:
    origin = Provenance()
    origin.add(0, 30, 1)
    origin.add(10, 20, 2)
    assert origin.within(0, 30) == [(0, 10, 1), (10, 20, 2), (20, 30, 1)]
    assert origin.within(5, 12) == [(5, 10, 1), (10, 12, 2)]
    origin.remove(8, 22)
    assert origin.within(0, 30) == [(0, 8, 1), (22, 30, 1)]


def test_who_brought_most_of_a_part() -> None:
    origin = Provenance()
    origin.add(0, 30, 1)
    origin.add(30, 100, 2)
    assert [origin.most_of(*part) for part in ((0, 20), (20, 50), (90, 120), (100, 120))] == [1, 2, 2, None]
    origin.add(10, 20, 3)
    assert origin.most_of(0, 31) == 1, "both its parts together"
    assert origin.most_of(0, 100, looks=1) == 1
    assert Provenance().most_of(0, 10) is None
