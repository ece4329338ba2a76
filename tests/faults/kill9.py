"""kill -9 at random moments of a large download, again and again: is the file the same, and what did it cost?

``python -m tests.faults.kill9`` serves a file from nginx on loopback (from the loopback server where nginx is
absent), kills the program some times, lets it end, compares the bytes, looks what is left beside the file, and
counts in the server's log what was served in all. aria2c, where it is there, is killed the same way: with its
defaults, and with its control file written each second.

The server's log counts what it handed to the kernel: what was under way when a program died is in it, for all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.scene import LIMIT_S, NAME_TAKEN, Broken, get, started, surroundings
from tests.servers import real
from tests.servers.limits import Limits
from tests.servers.loopback import LoopbackServer, generated

MIB = 1 << 20
PIECE_BYTES = 4 * MIB
# How long Python or aria2c need before the first byte: kills before it hit nothing.
START_S = 0.15
_LOGGED = re.compile(r'" 20[06] (\d+) "')
# A dead client's requests reach the log when nginx notices: at once on loopback, but not before the program is gone.
LOG_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What is served. ``urls``: mirrors of each other; ``served``: bytes of bodies so far, by all of them."""

    urls: tuple[str, ...]
    size_bytes: int
    sha256: str
    pieces: Path
    work: Path
    served: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program to kill, and its command for what is served and a folder."""

    name: str
    command: Callable[[Ground, Path], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``served``: of the size, in all lives; ``lives``: how many there were."""

    served: float
    lives: int
    seconds: float


def tools(connections: int) -> Iterator[Tool]:
    """thunderdl in its variants, then aria2c."""
    lanes = ["-q", "--connections", str(connections), "--per-host", str(connections)]

    def ours(*options: str, urls: int = 1) -> Callable[[Ground, Path], list[str]]:
        return lambda ground, folder: get(
            ground.urls[:urls], folder, [*lanes, *(option.format(ground=ground) for option in options)]
        )

    yield Tool(name="thunderdl", command=ours())
    yield Tool(name="thunderdl --piece-hashes", command=ours("--piece-hashes", "{ground.pieces}"))
    yield Tool(name="thunderdl --checksum", command=ours("--checksum", "sha-256={ground.sha256}"))
    yield Tool(name="thunderdl, two mirrors", command=ours(urls=2))
    if program := shutil.which("aria2c"):
        base = [program, "--no-conf=true", "-q", "-c", f"-x{connections}", f"-s{connections}", "-k1M"]
        base += ["--file-allocation=none", "--allow-overwrite=true"]

        def aria2(*options: str) -> Callable[[Ground, Path], list[str]]:
            return lambda ground, folder: [*base, *options, "-d", str(folder), ground.urls[0]]

        yield Tool(name="aria2c", command=aria2())
        yield Tool(name="aria2c, saving each second", command=aria2("--auto-save-interval=1"))


