"""The journal's file format: records to bytes and back. No I/O, no clock, no decisions.

A journal is the 8 bytes of the magic and the version, then records, each of them
``length:u32 type:u8 payload crc:u32`` (little-endian). The first record is the header.

Invariants:
1. The checksum of a record is the CRC-32 of its frame, seeded with the checksum of the record before it.
   So a record counts only behind exactly those it was written behind: a hole in the middle, or stale bytes
   of an earlier tail, end the journal there (SQLite's WAL chains its checksums for the same reason).
2. Reading stops at the first record that is torn, unknown or out of range. What stands before it is kept.
3. A journal is data from anybody: every value is checked, it holds no path that is used, and whatever the
   bytes are, :func:`decode` returns a :class:`Decoded` or raises JournalUnusable, nothing else.
4. No user name and no password of a URL is ever in a record.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from thunderdl.core.ranges import latest
from thunderdl.errors import JournalUnusable, without_userinfo

MAGIC = b"TDLJNL"
VERSION = 1
MAX_JSON_BYTES = 1 << 20
MAX_OFFSET = (1 << 63) - 1

_OPENING = struct.Struct("<6sH")
_FRAME = struct.Struct("<IB")
_CRC = struct.Struct("<I")
_EXTENT = struct.Struct("<QQ")
_FILLED = struct.Struct("<QQ8s")
_REACH = struct.Struct("<Q")
_FILLED_FRAME = struct.Struct("<IBQQ8sI")
_OVERHEAD = _FRAME.size + _CRC.size
PADDING_MIN_BYTES = _OVERHEAD

_T_HEADER, _T_FILLED, _T_BARRIER, _T_DROPPED, _T_VERIFIED, _T_SOURCES, _T_KEPT, _T_PADDING, _T_RENEWED = range(1, 10)


class JournalDamaged(JournalUnusable):
    """Not even the header can be read: nothing is known of the part file, begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceFacts:
    """Which piece hashes were given: ``digest`` is that of the concatenated digests, in hex."""

    algorithm: str
    piece_length: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the download is. User names and passwords are cut out of the URLs.

    ``size``: bytes, None while unknown. ``checksum``: ``algorithm=hex`` or None. ``boot_id``: of the machine's
    start during which the records were written, empty where unknown. ``created``: seconds since 1970.
    ``granule_bytes``: the smallest unit that the scheduler gives out. ``renewed_url``: what took the place of ``url``,
    which had expired; it is kept beside it, since what the user gives for the one's origin is not for the other's.
    """

    url: str
    mirrors: tuple[str, ...] = ()
    name: str = ""
    size: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    checksum: str | None = None
    piece_hash: PieceFacts | None = None
    boot_id: str = ""
    created: int = 0
    granule_bytes: int = 0
    renewed_url: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", without_userinfo(self.url))
        if self.renewed_url is not None:
            object.__setattr__(self, "renewed_url", without_userinfo(self.renewed_url))
        object.__setattr__(self, "mirrors", tuple(map(without_userinfo, self.mirrors)))


@dataclass(frozen=True, slots=True)
class Filled:
    """``[start, end)`` of the part file was written; ``digest``: the 8 bytes of xxh3_64 of exactly these bytes."""

    start: int
    end: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """``[start, end)`` was written, and no digest of exactly these bytes is known (the rest of a cut extent)."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """All bytes of the records that end at or before ``reach`` are on the disk.

    ``reach``: offset in the journal. The default means every record before this one; a barrier whose
    fdatasync ran beside further writes gives the offset that was the journal's end before the fdatasync.
    """

    reach: int = MAX_OFFSET


@dataclass(frozen=True, slots=True)
class Dropped:
    """``[start, end)`` is void: bad bytes, changed content, or lost by a failed fsync."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verified:
    """``[start, end)`` was checked against a hash that was given; void once filled again or dropped."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Bytes that each source has served so far, as (URL, bytes); the last such record counts."""

    served: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "served", tuple((without_userinfo(url), count) for url, count in self.served))


