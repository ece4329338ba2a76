"""``thunderdl aria2c`` run inside of the tests' process, and aria2 itself beside it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from thunderdl.cli.aria2c.main import main

REAL = shutil.which("aria2c")


class Ran(NamedTuple):
    """``files``: by path below the folder, what is in them."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(folder: Path, *arguments: str, conf: bool = False) -> Ran:
    """Ours, in ``folder``."""
    out, err = io.StringIO(), io.StringIO()
    with at(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*([] if conf else ["--no-conf"]), *arguments])
    return Ran(code, out.getvalue(), err.getvalue(), files_below(folder))


def run_real(folder: Path, *arguments: str, conf: bool = False) -> Ran:
    """aria2 itself, in ``folder``."""
    assert REAL is not None
    command = ["aria2c", *([] if conf else ["--no-conf"]), *arguments]
    done = subprocess.run(command, executable=REAL, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return Ran(done.returncode, done.stdout, done.stderr, files_below(folder))


@contextlib.contextmanager
def at(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def link_in(folder: Path) -> Path:
    """A program named ``aria2c`` in a folder of its own, for a PATH: what a link to ``thunderdl`` is."""
    folder.mkdir(exist_ok=True)
    program = folder / "aria2c"
    root = Path(__file__).parent.parent.parent
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        "from thunderdl.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    return program


_CHANGING = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"\d\d/\d\d \d\d:\d\d:\d\d ", "TIME "),
    (r"GID#[0-9a-f]{16}", "GID#"),
    (r"^[0-9a-f]{6}\|", "gid...|"),
    (r"\| *(n/a|[0-9.]+([KMG]i)?B/s)\|", "|RATE|"),
)


def shape(out: str, folder: Path) -> list[str]:
    """The lines of stdout without what differs from run to run, and without the words that are our own."""
    for pattern, told in _CHANGING:
        out = re.sub(pattern, told, out, flags=re.MULTILINE)
    lines = [line.replace(str(folder), "DIR") for line in out.splitlines()]
    return [_known(line) for line in lines if line and not _is_own(line)]


def _is_own(line: str) -> bool:
    """Sentences that each writes in its own words, lines of progress that come once a second, advice in the end."""
    starts = ("Exception:", "  -> ", "[#", "[DL:", "aria2 will resume", "If there are", "What is not complete")
    return line.startswith(starts) or "Renamed to" in line or "Redirecting to" in line


def _known(line: str) -> str:
    return re.sub(r"(CUID#\d+|GID#) - Download aborted", "- Download aborted", line)


def sentences(out: str) -> Sequence[str]:
    return [line for line in out.splitlines() if line]
