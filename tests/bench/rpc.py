"""aria2's RPC, ours beside the real aria2c: ``make bench-rpc``. Each round asks one, then the other.

What is measured: calls of ``tellStatus`` a second on one connection, and how long the slowest of 100 takes; the same
while one file is written by 16 connections at full speed, and, where there is bindfs, to a disk of 40 MiB/s;
``tellWaiting`` of 1,000 among 10,000; so many added by multicall (``--tasks``); the memory with them; how long a
restart with them takes. Medians of ``--rounds``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.disks import has_slow_disks, slow_disk
from tests.servers import real
from thunderdl.daemon.queue import Queue
from thunderdl.daemon.rules import Rules
from thunderdl.options import Options
from thunderdl.rpc.access import Access
from thunderdl.rpc.aria2.routes import Aria2
from thunderdl.rpc.listening import Place, opened
from thunderdl.rpc.secret import Secret
from thunderdl.rpc.server import Server

SECRET = "s"
TOGETHER, LOADED_S, START_LIMIT_S, SLOW_MIB_PER_S = 5000, 15.0, 120.0, 40
OURS, THEIRS = "thunderdl", "aria2c"
WORDS = {
    "calls": "tellStatus, calls a second", "p99": "  of 100 the slowest, ms", "loaded": "tellStatus under load, p99 ms",
    "loaded_rate": "  that load, MiB/s", "slow": "tellStatus beside a slow disk, p99 ms",
    "waiting": "tellWaiting 1,000 of 10,000, ms", "add": "added by multicall, s",
    "rss": "memory with them, MiB", "restart": "restart with them, s",
}  # fmt: skip


class Line:
    """One connection that is kept, as plain as can be: what is measured is the other end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def ask(self, method: str, *params: object) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [f"token:{SECRET}", *params]}
        if method == "system.multicall":
            call["params"] = list(params)
        return json.loads(self.post(json.dumps(call).encode()))["result"]

    def post(self, body: bytes) -> bytes:
        head = f"POST /jsonrpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        length = 0
        while (line := self._stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return self._stream.read(length)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


class Daemon:
    """One of the two, its files below ``folder``; to be started more than once."""

    def __init__(self, tool: str, folder: Path) -> None:
        self.tool, self.folder = tool, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "out").mkdir(parents=True)
        (folder / "session").touch()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        if self.tool == OURS:
            return [sys.executable, "-m", "tests.bench.rpc", "--serve", str(self.folder), str(self.port)]
        return [
            "aria2c", "--no-conf", "--enable-rpc", f"--rpc-listen-port={self.port}", f"--rpc-secret={SECRET}",
            f"--dir={self.folder}/out", "--quiet", "--enable-dht=false", "--file-allocation=none", "-x16", "-s16",
            "-k1M", f"--input-file={self.folder}/session", f"--save-session={self.folder}/session",
        ]  # fmt: skip

    def start(self) -> Line:
        """Its first answer is awaited."""
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL)
        for _ in range(int(START_LIMIT_S / 0.01)):
            try:
                line = Line(self.port)
            except OSError:
                time.sleep(0.01)
                continue
            line.ask("aria2.getVersion")
            return line
        raise SystemExit(f"{self.tool} did not begin to answer.")

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    @property
    def rss_mib(self) -> float:
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024


def added(line: Line, count: int) -> list[str]:
    """Paused tasks, by multicalls."""
    gids: list[str] = []
    for start in range(0, count, TOGETHER):
        calls = [
            {"methodName": "aria2.addUri",
             "params": [f"token:{SECRET}", [f"http://127.0.0.1:1/{number}"], {"pause": "true"}]}
            for number in range(start, min(count, start + TOGETHER))
        ]  # fmt: skip
        gids += [each[0] for each in line.ask("system.multicall", calls)]
    return gids


def timed(
    line: Line, gid: str, keys: list[str] | None, *, count: int = 3000, until: float = float("inf")
) -> list[float]:
    """How long each of so many calls took, in seconds."""
    call = {"id": 1, "method": "aria2.tellStatus", "params": [f"token:{SECRET}", gid, *([keys] if keys else [])]}
    body = json.dumps(call).encode()
    took: list[float] = []
    while len(took) < count and time.perf_counter() < until:
        begun = time.perf_counter()
        line.post(body)
        took.append(time.perf_counter() - begun)
    return took


def p99_ms(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98] * 1000


