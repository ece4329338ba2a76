"""One file over SFTP, beside OpenSSH's own ``sftp``: ``make bench-sftp``. Wall time of whole processes, medians.

``--rounds``, ``--mib``; both with their default options, the files in memory (/dev/shm) where there is such.
"""

from __future__ import annotations

import argparse
import getpass
import os
import random
import statistics
import tempfile
from pathlib import Path

from tests.bench.ftp import timed
from tests.bench.tools import beside_python
from tests.servers.sshd import SshServer, sshd


def commands(server: SshServer, file: Path, folder: Path) -> dict[str, list[str]]:
    """How each tool is asked."""
    there = f"{getpass.getuser()}@127.0.0.1:{file}"
    return {
        "thunderdl": [beside_python("thunderdl") or "", "get", "-q", "-d", str(folder), server.url(str(file))],
        "sftp": ["sftp", "-q", "-F", str(server.root / "client_conf"), "-P", str(server.port), there, str(folder)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mib", type=int, default=1024)
    given = parser.parse_args()
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"
    block = random.Random(1).randbytes(1 << 20)
    with tempfile.TemporaryDirectory(prefix="thunderdl-bench-") as name, sshd() as server:
        os.environ["PATH"] = server.path
        with (server.folder / "file").open("wb") as file:
            for _ in range(given.mib):
                file.write(block)
        walls: dict[str, list[float]] = {}
        for _ in range(given.rounds):
            for tool, command in commands(server, server.folder / "file", Path(name) / "out").items():
                wall_s, _ = timed(command, given.mib << 20, Path(name) / "out")
                walls.setdefault(tool, []).append(wall_s)
    print(f"{given.mib} MiB from sshd on loopback, {given.rounds} rounds")
    for tool, took in walls.items():
        print(f"  {tool:10} {statistics.median(took):6.2f} s   ({min(took):.2f} to {max(took):.2f})")
    ratio = statistics.median(walls["thunderdl"]) / statistics.median(walls["sftp"])
    print(f"  ours to theirs: {ratio:.2f} (aim: 1.00)")


if __name__ == "__main__":
    main()
