"""Frozen values that every layer shares. No behaviour beyond arithmetic, no I/O.

Ranges are half-open ``[start, end)`` in bytes everywhere; the inclusive form of HTTP (RFC 9110 section 14.1.2) is made
where a request is.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


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

    ``path``: absolute, where it will be or is; None while its name is not known.
    ``size_bytes``: None while unknown. ``eta_s``: None where no guess makes sense.
    ``uploaded_bytes``: what peers had from us. ``connections``: at work now, to servers and to peers.
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
    path: str | None = None
    upload_rate_bytes_per_s: float = 0.0
    connections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTable:
    """The pieces of a download. ``piece_length``: bytes; ``bitfield``: a bit for each piece that is there, and proven
    where pieces have hashes; the first piece is the highest bit of the first byte (BEP 3)."""

    piece_length: int
    count: int
    bitfield: bytes

    def __contains__(self, piece: int) -> bool:
        """Whether the piece of this number, from 0, is there."""
        return 0 <= piece < self.count and bool(self.bitfield[piece // 8] & (0x80 >> piece % 8))


class UrlUse(enum.Enum):
    """Whether something is fetched from a URL, may be later, or never will be."""

    USED = "used"
    WAITING = "waiting"
    BANNED = "banned"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUrl:
    """Where a file can be had. ``current_url``: what is asked for it now, after redirects; ``url`` where nothing is."""

    url: str
    use: UrlUse
    current_url: str
    rate_bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """One file of a download. ``index``: from 1; ``path``: absolute, where it will be once all is there, or is; None
    while its name is not known; ``size_bytes``: None while unknown; ``done_bytes``: of a torrent's file those in pieces
    that are there; ``urls``: in the order given."""

    index: int
    path: str | None
    size_bytes: int | None
    done_bytes: int
    selected: bool = True
    urls: tuple[FileUrl, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerProgress:
    """A peer that is connected. ``peer_id``: 20 bytes as it sent them; ``address``: without the port; ``progress``: its
    share of the torrent, 0 to 1; ``bitfield``: its pieces as in :class:`PieceTable`, b"" where nobody asked for it;
    ``am_choking``, ``peer_choking``: whether we send it nothing, it us; ``origins``: who told of it (tracker, dht, pex,
    lsd, resume data, incoming)."""

    peer_id: bytes
    client: str
    address: str
    port: int
    progress: float
    is_seed: bool
    am_choking: bool
    peer_choking: bool
    down_bytes_per_s: int
    up_bytes_per_s: int
    origins: tuple[str, ...] = ()
    bitfield: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerProgress:
    """What a tracker last said. ``message``: its words, or what went wrong; ``fails``: in a row; ``is_updating``: being
    asked now; ``next_announce_s``: seconds until it is asked again, None where that is not known, as are the peers that
    it counts."""

    url: str
    tier: int
    message: str = ""
    fails: int = 0
    is_updating: bool = False
    is_working: bool = False
    next_announce_s: float | None = None
    seeders: int | None = None
    leechers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmFacts:
    """The torrent of a download, and how it stands in its swarm.

    ``info_hash_v1``, ``info_hash_v2``: hexadecimal, "" where it has none; ``created``: seconds since 1970, None where
    the torrent does not say; ``is_single``: one file, without a folder; ``has_metadata``: whether more is known than a
    magnet link says; ``tiers``: its trackers, those of a tier together; ``trackers``: what each last said;
    ``seeders``, ``peers``: those connected, seeders among the peers; ``is_seeding``: all that is wanted is here;
    ``ratio``: uploaded to size of what is wanted.
    """

    info_hash_v1: str
    info_hash_v2: str
    name: str
    comment: str = ""
    created: int | None = None
    is_single: bool = False
    is_private: bool = False
    has_metadata: bool = True
    tiers: tuple[tuple[str, ...], ...] = ()
    trackers: tuple[TrackerProgress, ...] = ()
    seeders: int = 0
    peers: int = 0
    is_seeding: bool = False
    upload_rate_bytes_per_s: float = 0.0
    uploaded_bytes: int = 0
    ratio: float = 0.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A download that is whole and shared, for who goes on with it after a restart.

    ``path``: of the file or folder; ``size_bytes``: of the files that were wanted; ``torrent``: path of the .torrent
    that it is shared by; ``since``: when it was known to be whole, in Unix time; ``sent_bytes`` to peers and
    ``shared_s`` of sharing, of all earlier runs; the others as in the :class:`Result` of the download.
    """

    path: str
    size_bytes: int
    torrent: str
    since: float
    sent_bytes: int = 0
    shared_s: float = 0.0
    seconds: float = 0.0
    verified: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
