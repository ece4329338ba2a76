"""Piece hashes of BitTorrent v2 (BEP 52): the root over the 16 KiB leaves of a piece, as a hasher like any other."""

from __future__ import annotations

import hashlib

from thunderdl.formats.content_key import DIGEST_BYTES, LEAF_BYTES, subtree_root

_PREFIX = "bep52/"
_NO_LEAF = bytes(DIGEST_BYTES)


def subtree_algorithm(leaves: int) -> str:
    """The name of the algorithm for pieces of ``leaves`` leaves, a power of two."""
    return f"{_PREFIX}{leaves}"


def subtree_leaves(algorithm: str) -> int:
    """The leaves of a piece from the name of the algorithm; 0 where it is another algorithm."""
    count = algorithm.removeprefix(_PREFIX)
    return int(count) if count != algorithm and count.isdecimal() else 0


class SubtreeHasher:
    """Takes the bytes of one piece in order; a short last piece is filled up with leaves of zeros."""

    def __init__(self, leaves: int) -> None:
        self._leaves, self._digests = leaves, bytearray()
        self._leaf, self._in_leaf = hashlib.sha256(usedforsecurity=False), 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        view = memoryview(data)
        while view:
            part = view[: LEAF_BYTES - self._in_leaf]
            self._leaf.update(part)
            self._in_leaf += len(part)
            view = view[len(part) :]
            if self._in_leaf == LEAF_BYTES:
                self._close_leaf()

    def digest(self) -> bytes:
        tail = self._leaf.digest() if self._in_leaf else b""
        leaves = bytes(self._digests) + tail
        return subtree_root(leaves + _NO_LEAF * (self._leaves - len(leaves) // DIGEST_BYTES))

    def copy(self) -> SubtreeHasher:
        other = SubtreeHasher(self._leaves)
        other._digests, other._leaf, other._in_leaf = self._digests[:], self._leaf.copy(), self._in_leaf
        return other

    def _close_leaf(self) -> None:
        self._digests += self._leaf.digest()
        self._leaf, self._in_leaf = hashlib.sha256(usedforsecurity=False), 0