def measured(tool: str, folder: Path, url: str, tasks: int) -> dict[str, float]:
    """One round of one of them."""
    daemon = Daemon(tool, folder)
    line = daemon.start()
    found = {"loaded": 0.0}
    took = _loaded(line, url)
    found["loaded"], found["loaded_rate"] = p99_ms(took[0]), took[1]
    # aria2c closes a connection that asked some thousand times, in answer to the next large request.
    line.close()
    line = Line(daemon.port)
    gids = added(line, 10_000)
    took_idle = timed(line, gids[5000], None)
    found["calls"], found["p99"] = len(took_idle) / sum(took_idle), p99_ms(took_idle)
    listed = []
    for _ in range(10):
        begun = time.perf_counter()
        assert len(line.ask("aria2.tellWaiting", 4000, 1000)) == 1000
        listed.append((time.perf_counter() - begun) * 1000)
    found["waiting"] = statistics.median(listed)
    line.close()
    daemon.stop()
    if has_slow_disks():
        found["slow"] = _beside_a_slow_disk(tool, url)
    daemon = Daemon(tool, folder / "many")
    line = daemon.start()
    begun = time.perf_counter()
    added(line, tasks)
    found["add"], found["rss"] = time.perf_counter() - begun, daemon.rss_mib
    line.close()
    daemon.stop()
    begun = time.perf_counter()
    line = daemon.start()
    assert int(line.ask("aria2.getGlobalStat")["numWaiting"]) == tasks
    found["restart"] = time.perf_counter() - begun
    line.close()
    daemon.stop()
    return found


def _beside_a_slow_disk(tool: str, url: str) -> float:
    with slow_disk(SLOW_MIB_PER_S) as folder:
        daemon = Daemon(tool, folder / "daemon")
        line = daemon.start()
        found = p99_ms(_loaded(line, url)[0])
        line.close()
        daemon.stop()
    return found


def _loaded(line: Line, url: str) -> tuple[list[float], float]:
    """Calls while a large file comes; the rate that it comes at, in MiB/s."""
    gid = line.ask("aria2.addUri", [url])
    while not int(line.ask("aria2.tellStatus", gid, ["completedLength"])["completedLength"]):
        time.sleep(0.01)
    begun = time.perf_counter()
    took = []
    while (
        line.ask("aria2.tellStatus", gid, ["status"])["status"] == "active" and time.perf_counter() < begun + LOADED_S
    ):
        took += timed(line, gid, None, count=20)
        # A client that asks without a pause would be the load itself.
        time.sleep(0.02)
    done = int(line.ask("aria2.tellStatus", gid, ["completedLength"])["completedLength"])
    rate = done / (time.perf_counter() - begun) / (1 << 20)
    with contextlib.suppress(KeyError):
        line.ask("aria2.forceRemove", gid)
    return took, rate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(Path(given.serve[0]), int(given.serve[1])))
        return
    tools = [OURS, *([THEIRS] if shutil.which(THEIRS) else [])]
    rounds: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    with tempfile.TemporaryDirectory(prefix="thunderdl-bench-") as name, real.nginx() as server:
        with (server.folder / "file").open("wb") as file:
            file.truncate(given.mib << 20)
        for number, tool in itertools.product(range(given.rounds), tools):
            folder = Path(name) / f"{tool}-{number}"
            rounds[tool].append(measured(tool, folder, server.url("/file"), given.tasks))
            shutil.rmtree(folder)
    print(f"{given.rounds} rounds; {given.tasks} tasks; a file of {given.mib} MiB by 16 connections from nginx")
    print(f"  {'':34}" + "".join(f"{tool:>12}" for tool in tools) + f"{'ratio':>9}")
    for key, words in WORDS.items():
        if any(key not in found for found in rounds[OURS]):
            print(f"  {words:34}not measured (needs bindfs and root)")
            continue
        medians = [statistics.median(found[key] for found in rounds[tool]) for tool in tools]
        ratio = f"{medians[0] / medians[1]:9.2f}" if len(medians) > 1 and medians[1] else ""
        print(f"  {words:34}" + "".join(f"{value:12.2f}" for value in medians) + ratio)


async def _serve(folder: Path, port: int) -> None:
    options = Options(dir=str(folder / "out"), dht=False, lsd=False, checksum_files=False, per_host=16)
    async with Queue(str(folder), Rules(base=options, roots=(str(folder),))).running() as queue:
        secret = Secret(SECRET)
        aria2 = Aria2(queue, secret.proven, lambda _: None)
        sockets = opened([Place("127.0.0.1", port)])
        async with aria2.running(), Server(queue, sockets, Access(), secret, aria2.services).running():
            await asyncio.Future()


if __name__ == "__main__":
    main()
