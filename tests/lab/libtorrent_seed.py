"""``python -m tests.lab.libtorrent_seed TORRENT FOLDER ADDRESS PORT``: seed until the process is ended.

In seed mode: the file is taken for whole without a look, so that one with wrong bytes is seeded as readily.
"""

from __future__ import annotations

import signal
import sys

import libtorrent as lt

from tests.lab.libtorrent_client import QUIET

_NO_DISCOVERY = lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex


def main(torrent: str, folder: str, address: str, port: str) -> None:
    session = lt.session({**QUIET, "listen_interfaces": f"{address}:{port}"})
    params = lt.load_torrent_file(torrent)
    params.save_path = folder
    params.flags = lt.torrent_flags.seed_mode | _NO_DISCOVERY
    session.add_torrent(params)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
