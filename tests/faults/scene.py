"""The real program on a folder of its own, and what must hold there however it was stopped.

It starts processes and reads files; what goes wrong, and when, is the caller's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A run that takes longer hangs.
LIMIT_S = 60.0
KILLED = -9
NAME_TAKEN = 10
_SENTENCE = re.compile(r"failed [^\x00-\x1f\x7f-\x9f]+\.")
_UNFINISHED = (".part", ".part.journal", ".part.journal~")


class Broken(AssertionError):
    """A promise of durability was not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. ``code``: negative for the signal that ended it; ``told``: its standard error."""

    code: int
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A file ``name`` to be downloaded from ``urls`` (mirrors of each other) into ``folder``; ``truth``: its bytes."""

    folder: Path
    urls: Sequence[str]
    truth: bytes = field(repr=False)
    name: str = "f"
    options: Sequence[str] = ()

    @property
    def target(self) -> Path:
        return self.folder / self.name

    @property
    def paths(self) -> list[Path]:
        """Every path that a download has to do with, there or not."""
        return [self.folder, self.target, *(self.folder / (self.name + ending) for ending in _UNFINISHED)]

    def run(self, prefix: Iterable[str] = ()) -> Outcome:
        """Run the program to its end, behind ``prefix`` (strace, say)."""
        return finished([*prefix, *self.command()])

    def command(self) -> list[str]:
        return get(self.urls, self.folder, ["-o", self.name, "--connections", "2", "--retries", "1", *self.options])

    def check_stopped(self, outcome: Outcome) -> None:
        """After a fault: no wrong file under the final name, nothing foreign, a sentence or nothing. Raises Broken."""
        if outcome.code > 0:
            check_told(outcome)
        elif "Traceback" in outcome.told:
            raise Broken(outcome.told)
        expected = {self.name + ending for ending in ("", *_UNFINISHED)}
        if foreign := set(self.left()) - expected:
            raise Broken(f"left behind: {foreign}")
        if self.target.exists() and self.target.read_bytes() != self.truth:
            raise Broken("a wrong file has the final name")

    def check_resumed(self) -> Outcome:
        """The same command again: the right file and nothing beside it. Raises Broken."""
        was_there = self.target.exists()
        outcome = self.run()
        if outcome.code != 0 and not (was_there and outcome.code == NAME_TAKEN):
            raise Broken(f"the next run ended with {outcome.code}: {outcome.told}")
        self.check_done()
        return outcome

    def check_done(self) -> None:
        """The right file and nothing beside it. Raises Broken."""
        if self.left() != [self.name]:
            raise Broken(f"in the folder: {self.left()}")
        if self.target.read_bytes() != self.truth:
            raise Broken("the bytes are not the same")

    def left(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.exists() else []


def get(urls: Sequence[str], folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The command that downloads one file, its mirrors behind its first URL."""
    mirrors = [part for url in urls[1:] for part in ("--mirror", url)]
    return [sys.executable, "-m", "thunderdl", "get", urls[0], *mirrors, "-d", str(folder), *options]


def surroundings() -> dict[str, str]:
    """The environment of a run: no proxy of the machine's, no settings of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept = {name: value for name, value in kept.items() if not name.startswith("THUNDERDL_")}
    return kept | {"XDG_CONFIG_HOME": "/nonexistent", "NETRC": "/nonexistent/netrc", "PYTHONDONTWRITEBYTECODE": "1"}


def finished(command: Sequence[str]) -> Outcome:
    """Run to the end."""
    with started(command) as process:
        try:
            _, told = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            _, told = process.communicate()
            raise Broken(f"it hangs: {' '.join(command)}: {told.decode(errors='replace')}") from error
    return Outcome(code=process.returncode, told=told.decode(errors="replace"))


def started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start, and leave it running."""
    return subprocess.Popen(
        command, cwd=ROOT, env=surroundings(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def check_told(outcome: Outcome) -> str:
    """The one sentence of a run that failed. Raises Broken."""
    lines = [line for line in outcome.told.splitlines() if line.startswith("failed ")]
    if "Traceback" in outcome.told or "Exception" in outcome.told or len(lines) != 1:
        raise Broken(f"code {outcome.code}, told: {outcome.told}")
    if not _SENTENCE.fullmatch(lines[0]) or re.search(r"Errno|Error\(|object at 0x", lines[0]):
        raise Broken(f"no sentence: {lines[0]}")
    return lines[0]
