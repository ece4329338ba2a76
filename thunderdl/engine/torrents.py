"""From what the user named to a torrent: a file, a URL of one, a magnet link."""

from __future__ import annotations

import os

from thunderdl.engine.session import Session
from thunderdl.errors import printable
from thunderdl.options import Options
from thunderdl.sources.swarm.torrent import MAX_TORRENT_BYTES, BadTorrent, Torrent, load


async def torrent_of(session: Session, reference: str, options: Options) -> Torrent:
    """The torrent. Raises BadTorrent, ThunderdlError."""
    return load(await session.on_disk(_read, reference), reference)


def _read(path: str) -> bytes:
    try:
        if os.path.getsize(path) > MAX_TORRENT_BYTES:
            raise BadTorrent(path, "too large for a torrent")
        with open(path, "rb") as stream:
            return stream.read(MAX_TORRENT_BYTES)
    except OSError as error:
        raise BadTorrent(path, printable(error.strerror or str(error))) from None
