"""A node of the DHT on loopback, that tells of all it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libtorrent as lt

from tests.engine.swarm import awaited


@contextmanager
def dht_node() -> Iterator[tuple[lt.session, int]]:
    """A node of the DHT, that tells of all it is asked."""
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0", "enable_dht": True, "dht_bootstrap_nodes": "", "enable_lsd": False,
            "enable_upnp": False, "enable_natpmp": False, "dht_restrict_routing_ips": False,
            "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification,
        }
    )  # fmt: skip
    awaited(lambda: session.listen_port() != 0 and session.is_dht_running())
    try:
        yield session, int(session.listen_port())
    finally:
        session.pause()


def asked_for(node: lt.session) -> set[str]:
    """The info-hashes that it was asked for since."""
    alerts = [alert for alert in node.pop_alerts() if isinstance(alert, lt.dht_get_peers_alert | lt.dht_announce_alert)]
    return {str(alert.info_hash) for alert in alerts}
