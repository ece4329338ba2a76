"""What a running download can tell of its pieces, files, peers and swarm: made when asked, from what is there anyway.

Nothing waits here, and nothing is looked at anew: peers and pieces of a torrent are those of the last look. What takes
long to make is kept until what it was made of has changed, since it is asked for many times a second.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from thunderdl.core.piecing import bitfield, bitfield_of_ranges, done_bytes, full_bitfield, granule_bytes
from thunderdl.core.ranges import RangeSet
from thunderdl.engine.naming import guess_target
from thunderdl.engine.snapshot import done_bytes_of, piece_sources_of, source_progress
from thunderdl.errors import ThunderdlError
from thunderdl.formats.links import is_magnet
from thunderdl.model import (
    FileProgress,
    FileUrl,
    PeerProgress,
    PieceTable,
    SourceProgress,
    SourceState,
    SwarmFacts,
    UrlUse,
)

if TYPE_CHECKING:
    from thunderdl.engine.candidates import Candidate
    from thunderdl.engine.download import Download
    from thunderdl.sources.swarm.crowd import Crowd
    from thunderdl.sources.swarm.torrent import Torrent

Here = RangeSet | Sequence[int] | None
_BANNED = (SourceState.BANNED, SourceState.GONE)


class Facts:
    """Of one ``download``, for as long as somebody asks."""

    def __init__(self, download: Download) -> None:
        self.download = download
        # Each with what it was made of.
        self._pieces: tuple[Here | bool, PieceTable] | None = None
        self._done: tuple[Here, list[int]] | None = None

    @property
    def torrent(self) -> Torrent | None:
        """The torrent that peers have it as, once it is known."""
        return self.download.ranged.torrent if self.download.ranged else self.download.torrent

    def pieces(self) -> PieceTable | None:
        """None before the size is known."""
        torrent, size = self.torrent, self.download.version.size
        if torrent is not None:
            return self._table(torrent.size_bytes, torrent.piece_length)
        if size is None:
            return None
        hashes = self.download.options.piece_hashes
        return self._table(size, hashes.piece_length if hashes else granule_bytes(size))

    def piece_sources(self) -> bytes:
        """Who brought each cell of the piece map."""
        return piece_sources_of(self.download)

    def _table(self, size: int, length: int) -> PieceTable:
        here, count = self._here(), -(-size // length)
        # None stands for nothing before anything is known, and for all once it is whole.
        made_of = here if here is not None else self._is_all
        if self._pieces is not None and _is_same(self._pieces[0], made_of) and self._pieces[1].piece_length == length:
            return self._pieces[1]
        if isinstance(here, RangeSet):
            made_of = here = here.copy()
            bits = bitfield_of_ranges(here, size, length)
        else:
            bits = bitfield(here[:count]) if here is not None else full_bitfield(count) if self._is_all else b""
        table = PieceTable(piece_length=length, count=count, bitfield=bits or bytes(-(-count // 8)))
        self._pieces = (made_of, table)
        return table

    @property
    def _is_all(self) -> bool:
        ranged = self.download.ranged
        return self.download.is_whole and (ranged is None or ranged.chosen is None)

    def _here(self) -> Here:
        if self._is_all:
            return None
        return self.download.ranged.here if self.download.ranged else None

    def files(self) -> tuple[FileProgress, ...]:
        """In the order of the torrent; one where there is none; none while it is still to be read."""
        torrent, download = self.torrent, self.download
        if torrent is not None and not torrent.is_single:
            return self._files_of(torrent)
        if torrent is None and download.options.torrent is not None:
            return ()
        urls = (*self._urls(), *self._web_seeds(torrent, ""))
        size = torrent.size_bytes if torrent else download.version.size
        return (FileProgress(index=1, path=self._path(), size_bytes=size, done_bytes=self._done_bytes(), urls=urls),)

    def wanted(self) -> tuple[int, str] | None:
        """How many of :meth:`files` are wanted, and the path of the first; None while that is not settled.

        Without making them: hooks ask at each event, and a list of 100,000 files held up everything for 3 s."""
        torrent, download = self.torrent, self.download
        if download.path is None or (torrent is None and download.options.torrent is not None):
            return None
        if torrent is None or torrent.is_single:
            return 1, download.path
        chosen = download.ranged.chosen if download.ranged else None
        first = next((file for file in torrent.files if chosen is None or file.index in chosen), None)
        if first is None:
            return None
        count = len(torrent.files) if chosen is None else len(chosen)
        return count, os.path.join(download.path, _below(first.path))

    def _done_bytes(self) -> int:
        download = self.download
        return download.version.size or download.single_bytes if self._is_all else done_bytes_of(download)

    def _path(self) -> str | None:
        download = self.download
        if (path := download.path) is not None or not download.candidates.all:
            return path
        try:
            return os.path.abspath(guess_target(download.candidates.origin.url, download.options).path)
        except ThunderdlError:
            return None

    def _files_of(self, torrent: Torrent) -> tuple[FileProgress, ...]:
        root = self.download.path
        chosen = self.download.ranged.chosen if self.download.ranged else None
        done = self._done_of(torrent)
        return tuple(
            FileProgress(
                index=number, path=os.path.join(root, _below(file.path)) if root else None, size_bytes=file.size_bytes,
                done_bytes=done[number - 1], selected=chosen is None or file.index in chosen,
                urls=self._web_seeds(torrent, file.path),
            )
            for number, file in enumerate(torrent.files, 1)
        )  # fmt: skip

    def _done_of(self, torrent: Torrent) -> list[int]:
        here = self._here()
        if here is None:
            return [file.size_bytes if self._is_all else 0 for file in torrent.files]
        assert not isinstance(here, RangeSet)
        if self._done is None or not _is_same(self._done[0], here):
            spans = ((file.start, file.size_bytes) for file in torrent.files)
            counted = list(done_bytes(spans, here, torrent.size_bytes, torrent.piece_length))
            self._done = (here, counted)
        return self._done[1]

    def _urls(self) -> tuple[FileUrl, ...]:
        candidates = sorted(self.download.candidates.all, key=lambda each: each.id)
        known = zip(candidates, source_progress(self.download), strict=False)
        bench = (FileUrl(url=url, use=UrlUse.WAITING, current_url=url) for url in self.download.candidates.bench)
        asked = (self._url(candidate, source) for candidate, source in known if not candidate.is_removed)
        return (*asked, *bench)

    def _url(self, candidate: Candidate, source: SourceProgress) -> FileUrl:
        use = UrlUse.BANNED if source.state in _BANNED else UrlUse.USED if source.lanes else UrlUse.WAITING
        if source.state is SourceState.ACTIVE and source.bytes and self.download.ranged is None:
            use = UrlUse.USED
        now = candidate.source.request.address.url if candidate.source else candidate.where
        return FileUrl(url=candidate.url, use=use, current_url=now, rate_bytes_per_s=source.rate_bytes_per_s)

    def _web_seeds(self, torrent: Torrent | None, path: str) -> tuple[FileUrl, ...]:
        ranged, crowd = self.download.ranged, self.download.crowd
        if torrent is None or ranged is None or not ranged.web_seeds:
            return ()
        return tuple(_web_seed(url, path, crowd) for url in ranged.web_seeds)

    def peers(self, *, with_bitfields: bool) -> tuple[PeerProgress, ...]:
        """Those that were connected at the last look."""
        crowd = self.download.crowd
        return crowd.peers(with_bitfields=with_bitfields) if crowd is not None else ()

    def swarm(self) -> SwarmFacts | None:
        """None where the download has no torrent."""
        download, torrent, crowd = self.download, self.torrent, self.download.crowd
        if torrent is None:
            link = download.options.torrent
            return _linked(link) if link is not None and is_magnet(link) else None
        tiers = torrent.tiers_with(download.options.trackers)
        uploaded = download.uploaded_bytes
        return SwarmFacts(
            info_hash_v1=torrent.info_hash_v1, info_hash_v2=torrent.info_hash_v2, name=torrent.name,
            comment=torrent.comment, created=torrent.created, is_single=torrent.is_single,
            is_private=torrent.private, tiers=tiers, trackers=crowd.trackers if crowd else (),
            seeders=crowd.seeders if crowd else 0, peers=len(crowd.raw) if crowd else 0, is_seeding=download.is_whole,
            upload_rate_bytes_per_s=crowd.up_bytes_per_s if crowd else 0.0, uploaded_bytes=uploaded,
            ratio=uploaded / max(download.version.size or torrent.size_bytes, 1),
        )  # fmt: skip


def _is_same(made_of: Here | bool, here: Here | bool) -> bool:
    if made_of is here:
        # Only a set of ranges is ever changed; what is kept of one is a copy.
        return True
    return isinstance(here, RangeSet | bytes) and made_of == here


def _below(path: str) -> str:
    return path.partition("/")[2] or path


def _web_seed(url: str, path: str, crowd: Crowd | None) -> FileUrl:
    rate = crowd.web_rate(url) if crowd else None
    where = url + quote(path) if path else url
    use = UrlUse.WAITING if rate is None else UrlUse.USED
    return FileUrl(url=where, use=use, current_url=where, rate_bytes_per_s=rate or 0.0)


def _linked(link: str) -> SwarmFacts | None:
    """What a magnet link says by itself."""
    from thunderdl.sources.swarm.magnet import said_by

    try:
        return said_by(link)
    except ThunderdlError:
        return None
