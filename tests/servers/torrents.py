"""Torrents made on the spot, and a seed of them on 127.0.0.1: libtorrent, without DHT and without local discovery."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import libtorrent as lt

KINDS = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}
_LIMIT_S = 30.0
_FLAGS_OFF = lt.torrent_flags.auto_managed | lt.torrent_flags.paused


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that are the same in each run."""
    return random.Random(seed).randbytes(size)


def write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    """Each file of the mapping, by its path below ``folder``."""
    for name, held in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)


def tree_of(folder: Path) -> dict[str, bytes]:
    """What :func:`write_tree` would write to get what is there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def metainfo(path: Path, *, kind: str = "v1", piece_bytes: int = 65536, **more: object) -> bytes:
    """The .torrent of a file or folder. ``more``: top-level keys, bencoded as they are."""
    # The order of a folder is the file system's.
    files = sorted(lt.list_files(str(path)), key=lambda each: each.filename)
    made = lt.create_torrent(files, piece_bytes, KINDS[kind])
    lt.set_piece_hashes(made, str(path.parent))
    tree = cast(dict[bytes, object], made.generate())
    tree.update({key.replace("_", "-").encode(): value for key, value in more.items()})
    return lt.bencode(cast(Any, tree))


class Seed:
    """One that has it all. ``peer``: where it listens; ``sent_bytes``: of payload so far."""

    def __init__(self, torrent: bytes, parent: Path, *, upload_limit: int = 0) -> None:
        self._session = lt.session(
            {
                "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
                "enable_natpmp": False, "alert_mask": 0, "upload_rate_limit": upload_limit,
                "allow_multiple_connections_per_ip": True,
            }
        )  # fmt: skip
        params = lt.load_torrent_buffer(torrent)
        params.save_path = str(parent)
        params.flags = (params.flags | lt.torrent_flags.seed_mode) & ~_FLAGS_OFF
        # Local peers are not limited but where the torrent itself is.
        params.upload_limit = upload_limit or -1
        self._handle = self._session.add_torrent(params)
        self.peer = ("127.0.0.1", _port(self._session))

    @property
    def sent_bytes(self) -> int:
        return self._handle.status().total_payload_upload

    def limit(self, bytes_per_s: int) -> None:
        """Send no more from now on; 0 for no limit."""
        self._handle.set_upload_limit(bytes_per_s or -1)


@contextlib.contextmanager
def seeding(torrent: bytes, parent: Path, *, upload_limit: int = 0) -> Iterator[Seed]:
    """A seed of what lies in ``parent``, for as long as the context lasts."""
    seed = Seed(torrent, parent, upload_limit=upload_limit)
    try:
        yield seed
    finally:
        seed._session.pause()


def _port(session: lt.session) -> int:
    until = time.monotonic() + _LIMIT_S
    while not (port := int(session.listen_port())):
        assert time.monotonic() < until, "the seed does not listen"
        time.sleep(0.005)
    return port
