"""Digests that a server states of what it sends (RFC 9530, RFC 3230).

Pure: text in, values out. A digest is reported only where it covers the whole representation as it will be saved;
what is malformed is passed over.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

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
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
# A member of a structured dictionary (RFC 9651 section 3.2) that is a byte sequence, perhaps with parameters;
# keys are lower case there. A quoted parameter may hold a comma.
_SF_MEMBER = re.compile(r'(?:[^",]++|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))+')
_SF_BYTES = re.compile(r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([^:]*):[ \t]*(?:;.*)?")


def repr_digests(headers: Iterable[tuple[str, str]]) -> tuple[Digest, ...]:
    """The digests of the whole representation that a response gives, strongest first; empty where none is usable.

    Reads Repr-Digest (RFC 9530), else Digest (RFC 3230), else Content-MD5, for each algorithm. Malformed
    members and unknown algorithms are passed over. Nothing is reported for a content-coded response: its
    digests cover the coded bytes. Content-MD5 is ignored beside Content-Range: it may cover the part alone
    (RFC 7231 appendix B). Content-Digest always covers the part sent and is never read.
    """
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value)
    if any(value.strip().lower() not in ("", "identity") for value in lines.get("content-encoding", ())):
        return ()
    found = dict(_structured_digests(lines.get("repr-digest", ())))
    found = _instance_digests(lines.get("digest", ())) | found
    md5_lines = {value.strip() for value in lines.get("content-md5", ())}
    if len(md5_lines) == 1 and "content-range" not in lines and "md5" not in found:
        found.update(_digest_member("md5", md5_lines.pop()))
    return tuple(Digest(name, found[name]) for name in sorted(found, key=_STRENGTH.index))


def _structured_digests(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for member in _SF_MEMBER.findall(", ".join(lines)):
        parts = _SF_BYTES.fullmatch(member)
        if parts:
            yield from _digest_member(parts[1], parts[2]).items()


def _instance_digests(lines: Iterable[str]) -> dict[str, bytes]:
    """RFC 3230 ``SHA-256=base64,…``; two different values of one algorithm cancel each other out."""
    seen: dict[str, set[bytes]] = {}
    for member in ",".join(lines).split(","):
        name, _, coded = member.partition("=")
        for algorithm, value in _digest_member(name.strip(), coded.strip()).items():
            seen.setdefault(algorithm, set()).add(value)
    return {algorithm: values.pop() for algorithm, values in seen.items() if len(values) == 1}


def _digest_member(name: str, coded: str) -> dict[str, bytes]:
    """One digest, or nothing where the name is unknown or the value is not base64 of the right length."""
    algorithm, length = _DIGEST_NAMES.get(name.lower().replace("-", ""), ("", 0))
    value = base64_octets(coded)
    return {algorithm: value} if algorithm and value is not None and len(value) == length else {}


def base64_octets(coded: str) -> bytes | None:
    """Base64 with right, missing or surplus padding (RFC 9530 itself prints surplus in B.5), None for rubbish."""
    if not _BASE64.fullmatch(coded):
        return None
    digits = coded.rstrip("=")
    try:
        return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
    except binascii.Error:
        return None