@dataclass(frozen=True, slots=True)
class Renewed:
    """``url``, the header's, had expired; ``fresh`` was found to have the same bytes. The last such record counts."""

    url: str
    fresh: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", without_userinfo(self.url))
        object.__setattr__(self, "fresh", without_userinfo(self.fresh))


@dataclass(frozen=True, slots=True)
class Padding:
    """Says nothing; takes ``size_bytes`` in the journal, at least PADDING_MIN_BYTES."""

    size_bytes: int


_RANGE_KIND_OF: dict[type, int] = {Kept: _T_KEPT, Dropped: _T_DROPPED, Verified: _T_VERIFIED}
_RANGE_KINDS = frozenset(_RANGE_KIND_OF.values())

Record = Header | Filled | Kept | Barrier | Dropped | Verified | Sources | Renewed | Padding


class Extent(NamedTuple):
    """``[start, end)`` of the part file. ``digest``: None where it is the rest of a cut extent.

    ``durable``: a barrier stands behind it, its bytes are on the disk.
    """

    start: int
    end: int
    digest: bytes | None
    durable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a journal says. ``extents`` are sorted and disjoint, ``verified`` too.

    ``good_bytes``: where the first bad record begins, or the length; ``checksum``: the seed of the next record.
    """

    header: Header
    extents: tuple[Extent, ...]
    verified: tuple[tuple[int, int], ...]
    served: Mapping[str, int]
    good_bytes: int
    checksum: int


def opening(header: Header) -> tuple[bytes, int]:
    """The first bytes of a journal: magic, version and the header; and the checksum that seeds the next record."""
    start = _OPENING.pack(MAGIC, VERSION)
    body, checksum = encode([header], zlib.crc32(start))
    return start + body, checksum


def encode(records: Iterable[Record], checksum: int) -> tuple[bytes, int]:
    """The records as bytes, to stand behind the one with this checksum; and the checksum of the last one.

    Raises ValueError for a range, digest or header that :func:`decode` would refuse.
    """
    out = bytearray()
    for record in records:
        kind, payload = _payload(record)
        frame = _FRAME.pack(len(payload), kind) + payload
        checksum = zlib.crc32(frame, checksum)
        out += frame
        out += _CRC.pack(checksum)
    return bytes(out), checksum


def compacted(
    header: Header, extents: Iterable[Extent], verified: Iterable[tuple[int, int]] = (), served: Mapping[str, int] = {}
) -> list[Record]:
    """The fewest records that say the same: what a compaction writes.

    Extents that are not durable stay behind the barrier. With the boot id of another start in ``header`` only
    extents that were read back may be given: those of an earlier start would count as of this one.
    """
    durable: list[Record] = []
    later: list[Record] = []
    for extent in extents:
        into = durable if extent.durable else later
        if extent.digest is None:
            into.append(Kept(extent.start, extent.end))
        else:
            into.append(Filled(extent.start, extent.end, extent.digest))
    barrier: list[Record] = [Barrier()] if durable else []
    sources: list[Record] = [Sources(tuple(served.items()))] if served else []
    return [header, *durable, *barrier, *later, *(Verified(*pair) for pair in verified), *sources]


def decode(data: bytes, path: str = "journal") -> Decoded:
    """Read a journal up to its first bad record. ``path`` is for the messages alone.

    Raises JournalUnusable where it is not a journal or of a newer version, JournalDamaged where
    not even its header is whole.
    """
    _check_opening(data, path)
    at, checksum = _OPENING.size, zlib.crc32(data[: _OPENING.size])
    first = _frame_at(data, at, checksum)
    header = _header(first.payload) if first is not None and first.kind == _T_HEADER else None
    if first is None or header is None:
        raise JournalDamaged(path, "the journal's header is damaged", "the download begins anew")
    reading = _Reading(header.size if header.size is not None else MAX_OFFSET)
    at, checksum = reading.read(data, first.end, first.checksum)
    fresh = reading.renewed.get(header.url)
    return Decoded(
        header=header if fresh is None else replace(header, renewed_url=fresh),
        extents=tuple(reading.extents()),
        verified=tuple(reading.verified()),
        served=reading.served,
        good_bytes=at,
        checksum=checksum,
    )


class _Frame(NamedTuple):
    kind: int
    payload: bytes
    checksum: int
    end: int


def _frame_at(data: bytes, at: int, checksum: int) -> _Frame | None:
    if at + _OVERHEAD > len(data):
        return None
    length, kind = _FRAME.unpack_from(data, at)
    crc_at = at + _FRAME.size + length
    if length > MAX_JSON_BYTES or crc_at + _CRC.size > len(data):
        return None
    checksum = zlib.crc32(data[at:crc_at], checksum)
    if _CRC.unpack_from(data, crc_at)[0] != checksum:
        return None
    return _Frame(kind, data[at + _FRAME.size : crc_at], checksum, crc_at + _CRC.size)


class _Reading:
    """The records after the header, gathered; what they amount to is worked out when all are there."""

    def __init__(self, size: int) -> None:
        self.size = size
        # Of each record that speaks of a range, in order: the range; then kind, end in the journal, digest.
        self.spans: list[tuple[int, int]] = []
        self.told: list[tuple[int, int, bytes | None]] = []
        self.durable_to = 0
        self.served: dict[str, int] = {}
        self.renewed: dict[str, str] = {}

    def read(self, data: bytes, at: int, checksum: int) -> tuple[int, int]:
        """Gather until the first bad record: its offset, and the checksum of the last good one."""
        # The loop of a 1 TB download runs 65,536 times: Filled, by far the most of them, is read without a call.
        unpack, crc32, spans, told, size = _FILLED_FRAME.unpack_from, zlib.crc32, self.spans, self.told, self.size
        whole, covered, view, last = _FILLED_FRAME.size, _FILLED_FRAME.size - _CRC.size, memoryview(data), len(data)
        while True:
            if at + whole <= last:
                length, kind, start, end, digest, crc = unpack(data, at)
                if kind == _T_FILLED and length == _FILLED.size:
                    found = crc32(view[at : at + covered], checksum)
                    if found != crc or not start < end <= size:
                        return at, checksum
                    at, checksum = at + whole, found
                    spans.append((start, end))
                    told.append((kind, at, digest))
                    continue
            frame = _frame_at(data, at, checksum)
            if frame is None or not self._take(frame, at):
                return at, checksum
            at, checksum = frame.end, frame.checksum

    def _take(self, frame: _Frame, at: int) -> bool:
        """Whether the record makes sense; it is taken in then."""
        if frame.kind in _RANGE_KINDS and len(frame.payload) == _EXTENT.size:
            start, end = _EXTENT.unpack(frame.payload)
            if not start < end <= self.size:
                return False
            self.spans.append((start, end))
            self.told.append((frame.kind, frame.end, None))
            return True
        if frame.kind == _T_BARRIER and len(frame.payload) == _REACH.size:
            (reach,) = _REACH.unpack(frame.payload)
            self.durable_to = max(self.durable_to, min(reach, at))
            return True
        if frame.kind == _T_SOURCES:
            served = _served(frame.payload)
            self.served = served if served is not None else self.served
            return served is not None
        if frame.kind == _T_RENEWED:
            facts = _json_object(frame.payload) or {}
            self.renewed |= {url: without_userinfo(fresh) for url, fresh in facts.items() if isinstance(fresh, str)}
            return bool(facts)
        return frame.kind == _T_PADDING

    def extents(self) -> Iterator[Extent]:
        """What is in the part file: the last word on each byte, sorted."""
        speaking = [i for i, (kind, _, _) in enumerate(self.told) if kind != _T_VERIFIED]
        spans = [self.spans[i] for i in speaking]
        for start, end, index in latest(spans):
            kind, told_at, digest = self.told[speaking[index]]
            if kind != _T_DROPPED:
                yield Extent(start, end, digest if spans[index] == (start, end) else None, told_at <= self.durable_to)

    def verified(self) -> Iterator[tuple[int, int]]:
        """What was verified and neither dropped nor written since, sorted."""
        if any(kind == _T_VERIFIED for kind, _, _ in self.told):
            for start, end, index in latest(self.spans):
                if self.told[index][0] == _T_VERIFIED:
                    yield start, end


def _check_opening(data: bytes, path: str) -> None:
    if not data.rstrip(b"\0"):
        raise JournalDamaged(path, "the journal is empty", "the download begins anew")
    if len(data) < _OPENING.size:
        raise JournalDamaged(path, "the journal is cut off in its first bytes", "the download begins anew")
    magic, version = _OPENING.unpack_from(data)
    if magic != MAGIC or version < 1:
        raise JournalUnusable(path, "this is not a journal of thunderdl", "move it away to start over")
    if version > VERSION:
        raise JournalUnusable(path, "written by a newer thunderdl", f"update, or delete {path} to start over")


def _payload(record: Record) -> tuple[int, bytes]:
    match record:
        case Filled(start, end, digest):
            _check_range(start, end)
            if len(digest) != 8:
                raise ValueError(f"a digest of {len(digest)} bytes")
            return _T_FILLED, _FILLED.pack(start, end, digest)
        case Barrier(reach):
            return _T_BARRIER, _REACH.pack(reach)
        case Kept(start, end) | Dropped(start, end) | Verified(start, end):
            _check_range(start, end)
            return _RANGE_KIND_OF[type(record)], _EXTENT.pack(start, end)
        case Padding(size_bytes):
            return _T_PADDING, bytes(size_bytes - _OVERHEAD)
        case Sources(served):
            return _T_SOURCES, _json_bytes(dict(served))
        case Renewed(url, fresh):
            return _T_RENEWED, _json_bytes({url: fresh})
        case Header():
            payload = _json_bytes(_header_facts(record))
            if _header(payload) != record:
                raise ValueError("a header with a value out of range")
            return _T_HEADER, payload


def _check_range(start: int, end: int) -> None:
    if not 0 <= start < end <= MAX_OFFSET:
        raise ValueError(f"not an extent: [{start}, {end})")


def _json_bytes(value: object) -> bytes:
    payload = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    if len(payload) > MAX_JSON_BYTES:
        raise ValueError(f"{len(payload)} bytes of JSON in a record, {MAX_JSON_BYTES} are the most")
    return payload


def _json_object(payload: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _header_facts(header: Header) -> dict[str, object]:
    return {key: value for key, value in asdict(header).items() if value is not None}


def _header(payload: bytes) -> Header | None:
    """The header, None where a value is of the wrong type or out of range. Unknown keys do not matter."""
    facts = _json_object(payload)
    if facts is None or not all(check(facts.get(key)) for key, check in _HEADER_CHECKS.items()):
        return None
    known: dict[str, Any] = {key: facts[key] for key in _HEADER_CHECKS if facts.get(key) is not None}
    known["mirrors"] = tuple(known.get("mirrors", ()))
    if "piece_hash" in known:
        known["piece_hash"] = PieceFacts(**{key: known["piece_hash"][key] for key in _PIECE_CHECKS})
    return Header(**known)


def _served(payload: bytes) -> dict[str, int] | None:
    facts = _json_object(payload)
    if facts is None:
        return None
    served = {without_userinfo(url): count for url, count in facts.items() if _is_count(count)}
    return served if len(served) == len(facts) else None  # type: ignore[return-value]  # _is_count


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_OFFSET  # not isinstance: True is an int


def _optional(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_piece_facts(value: object) -> bool:
    return isinstance(value, dict) and all(check(value.get(key)) for key, check in _PIECE_CHECKS.items())


_PIECE_CHECKS: dict[str, Callable[[object], bool]] = {
    "algorithm": _is_text,
    "piece_length": lambda value: _is_count(value) and value != 0,
    "digest": _is_text,
}
_HEADER_CHECKS: dict[str, Callable[[object], bool]] = {
    "url": _is_text,
    "mirrors": _optional(_are_texts),
    "name": _optional(_is_text),
    "size": _optional(_is_count),
    "etag": _optional(_is_text),
    "last_modified": _optional(_is_text),
    "checksum": _optional(_is_text),
    "piece_hash": _optional(_are_piece_facts),
    "boot_id": _optional(_is_text),
    "created": _optional(_is_count),
    "granule_bytes": _optional(_is_count),
    "renewed_url": _optional(_is_text),
}
