"""One file over FTP, beside lftp and aria2: ``make bench-ftp``. Wall time of whole processes, in turn, medians.

``--rounds``, ``--mib``, ``--server vsftpd|proftpd``; the files are in memory (/dev/shm) where there is such.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.tools import beside_python
from tests.servers import ftp

CONNECTIONS = 4


def commands(url: str, folder: Path) -> dict[str, list[str]]:
    """How each tool is asked; those that are absent are left out."""
    found = {
        "thunderdl": [beside_python("thunderdl") or "", "get", "-q", "-d", str(folder), "--per-host", "4", url],
        "aria2c": ["aria2c", "-q", f"-x{CONNECTIONS}", f"-s{CONNECTIONS}", "-k1M", "--file-allocation=none", "-d",
                   str(folder), url],
        "lftp": ["lftp", "-e", f"set cmd:interactive no; pget -n {CONNECTIONS} -O {folder} {url}; exit"],
    }  # fmt: skip
    return {name: command for name, command in found.items() if command[0] and shutil.which(command[0])}


def timed(command: list[str], size: int, folder: Path) -> tuple[float, float]:
    """Seconds of one run, into an empty folder: on the wall, and of the CPU by the tool alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began, cpu_before = time.perf_counter(), _cpu_s()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - began
    assert [path.stat().st_size for path in folder.iterdir()] == [size], command[0]
    return took, _cpu_s() - cpu_before


def _cpu_s() -> float:
    # Of children that were waited for: the server is none of them yet.
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--server", choices=["vsftpd", "proftpd"], default="vsftpd")
    given = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if memory:
        tempfile.tempdir = memory
    size, block = given.mib << 20, random.Random(1).randbytes(1 << 20)
    serve = ftp.vsftpd if given.server == "vsftpd" else ftp.proftpd
    with tempfile.TemporaryDirectory(prefix="thunderdl-bench-") as name, serve() as server:
        with (server.folder / "file").open("wb") as file:
            for _ in range(given.mib):
                file.write(block)
        login = f"{ftp.USER}:{ftp.PASSWORD}@" if given.server == "proftpd" else ""
        url = f"ftp://{login}127.0.0.1:{server.port}/file"
        runs: dict[str, list[tuple[float, float]]] = {}
        for _ in range(given.rounds):
            for tool, command in commands(url, Path(name) / "out").items():
                runs.setdefault(tool, []).append(timed(command, size, Path(name) / "out"))
    print(f"{given.mib} MiB from {given.server} on loopback, {CONNECTIONS} connections, {given.rounds} rounds")
    report(runs)


def report(runs: dict[str, list[tuple[float, float]]]) -> None:
    """Print a row for each tool, and how ours does."""
    walls = {tool: statistics.median(wall for wall, _ in took) for tool, took in runs.items()}
    for tool, took in runs.items():
        least, most = min(wall for wall, _ in took), max(wall for wall, _ in took)
        cpu = statistics.median(cpu for _, cpu in took)
        print(f"  {tool:10} {walls[tool]:5.2f} s ({least:.2f} to {most:.2f}), {cpu:.2f} s of CPU")
    others = [wall for tool, wall in walls.items() if tool != "thunderdl"]
    if others:
        print(f"  ours to the best of the others: {walls['thunderdl'] / min(others):.2f} (aim: 0.80)")


if __name__ == "__main__":
    main()
