"""The trace of a session: what its schedulers hear and say, into one file (core/tracing.py has the lines).

Loaded only where a trace is wanted: without one the driver has a plain Scheduler and pays nothing. Values are
queued as they come and encoded and written by a thread of their own, twice a second and after each download.

Invariants:
1. The file is ours alone: mode 0600, never reached through a symbolic link, never another file overwritten.
2. Whatever becomes of the file, the downloads go on; ``fault`` says what became of it.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Mapping

from thunderdl.core.protocol import Command, Event
from thunderdl.core.ranges import RangeSet
from thunderdl.core.scheduler import Scheduler
from thunderdl.core.tracing import FIRST_LINE, FORMAT, MAGIC, Begun, Entry, LaneGiven, Step, line_of
from thunderdl.errors import StorageError, UsageError, printable, shown_url

WRITE_EVERY_S = 0.5
# So many entries (20 MB) may wait for a disk that hangs.
MOST_WAITING = 100_000


class Trace:
    """The file at ``path``, opened and made empty. Raises UsageError where it holds something else, StorageError."""

    def __init__(self, path: str) -> None:
        self.path, self.fault = path, ""
        self._fd = _opened(path)
        self._waiting: deque[tuple[int, Entry]] = deque()
        self._downloads = 0
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._write(FIRST_LINE % FORMAT + "\n")
        self._writer = threading.Thread(target=self._write_on, name="thunderdl-trace", daemon=True)
        self._writer.start()

    def scheduler(self, sources: Mapping[int, str]) -> Callable[..., Scheduler]:
        """What makes the traced scheduler of one more download. ``sources``: the URL of each, the origin first."""
        self._downloads += 1
        names = {source: shown_source(url) for source, url in sources.items()}
        number, name = self._downloads, next(iter(names.values()), "")

        def make(**settings: object) -> Scheduler:
            return TracedScheduler(self, number, name, names, **settings)  # type: ignore[arg-type]  # passed on

        return make

    def note(self, download: int, entry: Entry) -> None:
        """Keep an entry to be written soon."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((download, entry))
        elif not self.fault:
            self.fault = "the disk was too slow for it"

    def flush(self) -> None:
        """Write what waits; returns once it is written, or cannot be."""
        with self._lock:
            lines: list[str] = []
            while self._waiting:
                download, entry = self._waiting.popleft()
                try:
                    lines.append(line_of(download, entry) + "\n")
                except (TypeError, ValueError) as error:
                    self.fault = self.fault or f"an entry cannot be written ({error})"
            if lines and not self.fault:
                self._write("".join(lines))

    def close(self) -> None:
        """Write the rest and close the file."""
        self._closing.set()
        self._writer.join()
        os.close(self._fd)

    def _write_on(self) -> None:
        while not self._closing.wait(WRITE_EVERY_S):
            self.flush()
        self.flush()

    def _write(self, text: str) -> None:
        left = memoryview(text.encode())
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self.fault = error.strerror or "it cannot be written"


class TracedScheduler(Scheduler):
    """A Scheduler whose words are noted in ``trace``; its randomness is its own, so that a replay has the same."""

    def __init__(
        self, trace: Trace, number: int, name: str, sources: Mapping[int, str], *, jitter: random.Random,
        **settings: object,
    ) -> None:  # fmt: skip
        seed = jitter.getrandbits(48)
        # Noted before the scheduler begins to change what it is given.
        kept = {each: value.copy() if isinstance(value, RangeSet) else value for each, value in settings.items()}
        trace.note(number, Begun(name=name, seed=seed, settings=kept, sources=sources))
        super().__init__(jitter=random.Random(seed), **settings)  # type: ignore[arg-type]  # passed on as they came
        self._trace, self._number = trace, number

    def handle(self, event: Event, now: float) -> list[Command]:
        try:
            commands = super().handle(event, now)
        except Exception as error:
            self._trace.note(self._number, Step(now, event, raised=type(error).__name__))
            raise
        self._trace.note(self._number, Step(now, event, tuple(commands)))
        return commands

    def new_lane(self) -> int:
        lane = super().new_lane()
        self._trace.note(self._number, LaneGiven(lane))
        return lane


def shown_source(url: str) -> str:
    """The URL without what may be a secret: no user, no password, nothing of the query (signed URLs carry it there)."""
    return re.sub(r"[?#].*", "?…", shown_url(url), count=1, flags=re.DOTALL)


def _opened(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        if os.path.islink(path):
            raise UsageError(f"{printable(path)} is a symbolic link; a trace goes into a file of its own.") from None
        raise StorageError(path, f"the trace cannot be written ({error.strerror})") from None
    try:
        _claim(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _claim(fd: int, path: str) -> None:
    """Make sure that the file is a trace of this user's or empty, and that nobody else writes to it; empty it."""
    status = os.fstat(fd)
    is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and status.st_nlink == 1
    if not is_ours or os.pread(fd, len(MAGIC), 0) not in (b"", MAGIC):
        raise UsageError(f"{printable(path)} exists and is not a trace; choose another file for --trace.")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 0)
    except BlockingIOError:
        raise UsageError(f"{printable(path)}: another process writes its trace there.") from None
    except OSError as error:
        raise StorageError(path, f"the trace cannot be written ({error.strerror})") from None
