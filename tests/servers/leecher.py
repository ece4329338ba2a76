"""A plain libtorrent client as the other end: it downloads what a seed of ours has. Loopback only, no discovery."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import libtorrent as lt

_LIMIT_S = 30.0
SETTINGS: Mapping[str, Any] = {
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True,
    "connection_speed": 200, "min_reconnect_time": 1, "ssrf_mitigation": False, "torrent_connect_boost": 100,
    "alert_mask": lt.alert.category_t.storage_notification,
}  # fmt: skip


class Leecher:
    """``session``: libtorrent's own."""

    def __init__(self, session: lt.session, folder: Path) -> None:
        self.session, self.folder = session, folder

    @property
    def port(self) -> int:
        return int(self.session.listen_port())

    def add(self, source: bytes | str, *peers: tuple[str, int]) -> lt.torrent_handle:
        """Begin a download: of a .torrent's bytes, or a magnet link."""
        params = lt.load_torrent_buffer(source) if isinstance(source, bytes) else lt.parse_magnet_uri(source)
        params.save_path, params.peers = str(self.folder), list(peers)
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        return self.session.add_torrent(params)

    def finish(self, handle: lt.torrent_handle) -> lt.torrent_status:
        """Wait until all is there, and in the files: what has been checked may still have to be written."""
        ends = time.monotonic() + _LIMIT_S
        while not (status := handle.status()).is_seeding:
            assert time.monotonic() < ends, f"{status.state} {status.progress:.0%} {status.num_peers} peers"
            time.sleep(0.02)
        self.session.pop_alerts()
        handle.flush_cache()
        while not any(isinstance(each, lt.cache_flushed_alert) for each in self.session.pop_alerts()):
            assert time.monotonic() < ends, "it does not flush its files"
            self.session.wait_for_alert(100)
        return status


@contextmanager
def leecher(folder: Path, **more: Any) -> Iterator[Leecher]:
    session = lt.session(cast(Any, {**SETTINGS, **more}))
    try:
        yield Leecher(session, folder)
    finally:
        session.pause()
        del session
