"""Magnet links: what they say, and the torrent that peers send for one (BEP 9)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import replace

import libtorrent as lt

from thunderdl.errors import shown_url
from thunderdl.sources.swarm.host import Host, SwarmFault
from thunderdl.sources.swarm.torrent import BadTorrent, Torrent, load, metainfo_of

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


async def metadata_of(
    host: Host, link: str, *, timeout_s: float, peers: Iterable[tuple[str, int]] = (), trackers: Iterable[str] = ()
) -> Torrent:  # fmt: skip
    """The torrent of a magnet link, from its peers. Raises BadTorrent, NobodyHasIt.

    ``timeout_s``: how long nobody may be there; while peers are connected it is waited for ten times as long.
    """
    params = parse(link)
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
        handle = await host.add(params, hear)
        try:
            await _wait(host, handle, came, link, timeout_s)
            # With the piece layers, as far as peers have sent them.
            handle.save_resume_data(lt.save_resume_flags_t.save_info_dict)
            torrent = load(await saved, shown_url(link)[:200])
            # Whoever sent it, and whoever is named, is asked for the pieces, too.
            known = [*params.peers, *(peer.ip for peer in await host.call(handle.get_peer_info))]
            return replace(
                torrent, trackers=tuple(params.trackers), web_seeds=tuple(params.url_seeds),
                peers=tuple(dict.fromkeys(known)),
            )  # fmt: skip
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
