"""From what the user named to a torrent: a file, a URL of one, a magnet link."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable

from thunderdl.engine.documents import fetched
from thunderdl.engine.session import Session
from thunderdl.errors import StorageError, UsageError, printable, shown_url
from thunderdl.formats.links import is_magnet
from thunderdl.options import Options
from thunderdl.sources.swarm.magnet import info_hashes, metadata_of, named_by
from thunderdl.sources.swarm.torrent import MAX_TORRENT_BYTES, Torrent, load, read_metainfo
from thunderdl.storage import metainfo


async def torrent_of(
    session: Session, reference: str, options: Options, told_by: str = "", holder: Hashable | None = None
) -> Torrent:  # fmt: skip
    """The torrent that ``reference`` names. ``told_by``: who told us, where the user did not; ``holder``: whose it is
    from the moment on that peers are asked for it, until that one leaves the swarm; None for nobody's. Raises
    BadTorrent, ThunderdlError."""
    if is_magnet(reference):
        return await _linked(session, reference, options, holder)
    if "://" in reference:
        document = await fetched(session, reference, options, most_bytes=MAX_TORRENT_BYTES, told_by=told_by)
        return load(document, shown_url(reference))
    return load(await session.on_disk(read_metainfo, reference), reference)


def check_size(torrent: Torrent, reference: str, size_bytes: int | None) -> None:
    """Raise UsageError where it names one file, and not one of ``size_bytes``; None: that is not known."""
    if torrent.is_single and size_bytes not in (None, torrent.size_bytes):
        found = f"{torrent.size_bytes} bytes, not {size_bytes}"
        raise UsageError(f"{shown_url(reference)[:200]}: it is of another file: {found}.")


async def keep(session: Session, torrent: Torrent) -> None:
    """What peers sent for a magnet link is there for the next run, too; where it cannot be, peers are asked again."""
    with contextlib.suppress(StorageError):
        for info_hash in torrent.info_hashes:
            await session.on_disk(metainfo.keep, info_hash, torrent.metainfo)


async def forget(session: Session, torrent: Torrent) -> None:
    """All of it is here."""
    for info_hash in torrent.info_hashes:
        await session.on_disk(metainfo.forget, info_hash)


def privacy_note(torrent: Torrent, options: Options) -> str:
    """What the user named and a private torrent does not allow, "" where that is nothing (BEP 27)."""
    if not torrent.private or not set(options.trackers) - set(torrent.trackers):
        return ""
    name = printable(torrent.name)
    return f"{name} is a private torrent: --tracker is not used, its peers come from its own trackers alone"


async def _linked(session: Session, link: str, options: Options, holder: Hashable | None) -> Torrent:
    """What a magnet link names: kept from an earlier run, or sent by peers."""
    for info_hash in info_hashes(link):
        kept = await session.on_disk(metainfo.find, info_hash)
        if kept is not None and (torrent := named_by(link, kept)) is not None:
            return torrent
    host = await session.swarm()
    return await metadata_of(
        host, link, timeout_s=options.timeout, peers=options.peers, trackers=options.trackers, holder=holder
    )  # fmt: skip
