"""From what the user named to a torrent: a file, a URL of one, a magnet link."""

from __future__ import annotations

from thunderdl.engine.documents import fetched
from thunderdl.engine.session import Session
from thunderdl.errors import shown_url
from thunderdl.formats.links import is_magnet
from thunderdl.options import Options
from thunderdl.sources.swarm.magnet import metadata_of
from thunderdl.sources.swarm.torrent import MAX_TORRENT_BYTES, Torrent, load, read_metainfo


async def torrent_of(session: Session, reference: str, options: Options) -> Torrent:
    """The torrent that ``reference`` names. Raises BadTorrent, ThunderdlError."""
    if is_magnet(reference):
        host = await session.swarm()
        return await metadata_of(
            host, reference, timeout_s=options.timeout, peers=options.peers, trackers=options.trackers
        )  # fmt: skip
    if "://" in reference:
        metainfo = await fetched(session, reference, options, most_bytes=MAX_TORRENT_BYTES)
        return load(metainfo, shown_url(reference))
    return load(await session.on_disk(read_metainfo, reference), reference)
