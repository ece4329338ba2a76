"""Every digest that an answer's headers, or a URL's fragment, state of a file, each taken for what it is.

Pure; never raises. Whether the server is to be believed (over TLS, trust level E3) is not decided here. Rules:

- of a content-coded answer nothing is taken: the digests cover the coded bytes (bad-inputs I12);
- a digest of the message's body is one of the file only where the body is the whole file;
- composite checksums of S3 (``…-N``) are digests of digests of parts, and of no bytes that anyone has;
- two digests of one algorithm that differ are a disagreement: neither is handed on.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thunderdl.formats.digest_fields import (
    base64_digest,
    base64_octets,
    hex_digest,
    instance_digests,
    structured_digests,
)
from thunderdl.formats.hashes import ALGORITHMS, canonical_algorithm
from thunderdl.formats.http_headers import MAX_LENGTH_BYTES
from thunderdl.formats.link_header import parse_links
from thunderdl.formats.strength import strength_rank
from thunderdl.model import Digest

#: What to ask for. sha-256 first: it is what torrents and mirrors can be checked by, too.
WANT_REPR_DIGEST = ("Want-Repr-Digest", "sha-256=10, sha-512=5")

_WHOLE = frozenset([200, 203])
_REDIRECTS = frozenset([301, 302, 303, 307, 308])
_LONGEST = 4096
_DIGITS = re.compile(r"[0-9]{1,19}")
_ENTITY_TAG = re.compile(r'"?([0-9A-Fa-f]{64})"?')
# Checksums for which Python has no function: shown, and not checked. Base64, bytes of the value.
_CHECKSUM_BYTES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8}
_HEX_FIELDS = {
    "x-checksum-md5": "md5",  # Artifactory, Maven Central
    "x-checksum-sha1": "sha1",
    "x-checksum-sha256": "sha256",
    "x-checksum-sha512": "sha512",
    "x-bz-content-sha1": "sha1",  # Backblaze B2
}
_NAMED_FIELDS = ("docker-content-digest", "oc-checksum")
# conda's lock files write the digest alone, without its name.
_BARE = {32: "md5", 64: "sha256"}
_PAIR = re.compile(r"([A-Za-z0-9_-]{3,12})[=:]([0-9A-Fa-f]+)")
_NAMED_PART = re.compile(r"([A-Za-z0-9_-]{3,12})[=:]")


class Covers(enum.Enum):
    """``FILE``: the whole file. ``BODY``: what this one message carries, a part of the file."""

    FILE = "file"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedDigest:
    """``field``: the header, or ``URL``, that says so."""

    digest: Digest
    field: str
    covers: Covers = Covers.FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """``digests``: at least two different ones of this algorithm, said of the same bytes."""

    algorithm: str
    digests: tuple[StatedDigest, ...]

    def __str__(self) -> str:
        told = ", ".join(f"{one.field} says {one.digest.value.hex()[:16]}" for one in self.digests[:4])
        return f"two {self.algorithm} digests of the same file differ ({told})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """``digests``: strongest first, one for each algorithm and extent. ``checksums``: CRCs, which prove little and
    which nothing here computes. ``size``: of the file in bytes, where a header beside the digest states it."""

    digests: tuple[StatedDigest, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    checksums: tuple[StatedDigest, ...] = ()
    size: int | None = None

    @property
    def of_file(self) -> tuple[Digest, ...]:
        """What the whole file must have, strongest first."""
        return tuple(one.digest for one in self.digests if one.covers is Covers.FILE)

    @property
    def of_body(self) -> tuple[Digest, ...]:
        """What the part in this answer must have, strongest first."""
        return tuple(one.digest for one in self.digests if one.covers is Covers.BODY)


def stated_digests(headers: Iterable[tuple[str, str]], *, status: int, method: str = "GET") -> Statement:
    """What an answer's headers state of the file; of a redirect those that speak of what it leads to.

    Malformed fields, unknown algorithms and answers of other kinds (errors, 304) state nothing.
    """
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value[:_LONGEST].strip(" \t"))
    if status in _REDIRECTS:
        found = list(_of_redirect(lines))
    elif (status in _WHOLE or status == 206) and not _is_coded(lines):
        found = list(_of_answer(lines, status, method))
    else:
        found = []
    return judged(found, _linked_size(lines) if status in _REDIRECTS or status in _WHOLE else None)


def fragment_digests(url: str) -> tuple[Digest, ...]:
    """Digests after a URL's ``#``, strongest first: ``sha256=…`` of package indexes, ``sha256:…`` or bare hex of conda.

    Two that differ are neither handed on.
    """
    fragment = url.partition("#")[2]
    if len(fragment) > _LONGEST:
        return ()
    found = []
    for part in fragment.split("&"):
        pair = _PAIR.fullmatch(part)
        digest = hex_digest(pair[1], pair[2]) if pair else hex_digest(_BARE.get(len(part), ""), part)
        if digest:
            found.append(StatedDigest(digest=digest, field="URL"))
    return judged(found).of_file


def unreadable_digest(url: str) -> tuple[str | None, str] | None:
    """The first part after a URL's ``#`` that begins as a digest and is none, with its algorithm; or, with None, one
    that another of its algorithm contradicts. None where all can be read."""
    seen: dict[str, Digest] = {}
    for part in url.partition("#")[2][:_LONGEST].split("&"):
        if (named := _NAMED_PART.match(part)) is None:
            continue
        try:
            algorithm = canonical_algorithm(named[1])
        except ValueError:
            continue
        if (digest := hex_digest(algorithm, part[named.end() :])) is None:
            return algorithm, part
        if seen.setdefault(algorithm, digest) != digest:
            return None, part
    return None


def judged(found: Iterable[StatedDigest], size: int | None = None) -> Statement:
    """What of it is certain, what is contradicted, and what are mere checksums."""
    groups: dict[tuple[str, Covers], dict[bytes, StatedDigest]] = {}
    for one in found:
        groups.setdefault((one.digest.algorithm, one.covers), {}).setdefault(one.digest.value, one)
    certain: list[StatedDigest] = []
    differing: list[Disagreement] = []
    for (algorithm, _), values in groups.items():
        if len(values) == 1:
            certain.extend(values.values())
        else:
            differing.append(Disagreement(algorithm=algorithm, digests=tuple(values.values())))
    certain.sort(key=lambda one: strength_rank(one.digest.algorithm))
    return Statement(
        digests=tuple(one for one in certain if one.digest.algorithm in ALGORITHMS),
        checksums=tuple(one for one in certain if one.digest.algorithm not in ALGORITHMS),
        disagreements=tuple(differing),
        size=size,
    )


def combined(statements: Iterable[Statement]) -> Statement:
    """Several statements about one file as one: what they differ in is certain in none. Sizes that differ are none."""
    every = list(statements)
    said = [one for each in every for one in (*each.digests, *each.checksums)]
    said += [one for each in every for differing in each.disagreements for one in differing.digests]
    sizes = {each.size for each in every if each.size is not None}
    return judged(said, sizes.pop() if len(sizes) == 1 else None)


Lines = dict[str, list[str]]


def _of_redirect(lines: Lines) -> Iterator[StatedDigest]:
    """Repr-Digest of a redirect is that of its own little page; these are of the file it leads to."""
    yield from _linked(lines)
    yield from _named(lines)
    # Metalink servers state them in the redirect to a mirror (RFC 6249 section 4); others mean the page.
    if any(
        link.has_relation("duplicate") or link.has_relation("describedby")
        for link in parse_links(lines.get("link", ()))
    ):
        yield from _stated("Digest", instance_digests(lines.get("digest", ())))


def _of_answer(lines: Lines, status: int, method: str) -> Iterator[StatedDigest]:
    yield from _stated("Repr-Digest", structured_digests(lines.get("repr-digest", ())))
    yield from _stated("Digest", instance_digests(lines.get("digest", ())))
    yield from _linked(lines)
    yield from _named(lines)
    yield from _hex_fields(lines)
    yield from _google(lines)
    is_whole = status in _WHOLE and "content-range" not in lines
    if method.upper() == "GET":  # an answer to HEAD has an empty body, and that is what it would be the digest of
        covers = Covers.FILE if is_whole else Covers.BODY
        yield from _stated("Content-Digest", structured_digests(lines.get("content-digest", ())), covers)
    if is_whole:
        # Content-MD5 beside a range may cover that alone (RFC 7231 appendix B), and S3 states checksums of parts.
        md5 = (base64_digest("md5", value) for value in lines.get("content-md5", ()))
        yield from _stated("Content-MD5", filter(None, md5))
        yield from _amazon(lines)


def _stated(field: str, digests: Iterable[Digest], covers: Covers = Covers.FILE) -> Iterator[StatedDigest]:
    return (StatedDigest(digest=digest, field=field, covers=covers) for digest in digests)


def _linked(lines: Lines) -> Iterator[StatedDigest]:
    """Hugging Face: sha-256 of what lies in large file storage; a git blob's sha-1 has 40 digits and covers more."""
    tags = (_ENTITY_TAG.fullmatch(value) for value in lines.get("x-linked-etag", ()))
    yield from _stated("X-Linked-ETag", (Digest("sha256", bytes.fromhex(tag[1])) for tag in tags if tag))


