"""A tracker of the tests (BEP 3, compact peers by BEP 23): it names peers given to it, or whoever announced.

With ``peers`` given, every client gets the same ones at its first announce, whatever the seeds themselves announce:
what is compared is how clients use a swarm, not how they find it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.lab.torrent import bencode

INTERVAL_S = 3
"""Short, so that a client asks again within the few seconds of a race."""
Peer = tuple[str, int]


def compact(peers: Iterable[Peer]) -> bytes:
    """Six bytes for each: address and port."""
    return b"".join(ipaddress.IPv4Address(address).packed + port.to_bytes(2) for address, port in peers)


class Swarm:
    """Who is in it. ``peers``: named to everybody, for ever; None for those that have announced."""

    def __init__(self, peers: Iterable[Peer] | None = None) -> None:
        self._given = None if peers is None else tuple(peers)
        self._announced: dict[Peer, bool] = {}
        self._lock = threading.Lock()

    def answer(self, client: str, query: str) -> bytes:
        """The bencoded answer to an announce from the address ``client``; a stopped client is named no more."""
        # Latin 1: info_hash and peer_id are bytes, not text.
        told = parse_qs(query, encoding="latin-1")
        me = client, int(told.get("port", ["0"])[0])
        with self._lock:
            self._announced.pop(me, None)
            if told.get("event") != ["stopped"]:
                self._announced[me] = told.get("left") == ["0"]
            peers = [peer for peer in self._announced if peer != me] if self._given is None else self._given
            seeds = sum(self._announced.values())
        # To one that has all of it seeds are of no use, but BEP 3 lets it be named them all the same.
        return bencode({
            b"interval": INTERVAL_S, b"min interval": INTERVAL_S, b"complete": seeds,
            b"incomplete": len(self._announced) - seeds, b"peers": compact(peers),
        })  # fmt: skip


@contextlib.contextmanager
def tracking(swarm: Swarm, address: str = "127.0.0.1") -> Iterator[str]:
    """Serve; gives the announce URL. Its path is one that libtorrent lets pass on loopback (ssrf_mitigation)."""
    server = _Server(swarm, address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_address[1]}/announce"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, swarm: Swarm, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.swarm = swarm

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is killed closes on us; that is no event."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        body = self.server.swarm.answer(self.client_address[0], asked.query) if asked.path == "/announce" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""
