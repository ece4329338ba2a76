"""One file of a Metalink while it is read: its claims gathered, judged, and put in order at the end.

Pure; part of :mod:`thunderdl.formats.metalink`. A claim is judged by its form alone. Two digests of one algorithm
that differ cancel each other out: nobody can tell which of them is meant.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from thunderdl.errors import printable
from thunderdl.formats.hashes import (
    ALGORITHMS,
    MAX_DIGESTS,
    MAX_PIECE_BYTES,
    MIN_PIECE_BYTES,
    canonical_algorithm,
)
from thunderdl.formats.http_headers import MAX_LENGTH_BYTES
from thunderdl.formats.metalink_model import (
    LOWEST_PRIORITY,
    MAGNET,
    MAX_METAURLS,
    MAX_MIRRORS,
    TORRENT,
    MetalinkFile,
    MetaUrl,
    Mirror,
    Publisher,
    Signature,
)
from thunderdl.formats.source_urls import LONGEST_URL, WEB_SCHEMES, source_url
from thunderdl.formats.strength import strength_rank, strongest_first
from thunderdl.model import Digest, PieceHashes

_LONGEST_LINE = 1000
_MAX_SIGNATURES = 8
_MAX_FOLDERS = 16
_DIGITS = re.compile(r"[0-9]{1,19}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_MAGNET = re.compile(r"magnet:\?[!-~]+", re.IGNORECASE)
_BITTORRENT = re.compile(r"[?&]xt(?:\.[0-9]+)?=urn:bt[im]h:", re.IGNORECASE)
_LOCATION = re.compile(r"[A-Za-z]{2}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}(?:/[A-Za-z0-9!#$&^_.+-]{1,64})?")
# A drive (C:), a leading slash, a backslash anywhere: such a name was never meant as a relative path.
_NOT_RELATIVE = re.compile(r"/|[A-Za-z]:|~|.*\\", re.DOTALL)
_SEPARATORS = re.compile(r"[/\\]")
# Version 3's names of signatures; version 4 has media types (RFC 5854 section 4.2.13).
_SIGNATURES = {"pgp": "application/pgp-signature"}


class Notes:
    """What was left out, counted, so that 10^5 bad mirrors are one sentence."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, reason: str, what: str, count: int = 1) -> None:
        self._counts[what, reason] += count

    def told(self) -> tuple[str, ...]:
        return tuple(
            f"a {what} {reason}" + (f" ({count} times)" if count > 1 else "")
            for (what, reason), count in self._counts.items()
        )


def one_line(text: str) -> str | None:
    """A text for people on one line, without what terminals act upon, cut; None where nothing is there."""
    return printable(" ".join(text[: 4 * _LONGEST_LINE].split()))[:_LONGEST_LINE].strip() or None


def number(text: str) -> int | None:
    """ASCII digits up to 2^63 - 1; None for anything else."""
    digits = text.strip()
    return value if _DIGITS.fullmatch(digits) and (value := int(digits)) <= MAX_LENGTH_BYTES else None


def priority(text: str) -> int:
    """Version 4: 1 … 999999, first is 1; the lowest for anything else (RFC 5854 section 4.2.16.2)."""
    stated = number(text)
    return stated if stated and stated <= LOWEST_PRIORITY else LOWEST_PRIORITY


def preference(text: str) -> int:
    """Version 3's preference, where 100 is the best, as a priority, where 1 is."""
    stated = number(text)
    return 101 - stated if stated is not None and stated <= 100 else LOWEST_PRIORITY


def is_metaurl_type(kind: str, url: str) -> bool:
    """Whether version 3's ``<url type=…>`` is a torrent or magnet link and no mirror."""
    return kind in ("bittorrent", "magnet") or url[:8].lower() == "magnet:?"


