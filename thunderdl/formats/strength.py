"""How much each hash algorithm proves, in one order for all who list digests.

Pure. Strong means: nobody can make other bytes with the same digest on purpose, so that strangers may deliver them
(trust level E3). md5 and sha1 tell damage, not attack: collisions of both are made at will (RFC 6194, RFC 6151).
"""

from __future__ import annotations

from collections.abc import Iterable

from thunderdl.model import Digest

#: Strongest first; of equal length the ones that mirrors mostly state come first.
STRENGTH = (
    "sha512", "sha3_512", "blake2b", "sha384", "sha3_384", "sha256", "sha3_256", "blake3", "blake2s",
    "sha224", "sha3_224", "sha1", "md5",
)  # fmt: skip
WEAK = frozenset(["sha1", "md5", "ed2k"])
_RANK = {algorithm: rank for rank, algorithm in enumerate(STRENGTH)}


def strength_rank(algorithm: str) -> int:
    """0 for the strongest; what is unknown ranks last."""
    return _RANK.get(algorithm, len(_RANK))


def strongest_first(digests: Iterable[Digest]) -> tuple[Digest, ...]:
    """The same digests, the strongest first; equals keep their order."""
    return tuple(sorted(digests, key=lambda digest: strength_rank(digest.algorithm)))


def is_strong(algorithm: str) -> bool:
    """Whether a digest of this algorithm lets strangers deliver the bytes."""
    return algorithm in _RANK and algorithm not in WEAK