def once(tool: Tool, ground: Ground, kills: int, whole_s: float, chance: random.Random) -> Run:
    """Kill ``kills`` times, then run to the end and check. Raises Broken."""
    with tempfile.TemporaryDirectory(dir=ground.work) as name:
        folder, before, began, lives = Path(name), ground.served(), time.monotonic(), 1
        while lives <= kills and live(tool.command(ground, folder), _moment(kills, whole_s, chance)):
            lives += 1
        if lives > kills:
            ended = subprocess.run(
                tool.command(ground, folder), env=surroundings(), capture_output=True, timeout=2 * LIMIT_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            # The last kill may have hit after the final name was given, and before the program was gone.
            if ended.returncode not in (0, NAME_TAKEN):
                raise Broken(f"{tool.name}: code {ended.returncode}: {ended.stderr.decode(errors='replace')}")
        seconds = time.monotonic() - began
        check(folder, ground, tool)
        time.sleep(LOG_S)
        return Run(served=(ground.served() - before) / ground.size_bytes, lives=lives, seconds=seconds)


def _moment(kills: int, whole_s: float, chance: random.Random) -> float:
    """So that all lives together are about as long as one whole run, and any moment may be hit."""
    return START_S + chance.uniform(0.0, 2.0 * whole_s / (kills + 1))


def live(command: Sequence[str], seconds: float) -> bool:
    """Run, and kill after this long; False where it was over before. Raises Broken where it failed by itself."""
    with started(command) as process:
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if process.returncode not in (0, NAME_TAKEN, -signal.SIGKILL):
            told = process.stderr.read().decode(errors="replace") if process.stderr else ""
            raise Broken(f"code {process.returncode}: {told}")
        return process.returncode == -signal.SIGKILL


def check(folder: Path, ground: Ground, tool: Tool) -> None:
    """The right bytes and nothing beside them. Raises Broken."""
    (name,) = {url.rsplit("/", 1)[1] for url in ground.urls}
    if (left := sorted(os.listdir(folder))) != [name]:
        raise Broken(f"{tool.name}: in the folder: {left}")
    with (folder / name).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != ground.sha256:
            raise Broken(f"{tool.name}: the bytes are not the same")


@contextlib.contextmanager
def ground(size_bytes: int, rate: str, work: Path) -> Iterator[Ground]:
    """Two servers of one file; ``rate``: of each connection, as nginx writes it."""
    if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        with _generated(size_bytes, work) as found:
            yield found
        return
    log = work / "log"
    logged = f"access_log {log};"
    with real.nginx(limit_rate=rate, directives=logged) as one, real.nginx(limit_rate=rate, directives=logged) as two:
        file, other = one.folder / "file", two.folder / "file"
        hashes = _write(file, size_bytes)
        try:
            os.link(file, other)  # also the date is the same, and so the entity tag
        except OSError:
            shutil.copy2(file, other)

        def served() -> int:
            return sum(int(found) for found in _LOGGED.findall(log.read_text()))

        yield _ground((one.url("/file"), two.url("/file")), hashes, work, served)


@contextlib.contextmanager
def _generated(size_bytes: int, work: Path) -> Iterator[Ground]:
    limits = Limits(rate_bytes_per_s=256 * MIB)
    resource = generated(size_bytes)
    blocks = (bytes(block) for block in resource.blocks(0, size_bytes) if isinstance(block, bytes | memoryview))
    hashes = _hashes(blocks)
    with LoopbackServer({"/file": resource}, limits=limits) as one, LoopbackServer({"/file": resource}) as two:
        yield _ground((one.url("/file"), two.url("/file")), hashes, work, lambda: one.total_sent + two.total_sent)


@dataclass(frozen=True, slots=True)
class _Hashes:
    size_bytes: int
    whole: str
    pieces: list[str]


def _hashes(blocks: Iterator[bytes]) -> _Hashes:
    whole, size_bytes, pieces, piece = hashlib.sha256(), 0, list[str](), hashlib.sha256()
    for block in blocks:
        whole.update(block)
        for at in range(0, len(block), MIB // 4):
            part = block[at : at + MIB // 4]
            piece.update(part)
            size_bytes += len(part)
            if size_bytes % PIECE_BYTES == 0:
                pieces.append(piece.hexdigest())
                piece = hashlib.sha256()
    if size_bytes % PIECE_BYTES:
        pieces.append(piece.hexdigest())
    return _Hashes(size_bytes, whole.hexdigest(), pieces)


def _write(path: Path, size_bytes: int) -> _Hashes:
    chance = random.Random(9)

    def blocks() -> Iterator[bytes]:
        with path.open("wb") as file:
            for at in range(0, size_bytes, MIB):
                block = chance.randbytes(min(MIB, size_bytes - at))
                file.write(block)
                yield block

    return _hashes(blocks())


def _ground(urls: tuple[str, ...], hashes: _Hashes, work: Path, served: Callable[[], int]) -> Ground:
    pieces = work / "pieces"
    pieces.write_text("\n".join([f"sha-256 {PIECE_BYTES}", *hashes.pieces, ""]))
    return Ground(
        urls=urls, size_bytes=hashes.size_bytes, sha256=hashes.whole, pieces=pieces, work=work, served=served
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill9", description="kill -9 at random moments.")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file")
    parser.add_argument("--runs", type=int, default=50, help="runs of the plain download; a fifth of each other")
    parser.add_argument("--kills", type=int, action="append", help="kills a run; may be repeated (1 and 5)")
    parser.add_argument("--rate", default="100m", help="of each connection, as nginx writes it")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", help="where to work; needs room for three times the size")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="thunderdl-kill9-", dir=asked.dir) as work,
        ground(asked.size * MIB, asked.rate, Path(work)) as served,
    ):
        sys.exit(campaign(served, asked))


def campaign(served: Ground, asked: argparse.Namespace) -> int:
    """Every tool with every number of kills; a row each. The number of broken promises of thunderdl."""
    broken = 0
    sys.stdout.write(f"{served.size_bytes // MIB} MiB, {asked.connections} connections of {asked.rate}/s\n")
    sys.stdout.write(f"{'':28}{'kills':>6}{'runs':>6}{'served / size: median':>23}{'worst':>8}{'seconds':>9}  broken\n")
    for index, tool in enumerate(tools(asked.connections)):
        whole = once(tool, served, 0, 0.0, random.Random(0))
        for kills in asked.kills or [1, 5]:
            runs, faults = list[Run](), list[str]()
            for number in range(asked.runs if index == 0 else -(-asked.runs // 5)):
                try:
                    chance = random.Random(f"{asked.seed} {kills} {number}")
                    runs.append(once(tool, served, kills, whole.seconds, chance))
                except Broken as error:
                    faults.append(str(error))
            _report(tool, kills, runs, faults)
            broken += len(faults) if tool.name.startswith("thunderdl") else 0
    return broken


def _report(tool: Tool, kills: int, runs: Sequence[Run], faults: Sequence[str]) -> None:
    shares = [run.served for run in runs] or [float("nan")]
    seconds = statistics.median([run.seconds for run in runs] or [float("nan")])
    row = f"{tool.name:28}{kills:6}{len(runs):6}{statistics.median(shares):23.3f}{max(shares):8.3f}{seconds:9.1f}"
    sys.stdout.write(f"{row}  {len(faults)}\n" + "".join(f"    {fault}\n" for fault in faults))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
