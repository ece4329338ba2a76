"""Who is there of a swarm and what trackers said, as last looked at: raw, and made into values when somebody asks.

What libtorrent gives out are copies: a look is made in a thread, its values are made on the loop, once for each look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import libtorrent as lt

from thunderdl.core.piecing import bitfield, full_bitfield
from thunderdl.errors import printable
from thunderdl.model import PeerProgress, TrackerProgress

# Trackers change their minds every few minutes; three of them take 60 us to look at.
TRACKERS_EVERY_S = 1.0
_ORIGINS = {
    lt.peer_info.tracker: "tracker", lt.peer_info.dht: "dht", lt.peer_info.pex: "pex", lt.peer_info.lsd: "lsd",
    lt.peer_info.resume_data: "resume data",
}  # fmt: skip
_SKIPPED = "skipping tracker announce"
# Of those whose peer called us libtorrent says so in the last bit alone.
_INCOMING = 1 << 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """``raw``: peers that are connected; ``web``: web seeds that are; ``trackers``: what each last said;
    ``up_bytes``, ``up_bytes_per_s``: payload that we sent, and send."""

    raw: Sequence[lt.peer_info] = ()
    web: Sequence[lt.peer_info] = ()
    trackers: tuple[TrackerProgress, ...] = ()
    up_bytes: int = 0
    up_bytes_per_s: int = 0
    _told: dict[bool, tuple[PeerProgress, ...]] = field(default_factory=dict, repr=False)

    @property
    def seeders(self) -> int:
        """How many of the peers have it all."""
        return sum(1 for peer in self.raw if peer.flags & lt.peer_info.seed)

    def peers(self, *, with_bitfields: bool = False) -> tuple[PeerProgress, ...]:
        """The peers as values."""
        if with_bitfields not in self._told:
            self._told[with_bitfields] = tuple(_told(peer, with_bitfields=with_bitfields) for peer in self.raw)
        return self._told[with_bitfields]

    def web_rate(self, url: str) -> float | None:
        """What the web seed brings, None where there is no connection to it. (libtorrent tells its host and port; two
        of one server cannot be told apart.)"""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
        rates = [p.payload_down_speed for p in self.web if p.ip[1] == port and _client(p).lower() == parts.hostname]
        return float(sum(rates)) if rates else None


class Announcing:
    """What the trackers of one torrent said, looked at now and then. ``faults``: the words of what went wrong, by URL,
    which libtorrent tells when it happens alone."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        self._seen: tuple[TrackerProgress, ...] = ()
        self._at = -TRACKERS_EVERY_S

    def look(self, handle: lt.torrent_handle) -> tuple[TrackerProgress, ...]:
        """In a thread."""
        now = time.monotonic()
        if now - self._at >= TRACKERS_EVERY_S:
            self._at, wall = now, time.time()
            rows = cast(list[Mapping[str, Any]], handle.trackers())
            self._seen = tuple(sorted((self._one(row, wall) for row in rows), key=lambda each: each.tier))
        return self._seen

    def hear(self, alert: object) -> bool:
        """Whether the alert was of a tracker."""
        if isinstance(alert, lt.tracker_error_alert):
            said = alert.failure_reason() or alert.error.message()
            # Of an address of ours that cannot reach it, as IPv6 where it has none: what the others found out counts.
            if not said.startswith(_SKIPPED):
                self.faults[alert.url] = printable(said).rstrip(".").lower()[:200]
            self._at = -TRACKERS_EVERY_S
            return True
        return False

    def _one(self, row: Mapping[str, Any], wall: float) -> TrackerProgress:
        fails, url = int(row["fails"]), str(row["url"])
        if not fails and not row["updating"]:
            self.faults.pop(url, None)
        message = self.faults.get(url) or _error_of(row) or printable(str(row["message"]))[:200]
        asked = bool(row["endpoints"])
        due = row["next_announce"]
        return TrackerProgress(
            url=url, tier=int(row["tier"]), message=message, fails=fails, is_updating=bool(row["updating"]),
            is_working=asked and not fails and bool(row["start_sent"]),
            next_announce_s=max(0.0, float(due) - wall) if due is not None and due > 0 else None,
            seeders=_count(row["scrape_complete"], asked=asked), leechers=_count(row["scrape_incomplete"], asked=asked),
        )  # fmt: skip


def _count(number: int, *, asked: bool) -> int | None:
    return number if asked and number >= 0 else None


def _error_of(row: Mapping[str, Any]) -> str:
    error = row["last_error"]
    return os.strerror(error["value"]).lower() if error["value"] and error["category"] == "system" else ""


def _client(peer: lt.peer_info) -> str:
    return peer.client.decode("utf-8", "replace")


def _told(peer: lt.peer_info, *, with_bitfields: bool) -> PeerProgress:
    address, port = peer.ip
    flags, info = peer.flags, lt.peer_info
    is_seed, bits = bool(flags & info.seed), b""
    if with_bitfields:
        pieces = peer.pieces
        bits = full_bitfield(len(pieces)) if is_seed else bitfield(pieces)
    source = int(peer.source)
    origins = [name for bit, name in _ORIGINS.items() if source & int(bit)]
    return PeerProgress(
        peer_id=bytes(peer.pid.to_bytes()), client=printable(_client(peer)), address=address, port=port,
        progress=peer.progress, is_seed=is_seed, am_choking=bool(flags & info.choked),
        peer_choking=bool(flags & info.remote_choked), down_bytes_per_s=peer.payload_down_speed,
        up_bytes_per_s=peer.payload_up_speed, origins=(*origins, *(["incoming"] if source & _INCOMING else [])),
        bitfield=bits,
    )  # fmt: skip