@dataclass(slots=True)
class Pieces:
    """One ``<pieces>``; ``digests``: position -> digest, or None where two differ."""

    kind: str
    length: int | None
    digests: dict[int, bytes] = field(default_factory=dict)
    is_sound: bool = True

    def take(self, position: str | None, text: str) -> None:
        """``position``: version 3's ``piece``, None where they come in order."""
        at = len(self.digests) if position is None else number(position)
        if at is None or at >= MAX_DIGESTS or at in self.digests or not _HEX.fullmatch(text):
            self.is_sound = False
        else:
            self.digests[at] = bytes.fromhex(text)

    def finished(self, size: int | None) -> PieceHashes | None:
        """All pieces from 0 on, each with a digest of the right length, and as many as the size wants; else None."""
        algorithm = _algorithm(self.kind)
        count = len(self.digests)
        if not self.is_sound or algorithm is None or not count or max(self.digests) != count - 1:
            return None
        if self.length is None or not MIN_PIECE_BYTES <= self.length <= MAX_PIECE_BYTES:
            return None
        digests = tuple(self.digests[at] for at in range(count))
        if any(len(digest) != ALGORITHMS[algorithm] for digest in digests):
            return None
        hashes = PieceHashes(algorithm=algorithm, piece_length=self.length, digests=digests)
        return hashes if size is None or hashes.fits(size) else None


@dataclass(slots=True)
class FileDraft:
    name: str = ""
    size: int | None = None
    hashes: dict[str, set[bytes]] = field(default_factory=dict)
    pieces: list[Pieces] = field(default_factory=list)
    mirrors: dict[str, Mirror] = field(default_factory=dict)
    metaurls: dict[tuple[str, str | None], MetaUrl] = field(default_factory=dict)
    signatures: list[Signature] = field(default_factory=list)
    facts: dict[str, str | None] = field(default_factory=dict)
    publisher: str | None = None
    publisher_url: str = ""
    max_connections: int | None = None
    sizes_differ: bool = False

    def take_name(self, raw: str, safe_component: Callable[[str], str]) -> None:
        self.name = relative_name(raw, safe_component)

    def take_size(self, size: int | None, notes: Notes) -> None:
        if size is None:
            notes.add("is not a number of bytes", "size")
        elif self.size is not None and self.size != size:
            self.sizes_differ = True
        else:
            self.size = size

    def take_hash(self, kind: str, text: str, notes: Notes) -> None:
        algorithm = _algorithm(kind)
        if algorithm is None:
            return  # ed2k, tiger, crc32 and their like: well-formed, and of no use here
        if len(text) != 2 * ALGORITHMS[algorithm] or not _HEX.fullmatch(text):
            notes.add("is malformed and left out", "hash")
        else:
            self.hashes.setdefault(algorithm, set()).add(bytes.fromhex(text))

    def take_mirror(self, text: str, order: int, attributes: Mapping[str, str], notes: Notes) -> None:
        url = source_url(text)
        if url is None:
            notes.add("cannot be used and is left out", "mirror")
            return
        location = attributes.get("location", "").strip()
        mirror = Mirror(
            url=url,
            priority=order,
            location=location.lower() if _LOCATION.fullmatch(location) else None,
            max_connections=number(attributes.get("maxconnections", "")) or None,
        )
        known = self.mirrors.get(url)
        if known is None or order < known.priority:
            self.mirrors[url] = mirror

    def take_metaurl(self, text: str, order: int, mediatype: str, name: str, notes: Notes) -> None:
        text = text.strip()
        is_magnet = len(text) <= LONGEST_URL and _MAGNET.fullmatch(text) is not None
        url = text if is_magnet else source_url(text, WEB_SCHEMES)
        mediatype = mediatype.strip().lower()
        if is_magnet:
            mediatype = TORRENT if _BITTORRENT.search(text) else MAGNET
        elif mediatype == "application/x-bittorrent" or (not mediatype and _names_torrent(text)):
            mediatype = TORRENT
        if url is None or not _MEDIA_TYPE.fullmatch(mediatype):
            notes.add("cannot be used and is left out", "link to a torrent or metalink")
            return
        inner = one_line(name)
        self.metaurls.setdefault((url, inner), MetaUrl(url=url, mediatype=mediatype, priority=order, name=inner))

    def take_signature(self, mediatype: str, text: str, notes: Notes) -> None:
        kind = mediatype.strip().lower()
        kind = _SIGNATURES.get(kind, kind)
        if not text or not _MEDIA_TYPE.fullmatch(kind) or len(self.signatures) >= _MAX_SIGNATURES:
            notes.add("cannot be read and is left out", "signature")
        else:
            self.signatures.append(Signature(mediatype=kind, text=text))

    def finished(self, shared: FileDraft, notes: Notes) -> MetalinkFile:
        """The frozen value; ``shared``: what version 3 says of all files at once."""
        if self.sizes_differ:
            notes.add("is stated twice with different values and is left out", "size")
        size = None if self.sizes_differ else self.size
        texts = {name: self.facts.get(name) or shared.facts.get(name) for name in (*self.facts, *shared.facts)}
        return MetalinkFile(
            name=self.name,
            size=size,
            digests=self._digests(notes),
            pieces=self._best_pieces(size, notes),
            mirrors=tuple(_best(self.mirrors.values(), MAX_MIRRORS, notes)),
            metaurls=tuple(heapq.nsmallest(MAX_METAURLS, self.metaurls.values(), key=lambda one: one.priority)),
            signatures=tuple(self.signatures),
            publisher=self._publisher() or shared._publisher(),
            identity=texts.get("identity"),
            description=texts.get("description"),
            version=texts.get("version"),
            copyright=texts.get("copyright"),
            max_connections=self.max_connections,
        )

    def _digests(self, notes: Notes) -> tuple[Digest, ...]:
        certain = []
        for algorithm, values in self.hashes.items():
            if len(values) == 1:
                certain.append(Digest(algorithm, next(iter(values))))
            else:
                notes.add("is stated twice with different values and is left out", "hash")
        return strongest_first(certain)

    def _best_pieces(self, size: int | None, notes: Notes) -> PieceHashes | None:
        found = [hashes for pieces in self.pieces if (hashes := pieces.finished(size))]
        if len(found) < len(self.pieces):
            notes.add("is malformed or of another size, and is left out", "list of piece hashes")
        return min(found, key=lambda one: strength_rank(one.algorithm), default=None)

    def _publisher(self) -> Publisher | None:
        return (
            Publisher(name=self.publisher, url=source_url(self.publisher_url, WEB_SCHEMES)) if self.publisher else None
        )


