"""Hash algorithms by name, checksums as people type them, and lists of piece hashes.

Pure: text and bytes in, values out. What the user typed wrongly is a UsageError of one sentence. An algorithm
is named here as hashlib names it (``sha256``, ``sha3_256``); ``blake3`` and ``ed2k`` are imported when first used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from thunderdl.errors import UsageError, printable
from thunderdl.formats.merkle import SubtreeHasher, subtree_leaves
from thunderdl.model import Digest, PieceHashes

#: Algorithm -> digest length in bytes. Of hashlib only what every build of Python has: ``sha512_256`` hangs on OpenSSL.
ALGORITHMS: Mapping[str, int] = MappingProxyType(
    {
        "md5": 16,
        "sha1": 20,
        "sha224": 28,
        "sha256": 32,
        "sha384": 48,
        "sha512": 64,
        "sha3_224": 28,
        "sha3_256": 32,
        "sha3_384": 48,
        "sha3_512": 64,
        "blake2b": 64,
        "blake2s": 32,
        "blake3": 32,
        "ed2k": 16,
    }
)
MAX_DIGESTS = 2**22
MIN_PIECE_BYTES = 2**10
MAX_PIECE_BYTES = 2**30

_BY_COMPACT_NAME = {name.replace("_", ""): name for name in ALGORITHMS} | {
    "sha": "sha1", "blake2b512": "blake2b", "blake2s256": "blake2s",
}  # fmt: skip
_BY_HEX_LENGTH = {64: "sha256", 128: "sha512", 40: "sha1", 32: "md5"}
# OpenSSL since 3.0 writes SHA2-256(name)= hex, and BLAKE2B-512.
_SHA2 = re.compile(r"sha2(224|256|384|512)")
_NAMED = re.compile(r"([^=:]*)[=:](.*)", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]+")
_NUMBER = re.compile(r"[0-9]{1,10}")


class Hasher(Protocol):
    """Takes bytes in order, gives their digest; what hashlib and blake3 make."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object: ...

    def digest(self) -> bytes: ...

    def copy(self) -> Hasher: ...


def canonical_algorithm(name: str) -> str:
    """hashlib's name, or ``blake3``, for any spelling (SHA-256, sha_256); ValueError with the list otherwise."""
    compact = _SHA2.sub(r"sha\1", re.sub(r"[-_/ ]", "", name.strip().lower()))
    try:
        return _BY_COMPACT_NAME[compact]
    except KeyError:
        raise ValueError(
            f"{printable(name)[:40]!r} is not a hash algorithm known here ({', '.join(ALGORITHMS)})"
        ) from None


def common_name(algorithm: str) -> str:
    """The spelling for people and headers: ``sha-256``, ``sha3-256``, ``blake3``."""
    if algorithm.startswith("sha") and "_" not in algorithm:
        return f"sha-{algorithm[3:]}"
    return algorithm.replace("_", "-")


def new_hasher(algorithm: str) -> Hasher:
    """A fresh hasher for a canonical name; ValueError for any other."""
    if leaves := subtree_leaves(algorithm):
        return SubtreeHasher(leaves)
    if algorithm not in ALGORITHMS:
        raise ValueError(f"{printable(algorithm)[:40]!r} is not a canonical algorithm name")
    if algorithm == "ed2k":
        from thunderdl.formats.ed2k_hash import Ed2kHasher

        return Ed2kHasher()
    if algorithm == "blake3":
        import blake3

        return blake3.blake3()
    # Builds under FIPS refuse md5 and sha1 without this; here they tell damage, not attack.
    return hashlib.new(algorithm, usedforsecurity=False)


