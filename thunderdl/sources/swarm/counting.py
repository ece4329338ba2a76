"""What peers have sent, added up over those who come and go: libtorrent's own count of a torrent is made once a second.

(Looked at four times a second that one showed nothing, nothing, then all of it: who is held to a rate seemed idle.)
"""

from __future__ import annotations

from collections.abc import Iterable

import libtorrent as lt


class PeerBytes:
    """``total``: payload of all peers that were ever seen."""

    __slots__ = ("_by_peer", "total")

    def __init__(self) -> None:
        self._by_peer: dict[tuple[str, int], int] = {}
        self.total = 0

    def see(self, peers: Iterable[lt.peer_info]) -> int:
        """The total, with what these have sent since they were last seen."""
        for peer in peers:
            before = self._by_peer.get(peer.ip, 0)
            # One that has come back begins from nothing.
            self.total += peer.total_download - (before if before <= peer.total_download else 0)
            self._by_peer[peer.ip] = peer.total_download
        return self.total
