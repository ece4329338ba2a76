"""From what the user named to a torrent: a file, a URL of one, a magnet link."""

from __future__ import annotations

from dataclasses import replace

from thunderdl.engine.session import Session
from thunderdl.errors import shown_url
from thunderdl.formats.links import is_magnet
from thunderdl.options import Options
from thunderdl.sources.swarm.magnet import metadata_of
from thunderdl.sources.swarm.torrent import MAX_TORRENT_BYTES, BadTorrent, Torrent, load, read_metainfo

_WINDOW_BYTES = 4 * 1024 * 1024


async def torrent_of(session: Session, reference: str, options: Options) -> Torrent:
    """The torrent that ``reference`` names. Raises BadTorrent, ThunderdlError."""
    if is_magnet(reference):
        host = await session.swarm()
        return await metadata_of(
            host, reference, timeout_s=options.timeout, peers=options.peers, trackers=options.trackers
        )  # fmt: skip
    if "://" in reference:
        return load(await _fetched(session, reference, options), shown_url(reference))
    return load(await session.on_disk(read_metainfo, reference), reference)


async def _fetched(session: Session, url: str, options: Options) -> bytes:
    from thunderdl.engine.streaming import stream

    # What the user gave to check the file with is not for the torrent.
    plain = replace(options, torrent=None, checksum=None, piece_hashes=None, out=None)
    parts, total = list[bytes](), 0
    async for part in stream(session, (url,), plain, _WINDOW_BYTES):
        total += len(part)
        if total > MAX_TORRENT_BYTES:
            raise BadTorrent(shown_url(url), "too large for a torrent")
        parts.append(part)
    return b"".join(parts)