def parse_checksum(text: str) -> Digest:
    """A digest typed as ``ALGO=HEX``, ``ALGO:HEX`` or bare hex of 32, 40, 64 or 128 digits; UsageError otherwise."""
    trimmed = text.strip()
    named = _NAMED.fullmatch(trimmed)
    if named is None:
        algorithm = _BY_HEX_LENGTH.get(len(trimmed)) if _HEX.fullmatch(trimmed) else None
        if algorithm is None:
            raise UsageError(
                f"{_shown(text)} is not a checksum; write it as ALGO=HEX, "
                f"with one of {', '.join(map(common_name, ALGORITHMS))}."
            )
        return Digest(algorithm, bytes.fromhex(trimmed))
    algorithm = _user_algorithm(named[1])
    return Digest(algorithm, _user_digest(algorithm, named[2].strip()))


def parse_piece_hashes(text: str) -> PieceHashes:
    """Piece hashes from JSON or from plain lines; UsageError that says what is wrong otherwise.

    JSON: ``{"algorithm": "sha-256", "piece_length": 1048576, "digests": ["hex", …]}``. Plain: a line
    ``sha-256 1048576``, then one hex digest a line; empty lines and what follows ``#`` are passed over.
    Pieces are 1 KiB … 1 GiB, at most 2^22 of them.
    """
    return _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)


def format_piece_hashes(pieces: PieceHashes) -> str:
    """The plain form, which :func:`parse_piece_hashes` reads back to an equal value."""
    head = f"{common_name(pieces.algorithm)} {pieces.piece_length}"
    return "\n".join([head, *(digest.hex() for digest in pieces.digests), ""])


def _from_json(text: str) -> PieceHashes:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("The piece hashes begin like JSON and are not JSON.") from error
    algorithm, piece_length, digests = (table.get(key) for key in ("algorithm", "piece_length", "digests"))
    if not isinstance(algorithm, str) or type(piece_length) is not int or not isinstance(digests, list):
        raise UsageError("Piece hashes in JSON need the keys algorithm (text), piece_length (bytes), digests (list).")
    if len(digests) > MAX_DIGESTS or not all(isinstance(digest, str) for digest in digests):
        raise UsageError(f"The digests must be at most {MAX_DIGESTS} texts of hex.")
    return _checked(algorithm, piece_length, digests)


def _from_lines(text: str) -> PieceHashes:
    lines = [line for raw in text.split("\n") if (line := raw.partition("#")[0].strip())]
    head = lines[0].split() if lines else []
    if len(head) != 2 or not _NUMBER.fullmatch(head[1]):
        raise UsageError("Piece hashes must begin with a line such as 'sha-256 1048576', algorithm and bytes a piece.")
    return _checked(head[0], int(head[1]), lines[1:])


def _checked(name: str, piece_length: int, digests: list[str]) -> PieceHashes:
    algorithm = _user_algorithm(name)
    if not MIN_PIECE_BYTES <= piece_length <= MAX_PIECE_BYTES:
        raise UsageError(f"A piece length of {piece_length} bytes is not within 1 KiB and 1 GiB.")
    if not 1 <= len(digests) <= MAX_DIGESTS:
        raise UsageError(f"There are {len(digests)} piece hashes; there must be 1 to {MAX_DIGESTS}.")
    return PieceHashes(
        algorithm=algorithm,
        piece_length=piece_length,
        digests=tuple(_user_digests(algorithm, digests)),
    )


def _user_digests(algorithm: str, digests: Iterable[str]) -> Iterable[bytes]:
    for number, digest in enumerate(digests, 1):
        try:
            yield _user_digest(algorithm, digest)
        except UsageError as error:
            raise UsageError(f"Piece hash {number}: {error}") from error


def _user_algorithm(name: str) -> str:
    try:
        return canonical_algorithm(name)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _user_digest(algorithm: str, digits: str) -> bytes:
    expected = 2 * ALGORITHMS[algorithm]
    if len(digits) != expected:
        raise UsageError(
            f"A {common_name(algorithm)} digest has {expected} hex digits; {_shown(digits)} has {len(digits)}."
        )
    if not _HEX.fullmatch(digits):
        raise UsageError(f"{_shown(digits)} is not hex.")
    return bytes.fromhex(digits)


def _shown(text: str) -> str:
    return repr(printable(text if len(text) <= 48 else text[:45] + "..."))
