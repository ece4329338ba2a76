"""Digests that a server states of what it sends (RFC 9530, RFC 3230).

Pure: text in, values out. A digest is reported only where it covers the whole representation as it will be saved;
what is malformed is passed over.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from thunderdl.formats.hashes import ALGORITHMS, canonical_algorithm
from thunderdl.formats.structured_fields import byte_members
from thunderdl.model import Digest

# Header name (lower case, no hyphens) -> hashlib name and digest length, strongest first. Checksums that are
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
_STRENGTH = [algorithm for algorithm, _ in _DIGEST_NAMES.values()]
_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def repr_digests(headers: Iterable[tuple[str, str]]) -> tuple[Digest, ...]:
    """The digests of the whole representation that a response gives, strongest first; empty where none is usable.

    Reads Repr-Digest (RFC 9530), else Digest (RFC 3230), else Content-MD5, for each algorithm. A malformed
    Repr-Digest is passed over as a whole, as RFC 9651 section 4.2 wants; so are unknown algorithms. Nothing is
    reported for a content-coded response: its digests cover the coded bytes. Content-MD5 is ignored beside
    Content-Range: it may cover the part alone (RFC 7231 appendix B). Content-Digest always covers the part sent
    and is never read; :mod:`thunderdl.formats.stated_digests` takes that, and much more, for what it is.
    """
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value)
    if any(value.strip().lower() not in ("", "identity") for value in lines.get("content-encoding", ())):
        return ()
    found = _certain(instance_digests(lines.get("digest", ())))
    found |= _certain(structured_digests(lines.get("repr-digest", ())))
    md5_lines = {value.strip() for value in lines.get("content-md5", ())}
    if len(md5_lines) == 1 and "content-range" not in lines and "md5" not in found:
        found |= _certain(filter(None, [base64_digest("md5", md5_lines.pop())]))
    return tuple(Digest(name, found[name]) for name in sorted(found, key=_STRENGTH.index))


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


def _certain(digests: Iterable[Digest]) -> dict[str, bytes]:
    """Two different values of one algorithm cancel each other out."""
    seen: dict[str, set[bytes]] = {}
    for digest in digests:
        seen.setdefault(digest.algorithm, set()).add(digest.value)
    return {algorithm: values.pop() for algorithm, values in seen.items() if len(values) == 1}


def base64_octets(coded: str) -> bytes | None:
    """Base64 with right, missing or surplus padding (RFC 9530 itself prints surplus in B.5), None for rubbish."""
    if not _BASE64.fullmatch(coded):
        return None
    digits = coded.rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return None
