"""What is in torrents and metalinks that do not run: clients show their files before they begin, let some of them be
chosen, and add again by its URIs what has failed.

Documents are read off the loop, each once; whoever asks for many tasks at once gets what is known by then.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

from thunderdl.daemon.jobs import Job
from thunderdl.daemon.queue import Queue
from thunderdl.errors import ThunderdlError
from thunderdl.formats.file_selection import selected
from thunderdl.formats.links import FOREIGN_SCHEMES, is_magnet, scheme_of
from thunderdl.formats.metalink_model import Metalink, MetalinkFile
from thunderdl.model import SwarmFacts

if TYPE_CHECKING:
    # libtorrent takes long to load, and many a daemon never needs it.
    from thunderdl.sources.swarm.torrent import Torrent

# So many are kept in mind, and so many names and URIs of them all; those that were read first are forgotten first.
MOST_KNOWN = 1000
MOST_TEXTS = 200_000
# What aria2 says of a download of which it knows no pieces; aria2p wants a number there.
PIECE_BYTES = 1 << 20
_MAGNET_PIECE_BYTES = 16384
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Content(NamedTuple):
    """``files``: of a torrent, path below the folder it is saved in, and size, in its order; none of a magnet link.
    ``name``, ``urls``: of a metalink's file, best first; nobody else's."""

    swarm: SwarmFacts | None = None
    files: tuple[tuple[str, int], ...] = ()
    size_bytes: int = 0
    piece_length: int = PIECE_BYTES
    piece_count: int = 0
    name: str = ""
    urls: tuple[str, ...] = ()


class _Known(NamedTuple):
    """Of a document. ``contents``: of a metalink one for each of its files; empty where it cannot be read."""

    contents: tuple[Content, ...] = ()
    texts: int = 1


class Contents:
    """Of the torrents and metalinks of one queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._known: dict[str, _Known] = {}
        self._texts = 0
        self._wanted: dict[str, None] = {}
        self._reading: asyncio.Task[None] | None = None

    def of(self, job: Job) -> Content | None:
        """What is known; of a document that was not read yet nothing, but the next time there will be."""
        url = job.wish.url
        if url in self._known:
            return _the_one(self._known[url], job)
        if is_magnet(url):
            return _the_one(self._keep(url, _of_link(url)), job)
        if self._is_document(url) and len(self._wanted) < MOST_KNOWN:
            self._wanted[url] = None
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_all())
        return None

    async def learned(self, job: Job) -> Content | None:
        """The same, waiting for a document that must be read first."""
        url = job.wish.url
        if url not in self._known and self._is_document(url):
            await self._read(url)
        return self.of(job)

    def _is_document(self, url: str) -> bool:
        return url.endswith((".torrent", ".meta4")) and self._queue.store.is_document(url)

    async def _read_all(self) -> None:
        while self._wanted:
            url = next(iter(self._wanted))
            await self._read(url)
            self._wanted.pop(url, None)

    async def _read(self, url: str) -> None:
        client = self._queue.client
        try:
            if url.endswith(".meta4"):
                self._keep(url, await asyncio.to_thread(_of_metalink, await client.metalink(url)))
            else:
                self._keep(url, _of_torrent(await client.torrent(url)))
        except ThunderdlError:
            self._keep(url, _Known())

    def _keep(self, url: str, new: _Known) -> _Known:
        """One that is beyond all bounds is kept alone: else it would be read again for each of its files."""
        self._forget(url)
        while self._known and (len(self._known) >= MOST_KNOWN or self._texts + new.texts > MOST_TEXTS):
            self._forget(next(iter(self._known)))
        self._known[url] = new
        self._texts += new.texts
        return new

    def _forget(self, url: str) -> None:
        if (known := self._known.pop(url, None)) is not None:
            self._texts -= known.texts


def _the_one(known: _Known, job: Job) -> Content | None:
    """Of a metalink's files the one that the task is for; None where it is for several."""
    contents = known.contents
    chosen = job.wish.options.get("files")
    if len(contents) < 2 or not chosen:
        return contents[0] if len(contents) == 1 else None
    # A number is what every task of a metalink has: to go through 65,536 names for each of them is too much.
    if isinstance(chosen, str) and (number := _NUMBER.fullmatch(chosen)):
        at = int(number[0]) - 1
        return contents[at] if at < len(contents) else None
    try:
        found = selected(str(chosen), [each.name for each in contents])
    except ValueError:
        return None
    return contents[min(found)] if len(found) == 1 else None


def _of_torrent(torrent: Torrent) -> _Known:
    swarm = SwarmFacts(
        info_hash_v1=torrent.info_hash_v1, info_hash_v2=torrent.info_hash_v2, name=torrent.name,
        comment=torrent.comment, created=torrent.created, is_single=torrent.is_single, is_private=torrent.private,
        tiers=torrent.tiers_with(()),
    )  # fmt: skip
    files = tuple((file.path, file.size_bytes) for file in torrent.files)
    content = Content(swarm, files, torrent.size_bytes, torrent.piece_length, torrent.piece_count)
    return _Known((content,), len(files) + 1)


def _of_metalink(metalink: Metalink) -> _Known:
    contents = tuple(_of_file(file) for file in metalink.files)
    return _Known(contents, sum(1 + len(each.urls) for each in contents))


def _of_file(file: MetalinkFile) -> Content:
    """Those mirrors of which bytes are fetched, no others."""
    urls = tuple(mirror.url for mirror in file.mirrors if scheme_of(mirror.url) in FOREIGN_SCHEMES)
    return Content(size_bytes=file.size or 0, name=file.name, urls=urls)


def _of_link(url: str) -> _Known:
    from thunderdl.sources.swarm.magnet import said_by

    try:
        return _Known((Content(said_by(url), piece_length=_MAGNET_PIECE_BYTES),))
    except ThunderdlError:
        return _Known()


def names_something(link: str) -> bool:
    """Whether it is a magnet link that names a torrent."""
    return bool(_of_link(link).contents)


def is_source(url: str) -> bool:
    """Whether bytes come from it: no link of a torrent does, and no document of the daemon's own."""
    return url.startswith("http") or ("://" in url and not is_magnet(url))