def _linked_size(lines: Lines) -> int | None:
    values = set(lines.get("x-linked-size", ()))
    text = values.pop() if len(values) == 1 else ""
    return size if _DIGITS.fullmatch(text) and (size := int(text)) <= MAX_LENGTH_BYTES else None


def _named(lines: Lines) -> Iterator[StatedDigest]:
    """``sha256:hex`` of OCI registries, ``SHA1:hex`` of ownCloud."""
    for field in _NAMED_FIELDS:
        for value in lines.get(field, ()):
            name, _, digits = value.partition(":")
            if digest := hex_digest(name, digits):
                yield StatedDigest(digest=digest, field=_shown(field))


def _hex_fields(lines: Lines) -> Iterator[StatedDigest]:
    for field, algorithm in _HEX_FIELDS.items():
        for value in lines.get(field, ()):
            if digest := hex_digest(algorithm, value):
                yield StatedDigest(digest=digest, field=_shown(field))


def _google(lines: Lines) -> Iterator[StatedDigest]:
    """``x-goog-hash: crc32c=…,md5=…``, of the object as it is stored, perhaps coded."""
    if _is_coded(lines, "x-goog-stored-content-encoding"):
        return
    for member in ",".join(lines.get("x-goog-hash", ())).split(","):
        name, _, coded = member.strip().partition("=")
        if digest := base64_digest(name, coded) or _checksum(name, coded):
            yield StatedDigest(digest=digest, field="x-goog-hash")


def _amazon(lines: Lines) -> Iterator[StatedDigest]:
    kinds = {kind.upper() for kind in lines.get("x-amz-checksum-type", ())}
    if not kinds <= {"FULL_OBJECT"}:
        return
    prefix = "x-amz-checksum-"
    for field, values in lines.items():
        name = field.removeprefix(prefix)
        if name == field:
            continue
        for value in values:  # "…-N" is no base64, so composite ones fall out here
            if digest := base64_digest(name, value) or _checksum(name, value):
                yield StatedDigest(digest=digest, field=field)


def _checksum(name: str, coded: str) -> Digest | None:
    value = base64_octets(coded)
    return Digest(name.lower(), value) if value and _CHECKSUM_BYTES.get(name.lower()) == len(value) else None


def _is_coded(lines: Lines, field: str = "content-encoding") -> bool:
    members = (part.strip().lower() for value in lines.get(field, ()) for part in value.split(","))
    return any(member not in ("", "identity") for member in members)


def _shown(field: str) -> str:
    return "-".join(part.capitalize() for part in field.split("-"))
