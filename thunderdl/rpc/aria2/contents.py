"""What is in torrents that do not run: clients show their files, and let some of them be chosen, before they begin.

Documents are read off the loop, each once; whoever asks for many tasks at once gets what is known by then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from thunderdl.daemon.jobs import Job
from thunderdl.daemon.queue import Queue
from thunderdl.errors import ThunderdlError
from thunderdl.formats.links import is_magnet
from thunderdl.model import SwarmFacts

if TYPE_CHECKING:
    # libtorrent takes long to load, and many a daemon never needs it.
    from thunderdl.sources.swarm.torrent import Torrent

# So many are kept in mind; those that were looked at longest ago are forgotten first.
MOST_KNOWN = 1000


class Content(NamedTuple):
    """``files``: path below the folder it is saved in, and size, in the torrent's order; none of a magnet link."""

    swarm: SwarmFacts
    files: tuple[tuple[str, int], ...] = ()
    size_bytes: int = 0
    piece_length: int = 16384
    piece_count: int = 0


class Contents:
    """Of the torrents of one queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._known: dict[str, Content | None] = {}
        self._wanted: dict[str, None] = {}
        self._reading: asyncio.Task[None] | None = None

    def of(self, job: Job) -> Content | None:
        """What is known; of a document that was not read yet nothing, but the next time there will be."""
        url = job.wish.url
        if url in self._known:
            return self._known[url]
        if is_magnet(url):
            return self._keep(url, _of_link(url))
        if self._is_torrent_document(url) and len(self._wanted) < MOST_KNOWN:
            self._wanted[url] = None
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_all())
        return None

    async def learned(self, job: Job) -> Content | None:
        """The same, waiting for a document that must be read first."""
        url = job.wish.url
        if url not in self._known and self._is_torrent_document(url):
            await self._read(url)
        return self.of(job)

    def _is_torrent_document(self, url: str) -> bool:
        return url.endswith(".torrent") and self._queue.store.is_document(url)

    async def _read_all(self) -> None:
        while self._wanted:
            url = next(iter(self._wanted))
            await self._read(url)
            self._wanted.pop(url, None)

    async def _read(self, url: str) -> None:
        try:
            self._keep(url, _of_torrent(await self._queue.client.torrent(url)))
        except ThunderdlError:
            self._keep(url, None)

    def _keep(self, url: str, content: Content | None) -> Content | None:
        while len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[url] = content
        return content


def _of_torrent(torrent: Torrent) -> Content:
    swarm = SwarmFacts(
        info_hash_v1=torrent.info_hash_v1, info_hash_v2=torrent.info_hash_v2, name=torrent.name,
        comment=torrent.comment, created=torrent.created, is_single=torrent.is_single, is_private=torrent.private,
        tiers=torrent.tiers_with(()),
    )  # fmt: skip
    files = tuple((file.path, file.size_bytes) for file in torrent.files)
    return Content(swarm, files, torrent.size_bytes, torrent.piece_length, torrent.piece_count)


def _of_link(url: str) -> Content | None:
    from thunderdl.sources.swarm.magnet import said_by

    try:
        return Content(said_by(url))
    except ThunderdlError:
        return None


def names_something(link: str) -> bool:
    """Whether it is a magnet link that names a torrent."""
    return _of_link(link) is not None


def is_source(url: str) -> bool:
    """Whether bytes come from it: no link of a torrent does, and no document of the daemon's own."""
    return url.startswith("http") or ("://" in url and not is_magnet(url))
