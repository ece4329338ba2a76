"""One file from four unequal servers at once: one of them dies half-way, one begins to lie. Takes some seconds.

Everything is on this machine: a temporary folder, four small HTTP servers in a child process
(``shaped_servers.py``), a file of 256 MiB. Nothing stays behind, Ctrl-C included, but for the trace where
``--trace FILE`` asks for one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from thunderdl import Client, Options
from thunderdl.cli.live import follow
from thunderdl.formats.hashes import parse_piece_hashes
from thunderdl.model import PieceHashes, Result, SourceProgress

MB = 1_000_000
PIECE_BYTES = 1 << 20
PIECES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """``rate``: bytes a second. ``dies_after``, ``lies_after``: bytes sent, None for never."""

    name: str
    rate: int
    dies_after: int | None = None
    lies_after: int | None = None

    def nature(self) -> str:
        if self.dies_after is not None:
            return f"dies after {self.dies_after // MB} MB"
        if self.lies_after is not None:
            return f"lies after {self.lies_after // MB} MB"
        return "honest"


MIRRORS = (
    Mirror(name="fast", rate=50 * MB),
    Mirror(name="mortal", rate=40 * MB, dies_after=80 * MB),
    Mirror(name="liar", rate=20 * MB, lies_after=10 * MB),
    Mirror(name="slow", rate=5 * MB),
)


async def download(urls: list[str], pieces: PieceHashes, folder: Path, trace: str | None) -> Result:
    """All that a program needs of the library."""
    async with Client(Options(dir=str(folder), out="copy.img", trace=trace)) as client:
        task = client.add(urls[0], mirrors=tuple(urls[1:]), piece_hashes=pieces)
        await follow(client)
        return await task.outcome()


def make_original(folder: Path) -> tuple[Path, Path, str]:
    """A file in which no two pieces are alike, the list of its piece hashes, and its sha-256."""
    image, hashes = folder / "original.img", folder / "original.img.pieces"
    noise = memoryview(random.Random(1).randbytes(PIECE_BYTES) * 2)
    whole = hashlib.sha256()
    lines = [f"sha-256 {PIECE_BYTES}"]
    with image.open("wb") as file:
        for index in range(PIECES):
            piece = noise[index * 4093 :][:PIECE_BYTES]
            file.write(piece)
            whole.update(piece)
            lines.append(hashlib.sha256(piece).hexdigest())
    hashes.write_text("\n".join(lines) + "\n")
    return image, hashes, whole.hexdigest()


class Servers:
    """The child process. ``urls``: one for each of MIRRORS."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.urls = [f"http://127.0.0.1:{port}/original.img" for port in self._numbers()]

    def sent_bytes(self) -> list[int]:
        """What each server has sent so far, by its own count."""
        assert self._child.stdin
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return self._numbers()

    def _numbers(self) -> list[int]:
        assert self._child.stdout
        return [int(number) for number in json.loads(self._child.stdout.readline())]


@contextmanager
def serving(image: Path) -> Iterator[Servers]:
    specs = [{"rate": m.rate, "dies_after": m.dies_after, "lies_after": m.lies_after} for m in MIRRORS]
    command = [sys.executable, str(Path(__file__).with_name("shaped_servers.py")), str(image), json.dumps(specs)]
    # A session of its own: Ctrl-C at the terminal must reach us first.
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    with child:
        try:
            yield Servers(child)
        finally:
            child.terminate()


def sources_table(result: Result, urls: list[str], sent: list[int]) -> Table:
    """What each server gave and what became of it."""
    table = Table(title="Who gave what", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("server", "nature"):
        table.add_column(heading)
    for heading in ("MB/s", "sent", "used", "share", "wasted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    by_url = {source.url: source for source in result.sources}
    for mirror, url, sent_bytes in zip(MIRRORS, urls, sent, strict=True):
        table.add_row(*_row(mirror, by_url.get(url), sent_bytes, result.bytes))
    return table


def _row(mirror: Mirror, source: SourceProgress | None, sent_bytes: int, size: int) -> list[str | Text]:
    set_speed = [mirror.name, mirror.nature(), str(mirror.rate // MB), _mb(sent_bytes)]
    if source is None:
        return [*set_speed, "–", "–", "–", "never used"]
    share = f"{source.bytes / size:.0%}" if size else "–"
    state = Text(source.state.value, style="green" if mirror.nature() == "honest" else "yellow")
    return [*set_speed, _mb(source.bytes), share, _mb(source.wasted_bytes), state]


def reasons(result: Result, urls: list[str]) -> Iterator[str]:
    """Why servers are in the state they are in, and what else the library remarked."""
    names = dict(zip(urls, (mirror.name for mirror in MIRRORS), strict=True))
    for source in result.sources:
        if source.note:
            yield f"{names.get(source.url, source.url)}, {source.state.value}: {source.note}"
    yield from result.notes


def report(console: Console, result: Result, expected: str) -> bool:
    """Print how it went; whether the copy equals the original."""
    if result.path is None:
        console.print(Text(f"no file: {result.error}", style="bold red"))
        return False
    best_alone_s = PIECES * PIECE_BYTES / max(mirror.rate for mirror in MIRRORS)
    speed = result.bytes / result.seconds if result.seconds else 0.0
    console.print(f"  {_mb(result.bytes)} MB in {result.seconds:.2f} s: {speed / MB:.0f} MB/s", highlight=False)
    console.print(f"  the fast server alone would take {best_alone_s:.2f} s at least", highlight=False)
    console.print(f"  fetched again: {_mb(result.wasted_bytes)} MB that were wrong or lost", highlight=False)
    found = _sha256(Path(result.path))
    verdict, style = ("as the original", "bold green") if found == expected else ("NOT the original", "bold red")
    console.print(Text.assemble(f"  sha-256 {found}: ", (verdict, style)), soft_wrap=True)
    return found == expected


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mb(count: int) -> str:
    return f"{count / MB:.1f}"


def main() -> int:
    """0 when the copy equals the original, 1 when it does not, 130 when stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as an exception, so that the clean-up runs
    console = Console()
    trace = sys.argv[2] if sys.argv[1:2] == ["--trace"] and len(sys.argv) > 2 else None
    try:
        with tempfile.TemporaryDirectory(prefix="thunderdl-demo-") as name:
            folder = Path(name)
            with console.status(f"making {PIECES} MiB and its piece hashes"):
                image, hashes, expected = make_original(folder)
            pieces = parse_piece_hashes(hashes.read_text())
            with serving(image) as servers:
                result = asyncio.run(download(servers.urls, pieces, folder, trace))
                console.print()
                console.print(sources_table(result, servers.urls, servers.sent_bytes()))
                for reason in reasons(result, servers.urls):
                    console.print(Text(f"  {reason}"))
            return 0 if report(console, result, expected) else 1
    except KeyboardInterrupt:
        console.print("stopped; nothing is left behind")
        return 130


if __name__ == "__main__":
    sys.exit(main())
