"""A torrent in the swarm as far as limits go: what it may bring and send, and what has come of it."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable

import libtorrent as lt

from thunderdl.sources.swarm.counting import PeerBytes
from thunderdl.sources.swarm.host import Host
from thunderdl.sources.swarm.settings import MOST_BYTES_PER_S


class Limited:
    """What is said before it is added holds from then on: who adds it asks for the limits in the parameters.

    ``holder``: whose it is, also while it is stopped, until that one leaves (:meth:`Host.leave`); None: nobody's then.
    """

    def __init__(self, host: Host, holder: Hashable | None = None) -> None:
        self._host, self._holder = host, holder
        self._handle: lt.torrent_handle | None = None
        self._limit = self._upload_limit = 0
        self._received = PeerBytes()

    def limit_downloads(self, bytes_per_s: int) -> None:
        """Let no more than this come from now on, from peers and web seeds; 0 for no limit."""
        self._limit = bytes_per_s = min(bytes_per_s, MOST_BYTES_PER_S)
        if self._handle is not None:
            self._host.limit(self._handle, bytes_per_s)

    def limit_uploads(self, bytes_per_s: int) -> None:
        """Send peers no more than this from now on; 0 for no limit."""
        self._upload_limit = bytes_per_s = min(bytes_per_s, MOST_BYTES_PER_S)
        if self._handle is not None:
            self._handle.set_upload_limit(bytes_per_s or -1)

    async def received_bytes(self) -> int:
        """What has come since it was added, of use or not."""
        if self._handle is not None:
            # One that libtorrent has given up is looked at elsewhere.
            with contextlib.suppress(RuntimeError):
                self._received.see(await self._host.call(self._handle.get_peer_info))
        return self._received.total
