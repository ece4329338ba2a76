"""Faults by strace: the program is killed at, or told an error by, its Nth system call of a kind on its files.

``python -m tests.faults.strace`` tries every N until a run ends unhurt; the tests take a few of them.
Only calls on the download's own paths count, so the start of Python is left alone. strace counts each thread's
calls for themselves.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import itertools
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.scene import KILLED, Broken, Outcome, Scene
from tests.servers.loopback import LoopbackServer, Resource

LARGE_BYTES, SMALL_BYTES, PIECE_BYTES = 3_000_000, 50_000, 262_144
LAST_N = 60
# The names differ by processor; strace passes over one with a question mark that it does not know.
CALLS = {
    "open": "?open,openat",
    "write": "write",
    "pwrite": "pwrite64",
    "pread": "pread64,?preadv,?preadv2",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "rename": "?rename,?renameat,renameat2",
    "link": "?link,linkat",
    "unlink": "?unlink,unlinkat",
    "truncate": "ftruncate",
    "lock": "flock",
    "close": "close",
    "socket": "socket",
}
KILL = "signal=SIGKILL"
ERRORS = {
    "open": ("EMFILE", "EIO", "ENOSPC", "EINTR"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "EINTR"),
    "pwrite": ("ENOSPC", "EIO", "EDQUOT", "EINTR"),
    "pread": ("EIO", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT", "EINTR"),
    "rename": ("EIO", "ENOSPC"),
    "link": ("EIO", "ENOSPC", "EPERM", "EDQUOT"),
    "unlink": ("EIO", "EACCES"),
    "truncate": ("ENOSPC", "EIO", "EFBIG", "EINTR"),
    "lock": ("ENOLCK", "EINTR"),
    "close": ("EIO", "ENOSPC"),
    "socket": ("EMFILE", "ENOBUFS"),
}
# What does not pass by itself: also tried as the answer to every call from the Nth on.
LASTING = ("error=ENOSPC", "error=EIO", "error=EMFILE", "error=EACCES")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``call``: of CALLS; ``what``: as strace writes it; ``nth``: which call of a thread, from 1; ``ever``: and all
    that follow; ``only``: on the file with this ending alone."""

    call: str
    what: str
    nth: int
    ever: bool = False
    only: str = ""

    def __str__(self) -> str:
        return f"{self.call} {self.what} at {self.nth}{'+' if self.ever else ''}"

    def prefix(self, paths: Sequence[Path], log: Path) -> list[str]:
        """The command line to put before the program's."""
        calls, when = CALLS[self.call], f"{self.nth}{'+' if self.ever else ''}"
        filters = (
            []
            if self.call == "socket"
            else [part for path in paths if path.name.endswith(self.only) for part in ("-P", str(path))]
        )
        inject = f"inject={calls}:{self.what}:when={when}"
        return ["strace", "-f", "-qq", "-o", str(log), *filters, "-e", f"trace={calls}", "-e", inject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A kind of download to be hurt. ``begun``: the folder holds what an earlier run, killed half-way, left."""

    name: str
    path: str = "/large"
    options: tuple[str, ...] = ()
    begun: bool = False


@dataclass(slots=True)
class Bed:
    """The server, its contents, and a folder for each run. ``left``: by setting, what begun runs start from."""

    server: LoopbackServer
    work: Path
    large: bytes = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def settings(self) -> list[Setting]:
        hashes = ("--checksum", f"sha-256={hashlib.sha256(self.large).hexdigest()}", "--key")
        pieces = self.work / "pieces"
        parts = (self.large[at : at + PIECE_BYTES] for at in range(0, LARGE_BYTES, PIECE_BYTES))
        pieces.write_text(f"sha-256 {PIECE_BYTES}\n" + "\n".join(hashlib.sha256(part).hexdigest() for part in parts))
        return [
            Setting(name="ranged"),
            Setting(name="small", path="/small"),
            Setting(name="hashes", options=(*hashes, "--piece-hashes", str(pieces))),
            Setting(name="begun", begun=True),
            Setting(name="begun-hashes", begun=True, options=hashes),
            Setting(name="overwrite", options=("--overwrite",)),
        ]

    def scene(self, setting: Setting) -> Scene:
        """A folder as the setting wants it."""
        truth = self.large[:SMALL_BYTES] if setting.path == "/small" else self.large
        folder = self.work / f"run-{next(self._numbers)}"
        folder.mkdir()
        scene = Scene(folder=folder, urls=[self.server.url(setting.path)], truth=truth, options=setting.options)
        if setting.begun:
            hurt(scene, Fault(call="pwrite", what=KILL, nth=4), folder.with_suffix(".log"))
        return scene


@functools.cache
def why_not() -> str:
    """Why strace cannot be used here, empty where it can."""
    if shutil.which("strace") is None:
        return "needs strace; `make test-setup` installs it"
    tried = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "strace may not trace here (ptrace is forbidden)"


def bed(work: Path, server: LoopbackServer) -> Bed:
    large = random.Random(2).randbytes(LARGE_BYTES)
    server.resources["/large"] = Resource(body=large)
    server.resources["/small"] = Resource(body=large[:SMALL_BYTES])
    return Bed(server, work, large)


def hurt(scene: Scene, fault: Fault, log: Path) -> tuple[Outcome, bool]:
    """One run with the fault; how it ended, and whether the fault came at all."""
    outcome = scene.run(fault.prefix(scene.paths, log))
    told = log.read_text(errors="replace") if log.exists() else ""
    log.unlink(missing_ok=True)
    return outcome, outcome.code == KILLED or "(INJECTED)" in told


def try_fault(bed: Bed, setting: Setting, fault: Fault) -> tuple[str, bool]:
    """Hurt one run and resume: how the first ended, and whether the fault came. Raises Broken."""
    scene = bed.scene(setting)
    try:
        outcome, came = hurt(scene, fault, scene.folder.with_suffix(".log"))
        scene.check_stopped(outcome)
        if outcome.code != 0 or fault.call == "unlink":
            # What could not be removed is removed by the next run.
            scene.check_resumed()
        scene.check_done()
    except Broken as error:
        raise Broken(f"{setting.name}, {fault}: {error}") from error
    shutil.rmtree(scene.folder)
    return ("killed" if outcome.code == KILLED else f"code {outcome.code}"), came


def try_all(bed: Bed, setting: Setting, call: str, what: str, *, ever: bool) -> tuple[Counter[str], list[str]]:
    """Every N until a run ends unhurt: how often the runs ended how, and the promises that were broken."""
    ends: Counter[str] = Counter()
    broken: list[str] = []
    for nth in range(1, LAST_N):
        try:
            end, came = try_fault(bed, setting, Fault(call=call, what=what, nth=nth, ever=ever))
        except Broken as error:
            ends["BROKEN"] += 1
            broken.append(str(error))
            continue
        if not came:
            break
        ends[end] += 1
    return ends, broken


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.strace", description="Fault points, one by one.")
    parser.add_argument("--setting", action="append", help="only this one; may be repeated")
    parser.add_argument("--call", action="append", choices=CALLS, help="only this one; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    asked = parser.parse_args()
    if why := why_not():
        sys.exit(why)
    with tempfile.TemporaryDirectory(prefix="thunderdl-faults-") as work, LoopbackServer() as server:
        ground = bed(Path(work), server)
        settings = [each for each in ground.settings() if not asked.setting or each.name in asked.setting]
        calls = asked.call or list(CALLS)
        sys.exit(_campaign(ground, settings, calls, asked.jobs))


def _campaign(ground: Bed, settings: Sequence[Setting], calls: Sequence[str], jobs: int) -> int:
    todo = [
        (setting, call, what, ever)
        for setting in settings
        for call in calls
        for what in (KILL, *(f"error={error}" for error in ERRORS[call]))
        for ever in ([False, True] if what in LASTING and call != "socket" else [False])
    ]
    runs, failures = 0, list[str]()
    with ThreadPoolExecutor(jobs) as threads:
        for (setting, call, what, ever), (ends, broken) in zip(
            todo, threads.map(lambda one: try_all(ground, *one[:3], ever=one[3]), todo), strict=True
        ):
            runs += ends.total()
            failures += broken
            told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
            sys.stdout.write(f"{setting.name:14}{call:10}{what + (' on' if ever else ''):18}{told or 'no such call'}\n")
            for line in broken:
                sys.stdout.write(f"    {line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{runs} faults, {len(failures)} promises broken\n")
    return 1 if failures else 0


if __name__ == "__main__":
    main()
