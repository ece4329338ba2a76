"""A swarm inside the test: torrents made on the spot, and libtorrent sessions that seed them on loopback ports."""

from __future__ import annotations

import enum
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import libtorrent as lt

from tests.engine.runs import LIMIT_S, fetch
from tests.servers.exchange import generated
from thunderdl.model import Result

PIECE_BYTES = 64 * 1024
SIZE = 6 * 1024 * 1024 + 12_345
GOOD = generated(SIZE, seed=1)
CONTENT = bytes(GOOD.span(0, SIZE))
NAME = "f.bin"
ALONE: dict[str, Any] = {"dht": False, "lsd": False, "pex": False, "upload_limit": None}
"""Nobody is to be found but who is named."""
_QUIET: lt.settings_pack = {
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "listen_interfaces": "127.0.0.1:0", "allow_multiple_connections_per_ip": True, "enable_outgoing_utp": False,
    # Who has hung up is called again at once.
    "min_reconnect_time": 1, "connection_speed": 100,
}  # fmt: skip


class Kind(enum.Enum):
    """What a torrent holds hashes for."""

    V1 = lt.create_torrent.v1_only
    V2 = lt.create_torrent.v2_only
    HYBRID = 0


def made_torrent(folder: Path, kind: Kind = Kind.V1, content: bytes = CONTENT, piece_bytes: int = PIECE_BYTES) -> bytes:
    """The .torrent file of ``content``, which lies in ``folder`` then."""
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(content)
    torrent = lt.create_torrent([lt.create_file_entry(NAME, len(content))], piece_bytes, kind.value)
    lt.set_piece_hashes(torrent, str(folder))
    return bytes(lt.bencode(torrent.generate()))


class Seed:
    """One that has all of it, or says so: the file is taken for whole without a look."""

    def __init__(self, metainfo: bytes, folder: Path, *, rate_bytes_per_s: int = 0) -> None:
        self.session: lt.session = lt.session(_QUIET)
        params = lt.load_torrent_buffer(metainfo)
        params.save_path = str(folder)
        params.flags = lt.torrent_flags.seed_mode
        self.handle = self.session.add_torrent(params)
        if rate_bytes_per_s:
            self.handle.set_upload_limit(rate_bytes_per_s)
        awaited(lambda: self.session.listen_port() != 0)
        self.address = ("127.0.0.1", int(self.session.listen_port()))

    @property
    def sent_bytes(self) -> int:
        return int(self.handle.status().total_payload_upload)

    def leave(self) -> None:
        """Hang up, and be gone."""
        self.session.pause()

    def __enter__(self) -> Seed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.session.pause()
        del self.handle, self.session


@contextmanager
def seeds(metainfo: bytes, folder: Path, count: int = 2, *, rate_bytes_per_s: int = 0) -> Iterator[list[Seed]]:
    running = [Seed(metainfo, folder, rate_bytes_per_s=rate_bytes_per_s) for _ in range(count)]
    try:
        yield running
    finally:
        for seed in running:
            seed.leave()


def awaited(claim: Any, limit_s: float = LIMIT_S) -> None:
    """Wait until ``claim()`` holds."""
    until = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < until, "it has not come true"
        time.sleep(0.005)


def joint(
    named: str, folder: Path, *, urls: tuple[str, ...] = (), peers: tuple[Seed, ...] = (), **changes: Any
) -> Result:  # fmt: skip
    """Download what is named from URLs and peers into ``folder``; a failure is a Result too."""
    addresses = tuple(peer.address for peer in peers)
    return fetch(named, folder, mirrors=urls, **{**ALONE, "peers": addresses, **changes})
