"""Piece hashes of BitTorrent v2, against BEP 52 read plainly: leaves, zeros beyond the end, and pairs up to a root."""

from __future__ import annotations

import hashlib
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.content_key import LEAF_BYTES
from thunderdl.formats.merkle import SubtreeHasher, subtree_algorithm, subtree_leaves

BYTES = random.Random(52).randbytes(8 * LEAF_BYTES)
sizes = st.one_of(
    st.integers(0, 8 * LEAF_BYTES),
    st.builds(lambda leaves, off: max(0, min(leaves * LEAF_BYTES + off, 8 * LEAF_BYTES)),
              st.integers(0, 8), st.integers(-1, 1)),
)  # fmt: skip


def plain_root(data: bytes, leaves: int) -> bytes:
    """BEP 52: "The leaf hashes of the remaining leaves of the tree are set to zero"; the last block is as short as
    it is."""
    level = [hashlib.sha256(data[at : at + LEAF_BYTES]).digest() for at in range(0, len(data), LEAF_BYTES)]
    level += [bytes(32)] * (leaves - len(level))
    while len(level) > 1:
        level = [hashlib.sha256(one + two).digest() for one, two in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def hashed(data: bytes, leaves: int, cuts: list[int]) -> bytes:
    """The digest of ``data`` handed over in parts that end at ``cuts``."""
    hasher = SubtreeHasher(leaves)
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(borders):
        hasher.update(data[start:end])
    return hasher.digest()


@given(sizes, st.lists(st.integers(0, 8 * LEAF_BYTES), max_size=6))
def test_any_length_in_any_parts(size: int, cuts: list[int]) -> None:
    assert hashed(BYTES[:size], 8, cuts) == plain_root(BYTES[:size], 8)


@pytest.mark.parametrize("leaves", [1, 2, 4, 8])
def test_a_whole_piece(leaves: int) -> None:
    data = BYTES[: leaves * LEAF_BYTES]
    assert hashed(data, leaves, []) == plain_root(data, leaves)


@pytest.mark.parametrize("size", [1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 5 * LEAF_BYTES + 7])
def test_a_short_last_piece_is_filled_up_with_zeros_not_with_hashes_of_zeros(size: int) -> None:
    data = BYTES[:size]
    assert hashed(data, 8, []) == plain_root(data, 8)
    assert hashed(data, 8, []) != plain_root(data + bytes(8 * LEAF_BYTES - size), 8)


@pytest.mark.parametrize(("size", "leaves"), [(1, 1), (LEAF_BYTES, 1), (LEAF_BYTES + 1, 2), (3 * LEAF_BYTES, 4)])
def test_a_file_of_one_piece_has_the_tree_of_its_own_height(size: int, leaves: int) -> None:
    assert hashed(BYTES[:size], leaves, []) == plain_root(BYTES[:size], leaves)


@given(st.integers(0, 4 * LEAF_BYTES), st.integers(0, 4 * LEAF_BYTES))
def test_a_copy_goes_its_own_way(first: int, second: int) -> None:
    whole = BYTES[: first + second]
    hasher = SubtreeHasher(8)
    hasher.update(whole[:first])
    other = hasher.copy()
    other.update(whole[first:])
    assert hasher.digest() == plain_root(whole[:first], 8), "untouched by what its copy took"
    assert other.digest() == plain_root(whole, 8)


def test_a_digest_may_be_looked_at_on_the_way() -> None:
    hasher = SubtreeHasher(2)
    hasher.update(BYTES[:100])
    assert hasher.digest() == hasher.digest() == plain_root(BYTES[:100], 2)
    hasher.update(BYTES[100 : 2 * LEAF_BYTES])
    assert hasher.digest() == plain_root(BYTES[: 2 * LEAF_BYTES], 2)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_whatever_holds_bytes(kind: type[bytes | bytearray | memoryview]) -> None:
    hasher = SubtreeHasher(2)
    hasher.update(kind(BYTES[:20_000]))
    assert hasher.digest() == plain_root(BYTES[:20_000], 2)


def test_the_name_tells_the_height() -> None:
    assert subtree_leaves(subtree_algorithm(64)) == 64
    assert [subtree_leaves(name) for name in ("sha1", "sha256", "bep52/", "bep52/x", "4")] == [0, 0, 0, 0, 0]