def relative_name(raw: str, safe_component: Callable[[str], str]) -> str:
    """A safe relative name with ``/`` between folders; empty where there is none.

    RFC 5854 section 4.1.2.1 forbids absolute names and directory traversal: such a name, and one with
    backslashes or too many folders, is reduced to its last part (bad-inputs N1).
    """
    if not raw.strip("/\\. \t\r\n") or raw.endswith(("/", "\\")):
        return ""
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    if _NOT_RELATIVE.match(raw) or ".." in parts or len(parts) > _MAX_FOLDERS:
        return safe_component(_SEPARATORS.split(raw)[-1])
    return "/".join(map(safe_component, parts))


def _best(mirrors: Iterable[Mirror], most: int, notes: Notes) -> list[Mirror]:
    every = list(mirrors)
    if len(every) > most:
        notes.add(f"is beyond the best {most} and is left out", "mirror", len(every) - most)
    # Stable, so that mirrors of one priority keep the order of the document.
    return heapq.nsmallest(most, every, key=lambda mirror: mirror.priority)


def _algorithm(kind: str) -> str | None:
    try:
        algorithm = canonical_algorithm(kind)
    except ValueError:
        return None
    # Documents have it in several spellings, always beside a better one.
    return None if algorithm == "ed2k" else algorithm


def _names_torrent(url: str) -> bool:
    return re.split(r"[?#]", url, maxsplit=1)[0].lower().endswith(".torrent")
