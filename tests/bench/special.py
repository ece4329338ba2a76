"""What a race cannot show: the share of imports in a cold start, and a file of 1 TB begun, killed and resumed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bed import MIB, SMALL_BYTES, Bed
from tests.bench.measure import RunFailed, clean_environment
from tests.bench.servers import Endless, endless
from tests.bench.tools import TOOLS, Job, thunderdl

HUGE_BYTES = 10**12
MOVES_BYTES = MIB
"""So much of a body sent means that the download moves."""
KILL_AFTER_BYTES = 1024 * MIB
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HugeFile:
    """A 1 TB file in one tool's hands. ``refetched_bytes`` counts what was in flight at the kill, too."""

    tool: str
    start_s: float = 0.0
    resume_s: float = 0.0
    journal_bytes: int = 0
    kept_bytes: int = 0
    refetched_bytes: int = 0
    note: str = ""


def import_seconds(bed: Bed) -> float:
    """What imports took in one cold download of 100 KB, beyond those of ``python -c pass``.

    Of ``-X importtime``, which makes each import a little slower than it is.
    """
    with bed.folder() as folder:
        job = Job(folder=folder, url=f"{bed.server.plain}/small.bin", name="small.bin", size_bytes=SMALL_BYTES)
        command = thunderdl(job) or []
        loaded = _import_time(["-m", "thunderdl", *command[1:]], folder, bed.home)
        bed.check(job)
        return loaded - _import_time(["-c", "pass"], folder, bed.home)


def _import_time(arguments: list[str], folder: Path, home: Path) -> float:
    command = [sys.executable, "-X", "importtime", *arguments]
    environment = clean_environment(home)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"exit status {done.returncode}")
    lines = [line.split("|")[0] for line in done.stderr.splitlines() if line.startswith("import time:")]
    return sum(int(line.split(":")[1]) for line in lines if line.split(":")[1].strip().isdigit()) / 1e6


def huge_file(name: str, bed: Bed) -> HugeFile:
    """Begin a download of 1 TB, kill it with SIGKILL after 1 GiB, go on, and kill it again."""
    tool = TOOLS[name]
    if tool.absent():
        return HugeFile(tool=name, note="absent, skipped")
    try:
        with bed.folder() as folder, endless(HUGE_BYTES, bed.work) as server:
            return _begin_and_resume(name, folder, bed.home, server)
    except RunFailed as failure:
        return HugeFile(tool=name, note=f"failed: {failure}")


def _begin_and_resume(name: str, folder: Path, home: Path, server: Endless) -> HugeFile:
    command = TOOLS[name].command(Job(folder=folder, url=server.url, name="endless.bin", size_bytes=HUGE_BYTES)) or []
    start_s = _until_killed(command, folder, home, server)
    kept, journal = _on_disk(folder)
    sent = server.sent_bytes()
    resume_s = _until_killed(command, folder, home, server)
    grown = _on_disk(folder)[0] - kept
    return HugeFile(
        tool=name,
        start_s=start_s,
        resume_s=resume_s,
        journal_bytes=journal,
        kept_bytes=kept,
        refetched_bytes=max(0, server.sent_bytes() - sent - grown),
    )


def _until_killed(command: list[str], folder: Path, home: Path, server: Endless) -> float:
    """Seconds from the start until the download moves; afterwards it is killed."""
    before = server.sent_bytes()
    begun = time.monotonic()
    null = subprocess.DEVNULL
    environment = clean_environment(home)
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=null, stdout=null, stderr=null) as process:
        try:
            _await(process, lambda: server.sent_bytes() >= before + MOVES_BYTES)
            moved_s = time.monotonic() - begun
            _await(process, lambda: server.sent_bytes() >= before + KILL_AFTER_BYTES)
        finally:
            process.kill()
    _await_quiet(server)
    return moved_s


def _await_quiet(server: Endless) -> None:
    """Until the server noticed that its clients are gone, else its last bytes count for the next start."""
    before = -1
    while before != (before := server.sent_bytes()):
        time.sleep(0.1)


def _await(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not reached():
        if process.poll() is not None:
            raise RunFailed(f"ended with exit status {process.returncode}")
        if time.monotonic() > give_up:
            raise RunFailed(f"nothing moved within {PATIENCE_S:.0f} s")
        time.sleep(0.001)


def _on_disk(folder: Path) -> tuple[int, int]:
    """Bytes of the large file that are there, and the size of everything beside it."""
    files = sorted((os.stat(path) for path in folder.iterdir()), key=lambda stat: stat.st_size)
    if not files:
        raise RunFailed("left no file")
    return files[-1].st_blocks * 512, sum(stat.st_size for stat in files[:-1])
