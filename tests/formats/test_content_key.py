"""The content key against a plain reading of BEP 52 and against libtorrent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.formats.content_key import (
    LEAF_BYTES,
    content_key,
    granule_count,
    granule_root,
    leaf_digests,
    root_from_subtrees,
    subtree_root,
    tree_leaves,
)

LENGTHS = [1, 100, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 3 * LEAF_BYTES, 5 * LEAF_BYTES + 7, 64 * LEAF_BYTES]
LENGTHS += [65 * LEAF_BYTES, 128 * LEAF_BYTES - 1, 200 * LEAF_BYTES + 1]


def content(length: int) -> bytes:
    return hashlib.shake_128(length.to_bytes(8, "big")).digest(length)


def plain_root(data: bytes) -> bytes:
    """BEP 52 as it is written, with no granules."""
    level = [hashlib.sha256(data[at : at + LEAF_BYTES]).digest() for at in range(0, len(data), LEAF_BYTES)]
    while len(level) & (len(level) - 1):
        level.append(bytes(32))
    while len(level) > 1:
        level = [hashlib.sha256(level[at] + level[at + 1]).digest() for at in range(0, len(level), 2)]
    return level[0]


def root_by_granules(data: bytes, leaves_per_granule: int) -> bytes:
    step = leaves_per_granule * LEAF_BYTES
    roots = [
        granule_root(leaf_digests(memoryview(data)[at : at + step]), len(data), leaves_per_granule)
        for at in range(0, len(data), step)
    ]
    return root_from_subtrees(b"".join(roots), len(data), leaves_per_granule)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("leaves_per_granule", [1, 4, 64, 1024])
def test_granules_give_the_root_of_bep_52(length: int, leaves_per_granule: int) -> None:
    data = content(length)
    assert root_by_granules(data, leaves_per_granule) == plain_root(data)


@given(st.integers(1, 40 * LEAF_BYTES), st.integers(0, 6))
def test_every_length_and_granule(length: int, power: int) -> None:
    data = bytes([length & 255]) * length
    assert root_by_granules(data, 1 << power) == plain_root(data)


@pytest.mark.parametrize("length", LENGTHS)
def test_libtorrent_agrees(length: int, tmp_path: Path) -> None:
    lt: Any = pytest.importorskip("libtorrent")
    data = content(length)
    (tmp_path / "file").write_bytes(data)
    root = lt_root(lt, tmp_path)
    assert root_by_granules(data, 64) == root


def lt_root(lt: Any, folder: Path) -> bytes:
    """The ``pieces root`` that libtorrent writes into a v2 torrent of ``folder/file``."""
    flags = lt.create_torrent_flags_t.v2_only
    maker = lt.create_torrent([lt.create_file_entry("file", (folder / "file").stat().st_size)], 65536, flags)
    lt.set_piece_hashes(maker, str(folder))
    return bytes(maker.generate()[b"info"][b"file tree"][b"file"][b""][b"pieces root"])


def test_known_answers() -> None:
    one_block = b"a" * 100
    assert root_by_granules(one_block, 64) == hashlib.sha256(one_block).digest()
    assert content_key(0, b"").root == bytes(32)
    assert str(content_key(100, hashlib.sha256(one_block).digest())).startswith("100-28165978")


@pytest.mark.parametrize(
    ("length", "leaves"), [(0, 1), (1, 1), (LEAF_BYTES, 1), (LEAF_BYTES + 1, 2), (10**12, 1 << 26)]
)
def test_tree_leaves(length: int, leaves: int) -> None:
    assert tree_leaves(length) == leaves


def test_granule_count() -> None:
    assert [granule_count(n) for n in (0, 1, 1 << 20, (1 << 20) + 1)] == [0, 1, 1, 2]


@pytest.mark.parametrize("leaves", [b"", b"x" * 31, b"x" * 96])
def test_leaves_that_are_no_tree(leaves: bytes) -> None:
    with pytest.raises(ValueError, match="power of two"):
        subtree_root(leaves)


def test_wrong_number_of_roots() -> None:
    with pytest.raises(ValueError, match="2 granules"):
        root_from_subtrees(bytes(32), 2 << 20)
    with pytest.raises(ValueError, match="3 leaves"):
        root_from_subtrees(bytes(32), 1, 3)
