"""One tool in one scenario: a lab of its own, the happenings at their moments, the process timed, the file compared."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import clean_environment
from tests.lab.content import NAME, Contents
from tests.lab.ideal import ideal_s, seeds_suffice
from tests.lab.lab import Lab, laid
from tests.lab.scenarios import Happening, Scenario
from tests.lab.tools import Racer, Wish

MOST_IDEALS = 12
# A process that only begins takes so long where others run.
LEAST_LIMIT_S = 10.0
"""A tool is ended after so many times the ideal."""
_DRAIN_S = 0.3
"""What is on its way when a tool ends has left the queues by then (tbf keeps a frame for 0.1 s at most)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``fault``: why there is no result, in plain words; ``told``: what the tool said.

    ``member_bytes``: what came over the link of each member, ``served_bytes``: what the mirrors say they sent.
    """

    seconds: float
    of_ideal: float
    member_bytes: tuple[int, ...]
    served_bytes: int
    size_bytes: int
    fault: str = ""
    told: str = ""

    @property
    def crossed_bytes(self) -> int:
        return sum(self.member_bytes)

    @property
    def is_late(self) -> bool:
        return self.of_ideal >= MOST_IDEALS

    def http_share(self, mirrors: int) -> float:
        """What came from the first ``mirrors`` members, of all that came."""
        return sum(self.member_bytes[:mirrors]) / max(1, self.crossed_bytes)

    @property
    def twice(self) -> float:
        """The share of the file that was fetched more than once, or for nothing; heads of answers included."""
        return max(0, self.crossed_bytes - self.size_bytes) / self.size_bytes


def run(racer: Racer, scenario: Scenario, contents: Contents) -> Run | None:
    """Lay the lab, let the tool fetch, take the lab down; None where the tool cannot do this."""
    with laid(scenario.members, contents) as lab, _folders() as (out, home):
        command = racer.command(
            Wish(
                folder=out, urls=lab.urls(), check=scenario.check, contents=contents, torrent=lab.torrent,
                seeds_suffice=seeds_suffice(scenario),
            )
        )  # fmt: skip
        if command is None:
            return None
        ideal = ideal_s(scenario)
        said = home / "said"
        with said.open("wb") as output, _started(command, out, home, output.fileno()) as process:
            code, seconds = _watched(process, lab, scenario.happenings, max(MOST_IDEALS * ideal, LEAST_LIMIT_S))
        time.sleep(_DRAIN_S)
        return Run(
            seconds=seconds, of_ideal=seconds / ideal, size_bytes=scenario.size_bytes,
            member_bytes=lab.crossed_bytes(), served_bytes=lab.served_bytes(),
            fault=_fault(code, contents.is_right(out / NAME)), told=said.read_text(errors="replace"),
        )  # fmt: skip


def notes_of(told: str) -> list[str]:
    """What our own program said besides its result; and of the result what is of interest."""
    lines = []
    for line in told.splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            shares = " ".join(f"{source['bytes'] / 1e6:.1f}" for source in result["sources"])
            lines.append(f"wasted {result['wasted_bytes'] / 1e6:.2f} MB; MB of each source: {shares}")
            if error := result.get("error"):
                lines.append(error["message"])
        elif line.strip():
            lines.append(line.strip())
    return lines


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """(where the file goes, an empty home), in memory where there is some."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="thunderdl-lab-", dir=memory) as name:
        out, home = Path(name) / "out", Path(name) / "home"
        out.mkdir()
        home.mkdir()
        yield out, home


@contextmanager
def _started(command: list[str], folder: Path, home: Path, output: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=folder, env=clean_environment(home), stdin=subprocess.DEVNULL,
        stdout=output, stderr=output, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _watched(
    process: subprocess.Popen[bytes], lab: Lab, happenings: tuple[Happening, ...], limit_s: float
) -> tuple[int, float]:
    """(exit status, seconds until then); the process is ended where it takes longer than ``limit_s``."""
    begun = time.monotonic()
    to_come = sorted(happenings, key=lambda happening: happening.at_s)
    # Not Popen.wait: with a time limit it looks only every 50 ms, a per cent of a short download.
    descriptor = os.pidfd_open(process.pid)
    try:
        watch = select.poll()
        watch.register(descriptor, select.POLLIN)
        while True:
            until_s = min([limit_s, *(happening.at_s for happening in to_come[:1])])
            if watch.poll(max(0.0, begun + until_s - time.monotonic()) * 1000):
                seconds = time.monotonic() - begun
                return process.wait(), seconds
            if until_s >= limit_s:
                process.kill()
                return process.wait(), limit_s
            happening = to_come.pop(0)
            lab.members[happening.member].take(happening.to)
    finally:
        os.close(descriptor)


def _fault(code: int, is_right: bool) -> str:
    if code == -signal.SIGKILL:
        return "not done in time"
    if code < 0:
        return f"crashed, {signal.Signals(-code).name}"
    if code:
        return f"failed, exit status {code}"
    return "" if is_right else "WRONG CONTENT"
