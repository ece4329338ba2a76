"""The content key: length and BEP 52 ``pieces root``, the name of a file by its bytes alone.

The root is that of a binary Merkle tree over SHA-256 of 16 KiB leaves. The tree has a power of two of
leaves; those beyond the end of the file are 32 zero bytes (BEP 52, "pieces root"). The last leaf is
hashed as short as it is, it is not filled up.

A granule is an aligned subtree of ``leaves_per_granule`` leaves (a power of two), so that lanes can hash
what they have in hand in any order. A file whose own tree is smaller than a granule has one granule, and
that is as high as the file's tree: :func:`granule_root` knows the length for this reason.

Must not read files or start threads: the callers do.
"""

from __future__ import annotations

import hashlib

from thunderdl.model import ContentKey

LEAF_BYTES = 16 * 1024
DIGEST_BYTES = 32
LEAVES_PER_GRANULE = 64
"""A granule of 1 MiB: as much as a mover's buffer holds."""

_NO_LEAF = bytes(DIGEST_BYTES)


def leaf_digests(view: memoryview) -> bytes:
    """The SHA-256 of each leaf of ``view``, one after the other, 32 bytes each.

    ``view``: bytes that start at a leaf boundary. Only the last leaf of a file may be short.
    """
    # Measured over 512 MiB in warm 1 MiB buffers, one | two threads: copies of an empty hash 0.317 | 0.165 s,
    # a new hashlib.sha256 each 0.332 | 0.215 s (OpenSSL looks the algorithm up again each time), one hash of
    # the whole buffer 0.298 | 0.152 s. So giving up the GIL for each leaf costs 2 %: it needs no larger step.
    fresh = hashlib.sha256(usedforsecurity=False).copy
    digests = []
    for start in range(0, len(view), LEAF_BYTES):
        leaf = fresh()
        leaf.update(view[start : start + LEAF_BYTES])
        digests.append(leaf.digest())
    return b"".join(digests)


def tree_leaves(length: int) -> int:
    """How many leaves the whole tree of a file of ``length`` bytes has, padding included: a power of two."""
    leaves = -(-length // LEAF_BYTES)
    return 1 << max(leaves - 1, 0).bit_length()


def granule_count(length: int, leaves_per_granule: int = LEAVES_PER_GRANULE) -> int:
    """How many granules hold bytes of a file of ``length`` bytes."""
    return -(-length // (leaves_per_granule * LEAF_BYTES))


def subtree_root(leaves: bytes) -> bytes:
    """The root over concatenated digests; ValueError unless their number is a power of two."""
    count, rest = divmod(len(leaves), DIGEST_BYTES)
    if rest or count < 1 or count & (count - 1):
        raise ValueError(f"{len(leaves)} bytes are no power of two of digests")
    level = leaves
    while len(level) > DIGEST_BYTES:
        level = _parents(level)
    return level


def granule_root(leaves: bytes, length: int, leaves_per_granule: int = LEAVES_PER_GRANULE) -> bytes:
    """The root of a granule that lies in a file of ``length`` bytes, with the padding that BEP 52 wants.

    ``leaves``: all digests of the granule, fewer than ``leaves_per_granule`` only at the end of the file.
    """
    wanted = min(_checked(leaves_per_granule), tree_leaves(length))
    return subtree_root(leaves + _NO_LEAF * (wanted - len(leaves) // DIGEST_BYTES))


def root_from_subtrees(roots: bytes, length: int, leaves_per_granule: int = LEAVES_PER_GRANULE) -> bytes:
    """The ``pieces root`` of a file from the concatenated roots of all its granules, in order.

    An empty file has no root in BEP 52: it gets 32 zero bytes, as libtorrent shows it.
    ValueError where the number of roots does not fit the length.
    """
    wanted = granule_count(length, _checked(leaves_per_granule))
    if len(roots) != wanted * DIGEST_BYTES:
        raise ValueError(f"{len(roots)} bytes of roots for {wanted} granules")
    if not wanted:
        return _NO_LEAF
    padding = subtree_root(_NO_LEAF * leaves_per_granule)
    level = roots
    while len(level) > DIGEST_BYTES:
        if len(level) // DIGEST_BYTES % 2:
            level += padding
        level = _parents(level)
        padding = _parents(padding * 2)
    return level


def content_key(length: int, roots: bytes, leaves_per_granule: int = LEAVES_PER_GRANULE) -> ContentKey:
    """The key of a file of ``length`` bytes; the other arguments as for :func:`root_from_subtrees`."""
    return ContentKey(length, root_from_subtrees(roots, length, leaves_per_granule))


def _parents(level: bytes) -> bytes:
    sha256 = hashlib.sha256
    pair = 2 * DIGEST_BYTES
    return b"".join([sha256(level[at : at + pair]).digest() for at in range(0, len(level), pair)])


def _checked(leaves_per_granule: int) -> int:
    if leaves_per_granule < 1 or leaves_per_granule & (leaves_per_granule - 1):
        raise ValueError(f"{leaves_per_granule} leaves a granule: not a power of two")
    return leaves_per_granule
