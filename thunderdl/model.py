"""Frozen values that every layer shares. No behaviour beyond arithmetic, no I/O.

Ranges are half-open ``[start, end)`` in bytes everywhere; :meth:`ByteRange.http` alone makes
HTTP's inclusive form (RFC 9110 section 14.1.2).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Half-open byte range; ``0 <= start <= end``, else ValueError."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a range: [{self.start}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.start

    def http(self) -> str:
        """The value of a Range header."""
        return f"bytes={self.start}-{self.end - 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server says of a version: entity tag and date as sent, None where absent (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def strong_etag(self) -> str | None:
        return self.etag if self.etag and not self.etag.startswith("W/") else None


@dataclass(frozen=True, slots=True)
class Digest:
    """A hash value: ``algorithm`` as hashlib names it (sha256, md5, blake3 …), ``value`` raw bytes."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}={self.value.hex()}"

    def covers(self, found: Digest) -> bool:
        """Whether ``found``, computed of some bytes, is this one: of an algorithm with variants it holds each of them,
        one after the other (``formats/ed2k_hash.py``)."""
        length = len(self.value)
        variants = {found.value[at : at + length] for at in range(0, len(found.value), length)} if length else set()
        return self.algorithm == found.algorithm and self.value in variants


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceHashes:
    """One digest for each piece of ``piece_length`` bytes; the last piece may be shorter."""

    algorithm: str
    piece_length: int
    digests: tuple[bytes, ...]

    def fits(self, size: int) -> bool:
        """Whether a file of ``size`` bytes has exactly this many pieces: no byte is without a hash."""
        return len(self.digests) == -(-size // self.piece_length)


@dataclass(frozen=True, slots=True)
class ContentKey:
    """Length in bytes and BEP 52 ``pieces root`` (32 bytes): names content by its bytes alone."""

    length: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.length}-{self.root.hex()}"


class SourceKind(enum.Enum):
    """What is spoken with a source; with or without TLS, in whatever version."""

    HTTP = "http"
    FTP = "ftp"
    SFTP = "sftp"
    FILE = "file"
    DATA = "data"
    PEERS = "peers"

    @classmethod
    def of_scheme(cls, scheme: str) -> SourceKind:
        """That of the URLs that begin so; HTTP for what nobody speaks."""
        return _KINDS.get(scheme, cls.HTTP)


_KINDS = {
    "ftp": SourceKind.FTP, "ftps": SourceKind.FTP, "ftpes": SourceKind.FTP, "sftp": SourceKind.SFTP,
    "file": SourceKind.FILE, "data": SourceKind.DATA,
}  # fmt: skip


class SourceState(enum.Enum):
    """What the scheduler thinks of a source."""

    OPENING = "opening"
    ACTIVE = "active"
    BACKING_OFF = "backing off"
    PROBATION = "probation"
    BANNED = "banned"
    GONE = "gone"


class Status(enum.Enum):
    """The state of a download, and how one ended."""

    QUEUED = "queued"
    ACTIVE = "active"
    PAUSED = "paused"
    VERIFYING = "verifying"
    SHARING = "sharing"
    COMPLETE = "complete"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredLink:
    """What whoever knows a new URL is told. ``url``: the one that was given; ``size_bytes``: None while unknown;
    ``why``: a clause, as "access denied (the server answered 403)"."""

    url: str
    name: str
    size_bytes: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProgress:
    """One source at one moment. ``note``: why it is in this state, in plain words, or empty."""

    url: str
    kind: SourceKind = SourceKind.HTTP
    state: SourceState = SourceState.ACTIVE
    bytes: int = 0
    wasted_bytes: int = 0
    rate_bytes_per_s: float = 0.0
    lanes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a source is used as it is. ``why``: in the same words for as long as it holds; ``told``: with the numbers
    of the moment."""

    url: str
    why: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A snapshot, made when polled.

    ``size_bytes``: None while unknown. ``eta_s``: None where no guess makes sense.
    ``uploaded_bytes``: what peers had from us.
    ``piece_map``: up to 256 cells over the file, each 0 (missing) … 255 (all there).
    """

    name: str
    status: Status
    size_bytes: int | None = None
    done_bytes: int = 0
    resumed_bytes: int = 0
    wasted_bytes: int = 0
    uploaded_bytes: int = 0
    rate_bytes_per_s: float = 0.0
    eta_s: float | None = None
    sources: tuple[SourceProgress, ...] = ()
    piece_map: bytes = b""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a download ended.

    ``path``: the final file, None where there is none. ``bytes``: its size. ``verified``: the digests that
    were checked (``algorithm=hex``, ``pieces:algorithm`` for piece hashes), empty where nothing could be.
    ``wasted_bytes``: fetched and not used; ``uploaded_bytes``: what peers had from us.
    ``validators``: what the server said of the version. ``notes``: what the user should know (what was thrown away and
    why).
    """

    url: str
    path: str | None
    bytes: int
    seconds: float
    status: Status
    verified: tuple[str, ...] = ()
    resumed_bytes: int = 0
    wasted_bytes: int = 0
    uploaded_bytes: int = 0
    sources: tuple[SourceProgress, ...] = ()
    content_key: ContentKey | None = None
    validators: Validators = Validators()  # frozen
    notes: tuple[str, ...] = field(default=())
    error: Exception | None = None
