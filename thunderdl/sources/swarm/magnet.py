"""Magnet links: what they say, and the torrent that peers send for one (BEP 9)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Hashable, Iterable
from dataclasses import replace

import libtorrent as lt

from thunderdl.errors import shown_url
from thunderdl.model import SwarmFacts
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.torrent import BadTorrent, Torrent, bare, load, metainfo_of

LOOK_S = 0.5


class NobodyHasIt(SwarmFault):
    """No peer sent the metadata in time."""


def parse(link: str) -> lt.add_torrent_params:
    """What libtorrent reads from the link. Raises BadTorrent."""
    try:
        return lt.parse_magnet_uri(link)
    except (RuntimeError, ValueError) as error:
        said = str(error).partition(" [")[0].rstrip(".").lower()
        raise BadTorrent(shown_url(link)[:200], f"no usable magnet link ({said})") from None


def info_hashes(link: str) -> tuple[str, ...]:
    """What the link names, hexadecimal. Raises BadTorrent."""
    named = parse(link).info_hashes
    return (*([str(named.v1)] if named.has_v1() else []), *([str(named.v2)] if named.has_v2() else []))


def said_by(link: str) -> SwarmFacts:
    """What the link says of the torrent, before anybody has sent more. Raises BadTorrent."""
    params = parse(link)
    hashes, trackers = params.info_hashes, tuple(dict.fromkeys(params.trackers))
    return SwarmFacts(
        info_hash_v1=str(hashes.v1) if hashes.has_v1() else "", info_hash_v2=str(hashes.v2) if hashes.has_v2() else "",
        name=params.name, has_metadata=False, tiers=tuple((tracker,) for tracker in trackers),
    )  # fmt: skip


def named_by(link: str, metainfo: bytes) -> Torrent | None:
    """The torrent of a magnet link whose metadata was kept. None for any other: all that the link names it by must be
    its own, and of what is kept nothing counts that its hash does not prove. Raises BadTorrent for the link."""
    params, where = parse(link), shown_url(link)[:200]
    try:
        torrent = load(bare(load(metainfo, where).metainfo), where)
    except BadTorrent:
        return None
    wanted = params.info_hashes
    if wanted.has_v1() and str(wanted.v1) != torrent.info_hash_v1:
        return None
    if wanted.has_v2() and str(wanted.v2) != torrent.info_hash_v2:
        return None
    return _as_linked(torrent, params, ())


def _as_linked(torrent: Torrent, params: lt.add_torrent_params, met: Iterable[tuple[str, int]]) -> Torrent:
    """With the trackers, web seeds and peers that the link names, and peers met on the way to it."""
    trackers = tuple(dict.fromkeys(params.trackers))
    return replace(
        torrent, trackers=trackers, tiers=tuple(range(len(trackers))), web_seeds=tuple(params.url_seeds),
        # Who was met by the DHT before it was known that the torrent is private is not asked for more (BEP 27).
        peers=tuple(dict.fromkeys((*params.peers, *(() if torrent.private else met)))),
    )  # fmt: skip


async def metadata_of(
    host: Host, link: str, *, timeout_s: float, peers: Iterable[tuple[str, int]] = (), trackers: Iterable[str] = (),
    holder: Hashable | None = None,
) -> Torrent:  # fmt: skip
    """The torrent of a magnet link, from its peers. Raises BadTorrent, NobodyHasIt, SwarmFault.

    ``holder``: whose it is from now on, as :meth:`Host.add` has it; ``timeout_s``: how long nobody may be
    there; while peers are connected it is waited for ten times as long.
    """
    named, params = parse(link), parse(link)
    params.peers = [*params.peers, *peers]
    params.trackers = [*params.trackers, *trackers]
    params.flags |= lt.torrent_flags.upload_mode | lt.torrent_flags.default_dont_download
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()
    saved: asyncio.Future[bytes] = loop.create_future()

    def hear(alert: object) -> None:
        if isinstance(alert, lt.metadata_received_alert) and not came.done():
            came.set_result(None)
        elif isinstance(alert, lt.save_resume_data_alert) and not saved.done():
            # At once: what an alert refers to is gone with the next ones.
            saved.set_result(metainfo_of(alert.params))

    with tempfile.TemporaryDirectory(prefix="thunderdl-") as folder:
        # Nothing is written there: no piece is asked for.
        params.save_path = folder
        handle = await host.add(params, hear, holder)
        try:
            await _wait(host, handle, came, link, timeout_s)
            # With the piece layers, as far as peers have sent them.
            handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
            torrent = load(bare(await saved), shown_url(link)[:200])
            # Whoever sent it is asked for the pieces, too.
            return _as_linked(torrent, named, [peer.ip for peer in await host.call(handle.get_peer_info)])
        finally:
            await host.remove(handle)


async def _wait(
    host: Host, handle: lt.torrent_handle, came: asyncio.Future[None], link: str, timeout_s: float
) -> None:  # fmt: skip
    loop = asyncio.get_running_loop()
    began = alone_since = loop.time()
    while not (await asyncio.wait({came}, timeout=LOOK_S))[0]:
        now = loop.time()
        if (await host.call(handle.status, 0)).num_peers:
            alone_since = now
        elif now - alone_since > 4:
            host.reach_further()
        if now - alone_since > timeout_s or now - began > 10 * timeout_s:
            raise NobodyHasIt(
                f"{shown_url(link)[:120]}: nobody sent what it names within {timeout_s:g} seconds; "
                "wait longer with --timeout, or give peers or trackers with --peer and --tracker."
            )
