"""``python -m tests.lab.hundred``: a metalink of a hundred mirrors, 60 of them dead, 5 wrong, 35 good.

Of the dead 20 are dark (their link drops every frame), 20 refuse, 20 have no such file; the wrong ones have a flipped
byte in every 64 KiB and the validators of the others. The metalink has the digests of the whole and of its pieces. Told
are the time until the first byte is on the disk, and until the file is whole, over the ideal of the 35 alone.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import clean_environment
from tests.lab.content import NAME, Contents, make_contents
from tests.lab.lab import Lab, laid, why_not
from tests.lab.link import GOODPUT
from tests.lab.scenarios import MB, Content, Mirror, Turn
from tests.lab.tools import _path
from thunderdl.engine.creating_metalinks import Recipe, create_metalink

GOOD, WRONG, DARK, REFUSING, ABSENT = 35, 5, 20, 20, 20
RATE_MBIT = 3.0
_LOOK_S = 0.005
_MOST_S = 120.0


@dataclass(frozen=True, slots=True)
class Run:
    first_s: float
    whole_s: float
    fault: str


def links() -> list[Mirror]:
    """Those that have a link of their own; the others are ports where nobody listens, and paths where nothing is."""
    good = [Mirror(rate_mbit=RATE_MBIT)] * (GOOD + DARK)
    return good + [Mirror(rate_mbit=RATE_MBIT, content=Content.WRONG)] * WRONG


def ideal_s(size_bytes: int) -> float:
    """For the good ones alone."""
    return size_bytes / (GOOD * RATE_MBIT * 1e6 / 8 * GOODPUT)


def urls_of(lab: Lab) -> list[str]:
    """The hundred, mixed, the same way in every run."""
    there = lab.urls()
    refusing = [url.replace(f"/{NAME}", f":8{at:02}/{NAME}") for at, url in enumerate(there[:REFUSING], 10)]
    absent = [url.replace(NAME, f"no/{NAME}") for url in there[:ABSENT]]
    every = [*there, *refusing, *absent]
    random.Random(1).shuffle(every)
    return every


def document(folder: Path, contents: Contents, urls: Sequence[str], *, pieces: bool) -> Path:
    path = folder / "file.meta4"
    path.unlink(missing_ok=True)
    recipe = Recipe(urls=urls, piece_length=0 if pieces else 64 << 20)
    create_metalink([str(contents.file(Content.RIGHT))], str(path), recipe=recipe)
    if not pieces:
        text = path.read_text()
        start, end = text.find("    <pieces"), text.find("</pieces>\n")
        if start >= 0:
            path.write_text(text[:start] + text[end + len("</pieces>\n") :])
    return path


def command_of(tool: str, metalink: Path, folder: Path) -> list[str]:
    if tool == "thunderdl":
        more = os.environ.get("THUNDERDL_LAB_FLAGS", "").split()
        return [_path("thunderdl"), "get", "--json", *more, "-d", str(folder), str(metalink)]
    base = [_path("aria2c"), "--no-conf=true", "-q", "-d", str(folder), "--file-allocation=none", "-M", str(metalink)]
    return base if tool == "aria2c" else [*base, "-s40", "-k1M", "--max-concurrent-downloads=1", "-j1"]


def run(tool: str, metalink: Path, contents: Contents, folder: Path) -> Run:
    out, home = folder / "out", folder / "home"
    for each in (out, home):
        each.mkdir()
    begun, first_s = time.monotonic(), 0.0
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command_of(tool, metalink, out), env=clean_environment(home), stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, cwd=out,
        )  # fmt: skip
        while process.poll() is None and time.monotonic() - begun < _MOST_S:
            if not first_s and any(each.stat().st_blocks for each in out.glob(f"{NAME}*") if _holds_data(each)):
                first_s = time.monotonic() - begun
            time.sleep(_LOOK_S)
        whole_s = time.monotonic() - begun
        if process.poll() is None:
            process.kill()
        code = process.wait()
    fault = "" if contents.is_right(out / NAME) else f"exit status {code}"
    return Run(first_s, whole_s, fault)


def _holds_data(path: Path) -> bool:
    return path.suffix not in (".journal", ".aria2")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.hundred", description="A hundred mirrors, 60 dead.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tools", default="thunderdl,aria2c,aria2c -s40")
    parser.add_argument("--size", type=int, default=100, help="in MB")
    parser.add_argument("--no-pieces", action="store_true", help="with the digest of the whole alone")
    asked = parser.parse_args()
    if why := why_not():
        raise SystemExit(f"hundred: {why}")
    results: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory(prefix="thunderdl-lab-", dir="/dev/shm") as name:
        contents = make_contents(Path(name) / "contents", asked.size * MB)
        for turn in range(asked.runs):
            for tool in asked.tools.split(","):
                with laid(links(), contents) as lab:
                    for member in lab.members[GOOD : GOOD + DARK]:
                        member.take(Turn.DARK)
                    metalink = document(Path(name), contents, urls_of(lab), pieces=not asked.no_pieces)
                    folder = Path(name) / f"{turn} {tool}"
                    folder.mkdir()
                    done = run(tool, metalink, contents, folder)
                    crossed = sum(lab.crossed_bytes()) / contents.size_bytes
                results.setdefault(tool, []).append(done)
                print(
                    f"{turn + 1}/{asked.runs}  {tool:13} first byte {done.first_s:5.2f} s  whole {done.whole_s:6.2f} s"
                    f"  {done.whole_s / ideal_s(contents.size_bytes):5.2f} of the ideal  {crossed:4.2f} crossed"
                    f"  {done.fault}",
                    flush=True,
                )
                if tool == "thunderdl":
                    print("   ", (folder / "said").read_text()[-1500:].replace("\n", "\n    "), flush=True)
    for tool, runs in results.items():
        first, whole = (statistics.median(getattr(each, what) for each in runs) for what in ("first_s", "whole_s"))
        told = f"first byte {first:5.2f} s  {whole / ideal_s(asked.size * MB):5.2f} of the ideal"
        print(f"median  {tool:13} {told}  {sum(bool(each.fault) for each in runs)} failed")


if __name__ == "__main__":
    main()
