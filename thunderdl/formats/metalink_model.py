"""What a Metalink document says, as frozen values, and how much of it is taken in.

Values only. Everything here is a claim of whoever wrote the document: sizes and hashes may be lies, mirrors dead or
hostile. What was malformed is left out of the values and told in :attr:`Metalink.notes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from thunderdl.model import Digest, PieceHashes

#: A mirror without a stated priority comes after all that have one (RFC 5854 section 4.2.16.2: 1 … 999999).
LOWEST_PRIORITY = 999_999
#: What is read of one document. A list of 10^5 mirrors is some 10 MB; the best of them are kept.
MAX_DOCUMENT_BYTES = 64 * 2**20
MAX_FILES = 2**16
MAX_MIRRORS = 10_000
MAX_METAURLS = 64
MAX_DEPTH = 32
TORRENT = "torrent"
MAGNET = "magnet"
METALINK4 = "application/metalink4+xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """``priority``: 1 is tried first. ``location``: ISO 3166-1 code in lower case, None where not stated."""

    url: str
    priority: int = LOWEST_PRIORITY
    location: str | None = None
    max_connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaUrl:
    """Another description of the file: ``mediatype`` is ``torrent`` (BitTorrent's magnet links, too), ``magnet`` for
    those of other networks, or a media type.

    ``name``: which file of the torrent it is, None where the torrent has one file only. It is not followed here.
    """

    url: str
    mediatype: str
    priority: int = LOWEST_PRIORITY
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """``text`` as it stood in the document; nobody has checked it."""

    mediatype: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetalinkFile:
    """``name``: relative, safe, ``/`` between folders. ``digests``: strongest first. ``mirrors``: best first.

    Texts are one line and printable. ``digests`` holds one digest for each algorithm.
    """

    name: str
    size: int | None = None
    digests: tuple[Digest, ...] = ()
    pieces: PieceHashes | None = None
    mirrors: tuple[Mirror, ...] = ()
    metaurls: tuple[MetaUrl, ...] = ()
    signatures: tuple[Signature, ...] = ()
    publisher: Publisher | None = None
    identity: str | None = None
    description: str | None = None
    version: str | None = None
    copyright: str | None = None
    max_connections: int | None = None

    @property
    def torrents(self) -> tuple[str, ...]:
        """URLs of torrents and magnet links of the file, best first."""
        return tuple(metaurl.url for metaurl in self.metaurls if metaurl.mediatype == TORRENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metalink:
    """One document. ``version``: 3 or 4. ``origin``: where a newer one is, asked again if ``is_dynamic``.

    ``notes``: what was left out and why, in sentences without a full stop.
    """

    version: int
    files: tuple[MetalinkFile, ...]
    origin: str | None = None
    is_dynamic: bool = False
    generator: str | None = None
    published: str | None = None
    updated: str | None = None
    notes: tuple[str, ...] = ()
