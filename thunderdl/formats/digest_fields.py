"""Digests that a server states of what it sends (RFC 9530, RFC 3230).

Pure: text in, values out; what is malformed is passed over. What each of them covers is judged in
:mod:`thunderdl.formats.stated_digests`.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from thunderdl.formats.hashes import ALGORITHMS, canonical_algorithm
from thunderdl.formats.structured_fields import byte_members
from thunderdl.model import Digest

# Header name (lower case, no hyphens) -> hashlib name and digest length. Checksums that are
# no hash (adler, crc32c, unixsum) are left out.
_DIGEST_NAMES = {
    "sha512": ("sha512", 64),
    "sha384": ("sha384", 48),
    "sha256": ("sha256", 32),
    "sha224": ("sha224", 28),
    "sha1": ("sha1", 20),
    "sha": ("sha1", 20),
    "md5": ("md5", 16),
}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def structured_digests(lines: Iterable[str]) -> Iterator[Digest]:
    """Of Repr-Digest or Content-Digest (RFC 9530 section 2); none where the field is malformed anywhere."""
    for name, value in byte_members(lines).items():
        algorithm, length = _DIGEST_NAMES.get(name.replace("-", ""), ("", 0))
        if len(value) == length:
            yield Digest(algorithm, value)


def instance_digests(lines: Iterable[str]) -> Iterator[Digest]:
    """Of RFC 3230's ``SHA-256=base64,…``, two different values of one algorithm included."""
    for member in ",".join(lines).split(","):
        name, _, coded = member.partition("=")
        digest = base64_digest(name.strip(), coded.strip())
        if digest:
            yield digest


def base64_digest(name: str, coded: str) -> Digest | None:
    """One digest; None where the name is unknown or the value is not base64 of the right length."""
    algorithm, length = _DIGEST_NAMES.get(name.lower().replace("-", ""), ("", 0))
    value = base64_octets(coded)
    return Digest(algorithm, value) if algorithm and value is not None and len(value) == length else None


def hex_digest(name: str, digits: str) -> Digest | None:
    """One digest in hex; None where the name is unknown or the value is not hex of the right length."""
    try:
        algorithm = canonical_algorithm(name)
    except ValueError:
        return None
    is_whole = len(digits) == 2 * ALGORITHMS[algorithm] and _HEX.fullmatch(digits)
    return Digest(algorithm, bytes.fromhex(digits)) if is_whole else None


def base64_octets(coded: str) -> bytes | None:
    """Base64 with right, missing or surplus padding (RFC 9530 itself prints surplus in B.5), None for rubbish."""
    if not _BASE64.fullmatch(coded):
        return None
    digits = coded.rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return None
