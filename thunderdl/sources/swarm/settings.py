"""libtorrent's settings, as far as they differ from its own defaults, and why."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import libtorrent as lt

_PROXY_TYPES = {"socks4": (1, 1), "socks5": (2, 3), "http": (4, 5), "https": (4, 5)}
_ENCRYPTION = {"prefer": (1, 1), "require": (0, 0), "off": (2, 2)}
# libtorrent's own first port and the nine behind it, as clients have always done; then any that is free.
DHT_NODES = (
    "router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "router.utorrent.com:6881", "dht.libtorrent.org:25401",
)  # fmt: skip
DEFAULT_PORTS = range(6881, 6891)
# libtorrent counts rates in 32 bits, and refuses what is more.
MOST_BYTES_PER_S = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmSettings:
    """What a user may choose. ``listen``: interfaces as ``address:port``, comma-separated; ``encryption``: prefer,
    require or off; ``proxy``: URL or None; ``interface``: name or address of the only one to connect from."""

    listen: str
    user_agent: str
    dht: bool = True
    lsd: bool = True
    pex: bool = True
    utp: bool = True
    upnp: bool = False
    encryption: str = "prefer"
    proxy: str | None = None
    interface: str | None = None


def settings_pack(chosen: SwarmSettings) -> dict[str, object]:
    """The settings of a session."""
    incoming, outgoing = _ENCRYPTION[chosen.encryption]
    pack: dict[str, object] = {
        "user_agent": chosen.user_agent,
        "listen_interfaces": chosen.listen,
        "alert_mask": _ALERTS,
        # A wide mask with the default of 2,000 lost alerts of 512 pieces.
        "alert_queue_size": 100_000,
        "enable_dht": chosen.dht, "enable_lsd": chosen.lsd,
        "dht_bootstrap_nodes": ",".join(DHT_NODES) if chosen.dht else "",
        # A port mapping outlives us, and its reply may name any address (libtorrent 2ccfa1948): not by itself.
        "enable_upnp": chosen.upnp, "enable_natpmp": chosen.upnp,
        # Over uTP 5 MB/s on loopback where TCP brought 250, and where a peer speaks none it is 5 s until TCP is tried:
        # only for those who are reached by nothing else (Host.reach_further).
        "enable_outgoing_utp": False, "enable_incoming_utp": chosen.utp,
        "mixed_mode_algorithm": 0,
        "in_enc_policy": incoming, "out_enc_policy": outgoing, "allowed_enc_level": 3,
        # We ask for few pieces at a time and for more when they come: between the two nobody is to hang up.
        "close_redundant_connections": False,
        # What peers were asked for cannot be given to a mirror any more: a second of it, not three.
        "request_queue_time": 1,
        # Several peers behind one address are different peers.
        "allow_multiple_connections_per_ip": True,
        "hashing_threads": 2,
        # A tracker that is down does not hold up the end of a program.
        "stop_tracker_timeout": 1, "tracker_completion_timeout": 20,
        "validate_https_trackers": True, "ssrf_mitigation": True,
        "connection_speed": 100, "torrent_connect_boost": 100,
        "active_downloads": -1, "active_seeds": -1, "active_limit": -1, "dont_count_slow_torrents": True,
        "rate_limit_ip_overhead": False,
    }  # fmt: skip
    if chosen.interface:
        pack["outgoing_interfaces"] = chosen.interface
    if chosen.proxy:
        pack |= _proxy(chosen.proxy)
    return pack


def _proxy(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    plain, with_login = _PROXY_TYPES[parts.scheme.removesuffix("h").removesuffix("a")]
    return {
        "proxy_type": with_login if parts.username else plain,
        "proxy_hostname": parts.hostname or "", "proxy_port": parts.port or (1080 if "socks" in parts.scheme else 8080),
        "proxy_username": unquote(parts.username or ""), "proxy_password": unquote(parts.password or ""),
        "proxy_hostnames": True, "proxy_peer_connections": True, "proxy_tracker_connections": True,
        # Multicast goes through no proxy: it would tell the local network what is fetched, and answers come directly.
        "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    }  # fmt: skip


_CATEGORIES = lt.alert.category_t
_ALERTS = (
    _CATEGORIES.error_notification
    | _CATEGORIES.piece_progress_notification
    | _CATEGORIES.status_notification
    | _CATEGORIES.storage_notification
    # Who is banned for wrong bytes.
    | _CATEGORIES.peer_notification
)
