from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.ranges import RangeSet
from thunderdl.engine.snapshot import MAP_CELLS, cells_of

GIB = 1 << 30


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000, GIB + 1, 500 * GIB - 7])
def test_nothing_is_all_zero_and_all_is_all_full(size: int) -> None:
    count = min(size, MAP_CELLS)
    assert cells_of(RangeSet(), size, MAP_CELLS) == bytes(count)
    assert cells_of(RangeSet([(0, size)]), size, MAP_CELLS) == b"\xff" * count


def test_each_cell_stands_for_its_own_part_of_the_file() -> None:
    assert cells_of(RangeSet([(0, 100), (250, 300)]), 400, 4) == bytes([255, 0, 127, 0])
    assert cells_of(RangeSet([(50, 350)]), 400, 4) == bytes([127, 255, 255, 127])
    assert cells_of(RangeSet([(300, 400)]), 400, 4) == bytes([0, 0, 0, 255])


def test_parts_of_one_cell_add_up() -> None:
    assert cells_of(RangeSet([(0, 20), (40, 60), (80, 100)]), 400, 4) == bytes([153, 0, 0, 0])


def test_a_file_smaller_than_the_map_has_a_cell_for_each_byte() -> None:
    assert cells_of(RangeSet([(1, 2), (4, 5)]), 5, MAP_CELLS) == bytes([0, 255, 0, 0, 255])


@pytest.mark.parametrize("size", [1000, 70_000, 10 * 1024 * 1024])
def test_a_cell_that_lacks_one_byte_is_not_shown_as_full(size: int) -> None:
    at = size // 2
    cells = cells_of(RangeSet([(0, at), (at + 1, size)]), size, MAP_CELLS)
    assert cells.count(255) in (MAP_CELLS - 1, MAP_CELLS - 2), "the byte may lie across a border"


WIDTH, COUNT = 12, 8


@given(st.sets(st.integers(0, WIDTH * COUNT - 1)))
def test_each_cell_is_the_share_of_its_bytes(there: set[int]) -> None:
    filled = RangeSet((byte, byte + 1) for byte in there)
    shares = [sum(byte // WIDTH == cell for byte in there) for cell in range(COUNT)]
    assert cells_of(filled, WIDTH * COUNT, COUNT) == bytes(255 * share // WIDTH for share in shares)
