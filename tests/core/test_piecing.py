from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.piecing import bitfield, bitfield_of_ranges, done_bytes, full_bitfield
from thunderdl.core.ranges import RangeSet


@pytest.mark.parametrize(
    ("here", "bits"),
    [
        ([], ""), ([1], "80"), ([0], "00"), ([1, 0, 1], "a0"), ([0, 0, 0, 0, 0, 0, 0, 1], "01"),
        ([1] * 9, "ff80"), ([True, False] * 8, "aaaa"), ([0, 255, 7], "60"),
    ],
)  # fmt: skip
def test_the_first_piece_is_the_highest_bit_and_spare_bits_are_zero(here: list[int], bits: str) -> None:
    assert bitfield(here).hex() == bits


@pytest.mark.parametrize(("count", "bits"), [(0, ""), (1, "80"), (8, "ff"), (11, "ffe0")])
def test_all_pieces(count: int, bits: str) -> None:
    assert full_bitfield(count).hex() == bits


@pytest.mark.parametrize(
    ("there", "bits"),
    [
        ([], "00"), ([(0, 9)], "00"), ([(0, 10)], "80"), ([(1, 10)], "00"), ([(5, 21)], "40"),
        ([(0, 10), (20, 25)], "a0"), ([(20, 24)], "00"), ([(0, 25)], "e0"),
    ],
)  # fmt: skip
def test_a_piece_counts_once_all_of_it_is_there_and_the_last_one_is_shorter(
    there: list[tuple[int, int]], bits: str
) -> None:
    assert bitfield_of_ranges(there, 25, 10).hex() == bits


@given(st.sets(st.integers(0, 24)), st.integers(1, 30))
def test_ranges_as_a_piece_at_a_time(there: set[int], length: int) -> None:
    ranges = RangeSet((at, at + 1) for at in there)
    count = -(-25 // length)
    expected = [ranges.covers(at * length, min(25, (at + 1) * length)) for at in range(count)]
    assert bitfield_of_ranges(ranges, 25, length) == bitfield(expected)


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.lists(st.integers(0, 12), max_size=5))
def test_of_each_file_the_bytes_in_pieces_that_are_there(here: list[bool], lengths: list[int]) -> None:
    files, at = list[tuple[int, int]](), 0
    for length in lengths:
        files.append((at, min(length, 25 - at)))
        at += files[-1][1]
    counted = list(done_bytes(files, here, 25, 10))
    assert counted == [sum(here[byte // 10] for byte in range(start, start + length)) for start, length in files]


def test_nothing_is_known_of_any_piece() -> None:
    assert list(done_bytes([(0, 5)], (), 25, 10)) == [0]
