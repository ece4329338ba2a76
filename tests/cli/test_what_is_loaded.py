"""A download loads what it uses: each module costs every file a part of its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.servers.fake_ftp import FakeFtp

UNUSED = ("http_sf", "httpx", "rich", "h2", "thunderdl.formats.listings", "thunderdl.formats.sidecars")
PROGRAM = f"""
import sys, thunderdl
thunderdl.get(sys.argv[1], sys.argv[2])
print([name for name in {UNUSED!r} if name in sys.modules])
"""


def test_a_small_file_loads_nothing_of_what_others_need(tmp_path: Path) -> None:
    with FakeFtp({"f": b"small"}) as server:
        command = [sys.executable, "-c", PROGRAM, server.url("f"), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (tmp_path / "f").read_bytes() == b"small"
    assert done.stdout == "[]\n"


def test_a_daemon_without_torrents_loads_no_libtorrent() -> None:
    """33 of 850 ms of its start."""
    program = "import sys, thunderdl.cli.serving, thunderdl.rpc.server; print('libtorrent' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
