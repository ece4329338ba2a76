"""Pieces that are nowhere: found in masks, the same ones as by looking at each."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from thunderdl.core.scarcity import SPARSE, OwnOrder, either


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.001, 0.5, 1.0]), st.integers(1, 8 * SPARSE), st.integers(0, 70))
def test_the_first_in_the_order(seed: int, share: float, count: int, most: int) -> None:
    dice = random.Random(seed)
    order = dice.sample(range(count), count)
    mask = bytes(0 if dice.random() < share else dice.randrange(1, 256) for _ in range(count))
    assert OwnOrder(order).first(mask, most) == [piece for piece in order if not mask[piece]][:most]


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255))))
def test_either(pairs: list[tuple[int, int]]) -> None:
    one, other = bytes(pair[0] for pair in pairs), bytearray(pair[1] for pair in pairs)
    assert [bool(byte) for byte in either(one, other)] == [any(pair) for pair in pairs]
