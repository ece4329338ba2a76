"""What the daemon's API costs: ``python -m tests.bench.daemon``. One client, one connection, one request after another.

CPU is the daemon's own: on a busy machine it says more than the clock. Needs nginx for the last part: how long a
request takes, and how regularly the page hears of it, with 10,000 tasks in the queue and a download that runs as fast
as loopback goes; where there is bindfs, the same on a disk of 40 MiB/s.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.disks import has_slow_disks, slow_disk
from tests.servers import real

SECRET = "secret-of-the-bench"
BATCH = 10_000
SLOW_MIB_PER_S = 40


class Api:
    """A keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {SECRET}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + data)
        status = int(self._stream.readline().split()[1])
        length = 0
        while (line := self._stream.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answer = self._stream.read(length)
        assert status < 300, answer
        return json.loads(answer) if answer else None


class Ear(threading.Thread):
    """Listens to the events as the page does: what is told of tasks, each half a second while something runs."""

    def __init__(self, port: int, gid: str) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_connection(("127.0.0.1", port))
        fields = f"host: localhost\r\nauthorization: Bearer {SECRET}\r\n"
        self._socket.sendall(f"GET /api/v1/events?task={gid} HTTP/1.1\r\n{fields}\r\n".encode())
        self.heard_at: list[float] = []

    def run(self) -> None:
        for line in self._socket.makefile("rb"):
            if line == b"event: tasks\n":
                self.heard_at.append(time.perf_counter())

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.heard_at, self.heard_at[1:], strict=False)]


@contextmanager
def daemon(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A daemon over ``folder``, at a free port, stopped in the end."""
    environment = {**os.environ, "THUNDERDL_RPC_SECRET": SECRET, "THUNDERDL_CONFIG": "/nonexistent"}
    argv = [sys.executable, "-m", "thunderdl", "daemon", "--listen", "127.0.0.1:0", "--no-dht", "--no-lsd"]
    argv += ["--state", str(folder / "state"), "-d", str(folder / "out")]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def cpu_s(process: subprocess.Popen[str]) -> float:
    """What it has used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate_of(what: str, process: subprocess.Popen[str], count: int, ask: Any) -> None:
    """Print requests a second, times in milliseconds, CPU in microseconds a request."""
    taken, used = [], cpu_s(process)
    for number in range(count):
        began = time.perf_counter()
        ask(number)
        taken.append(time.perf_counter() - began)
    cost = (cpu_s(process) - used) / count * 1e6
    print(f"{what:44} {count / sum(taken):7.0f}/s  {_times(taken)}, CPU {cost:5.0f} µs", flush=True)


def told(what: str, clock_s: float, used_s: float) -> None:
    print(f"{what:44} {clock_s:7.1f} s, CPU {used_s:.1f} s", flush=True)


def _times(taken: list[float]) -> str:
    ordered = sorted(taken)
    p99 = ordered[int(len(ordered) * 0.99)]
    return (
        f"median {statistics.median(ordered) * 1e3:6.2f} ms, p99 {p99 * 1e3:6.2f} ms, max {ordered[-1] * 1e3:6.2f} ms"
    )


def memory_mib(process: subprocess.Popen[str]) -> float:
    """What of it is in memory, libraries that others share among it."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def task(number: int) -> dict[str, object]:
    return {"urls": [f"http://127.0.0.1:1/folder/of/some/length/file-{number:06}.iso"], "paused": True}


def calls(folder: Path, count: int) -> None:
    """One call after another, on a small queue and on a large one."""
    with daemon(folder) as (port, process):
        api = Api(port)
        print(f"{'memory, empty':44} {memory_mib(process):7.0f} MiB")
        gid = api.ask("POST", "/api/v1/tasks", task(0))["tasks"][0]["gid"]
        rate_of("GET tasks/{gid}", process, count, lambda _: api.ask("GET", f"/api/v1/tasks/{gid}"))
        rate_of("POST tasks, one by one", process, count, lambda number: api.ask("POST", "/api/v1/tasks", task(number)))
        api.ask("DELETE", "/api/v1/history")
        began, used = time.perf_counter(), cpu_s(process)
        for first in range(0, 100_000, BATCH):
            api.ask("POST", "/api/v1/tasks", {"tasks": [task(number) for number in range(first, first + BATCH)]})
        told("100,000 tasks by POST, 10,000 at once", time.perf_counter() - began, cpu_s(process) - used)
        print(f"{'memory, with them':44} {memory_mib(process):7.0f} MiB")
        rate_of("GET tasks?state=waiting&limit=1000", process, 50, lambda _: api.ask(
            "GET", "/api/v1/tasks?state=waiting&offset=50000&limit=1000"))  # fmt: skip
        rate_of("GET tasks/{gid}, beside them", process, count, lambda _: api.ask("GET", f"/api/v1/tasks/{gid}"))
        moved = moves_of(gid)
        rate_of("POST move, beside them", process, 300, lambda _: api.ask("POST", *next(moved)))
        began = time.perf_counter()
    print(f"{'stop':44} {time.perf_counter() - began:7.2f} s")
    began = time.perf_counter()
    with daemon(folder) as (port, process):
        assert Api(port).ask("GET", "/api/v1/tasks?state=waiting&limit=1")["total"] > 100_000
        told("start with them, to the first answer", time.perf_counter() - began, cpu_s(process))
        print(f"{'memory, after that start':44} {memory_mib(process):7.0f} MiB")


def moves_of(gid: str) -> Iterator[tuple[str, object]]:
    while True:
        for to in ("top", "bottom", 50_000):
            yield f"/api/v1/tasks/{gid}/move", {"to": to}


def beside_a_download(folder: Path, size: int, disk: str) -> None:
    """GET tasks/{gid} and the page's events while its file comes over 16 lanes, 10,000 others waiting."""
    with real.nginx() as nginx, daemon(folder) as (port, _):
        with (nginx.folder / "large").open("wb") as stream:
            stream.truncate(size)
        api = Api(port)
        api.ask("POST", "/api/v1/tasks", {"tasks": [task(number) for number in range(BATCH)]})
        gid = api.ask("POST", "/api/v1/tasks", {"urls": [nginx.url("/large")]})["tasks"][0]["gid"]
        ear = Ear(port, gid)
        ear.start()
        taken, seen = [], []
        while True:
            began = time.perf_counter()
            told = api.ask("GET", f"/api/v1/tasks/{gid}")
            taken.append(time.perf_counter() - began)
            if told["state"] not in ("active", "waiting", "verifying"):
                break
            seen.append((told["rate_bytes_per_s"], told["connections"]))
            time.sleep(0.002)
        assert told["state"] == "complete", told
        seconds = told["ended_at"] - told["began_at"]
        told_of = f"{disk}: a download of"
        print(f"{told_of:44} {size / seconds / 2**20:7.0f} MiB/s, {max(lanes for _, lanes in seen)} lanes")
        print(f"{'GET tasks/{gid} meanwhile':44} {len(taken):7} calls  {_times(taken)}")
        print(f"{'between two events of the page, 500 ms':44} {len(ear.gaps):7} gaps   {_times(ear.gaps)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--gib", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        calls(Path(folder), given.calls)
    with tempfile.TemporaryDirectory() as folder:
        beside_a_download(Path(folder), given.gib << 30, "disk")
    if has_slow_disks():
        with slow_disk(SLOW_MIB_PER_S) as slow:
            beside_a_download(slow, 1 << 30, f"disk of {SLOW_MIB_PER_S} MiB/s")


if __name__ == "__main__":
    main()
