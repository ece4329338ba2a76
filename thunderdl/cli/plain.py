"""Plain lines, for pipes, logs and ``-q``: results to stdout, everything else to stderr.

Invariant: with ``--json`` stdout holds one object a finished file and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from weakref import WeakKeyDictionary

from thunderdl.cli import sentences
from thunderdl.cli.views import Loudness, Paper, Watched, WatchedTask, write_line
from thunderdl.errors import ThunderdlError, printable, shown_url
from thunderdl.model import Progress, Result, Status
from thunderdl.quantities import clock, percent, rate, size

EVERY_S = 5.0
POLL_S = 0.5
# No source has more than one line of -v in this time.
QUIET_S = 2.0
# So many single files get a line of their own each time; more would hide the totals.
FEW = 3


class PlainView:
    """Lines. ``stdout`` and ``stderr`` default to the process's own, looked up when written to."""

    def __init__(
        self,
        loudness: Loudness = Loudness(),  # noqa: B008  # frozen
        *,
        as_json: bool = False,
        stdout: Paper | None = None,
        stderr: Paper | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loudness, self._as_json = loudness, as_json
        self._stdout, self._stderr, self._now = stdout, stderr, now
        self._events: WeakKeyDictionary[WatchedTask, _Events] = WeakKeyDictionary()
        # Notes that -v told when they came.
        self._told: set[str] = set()

    async def watch(self, client: Watched) -> None:
        if self._loudness.quiet:
            return
        last = self._now()
        while True:
            await asyncio.sleep(POLL_S)
            if self._loudness.verbose:
                self.tell_events(client)
            if self._now() - last >= EVERY_S:
                last = self._now()
                self.tell_progress(client)

    def tell_progress(self, client: Watched) -> None:
        """A line for each of a few tasks, or one for all of many."""
        tasks = client.tasks()
        if len(tasks) > FEW:
            self._say(totals_line(client))
            return
        for task in tasks:
            self._say(progress_line(task.progress()))

    def tell_events(self, client: Watched) -> None:
        """What is new since the last look: why sources are used as they are, notes of the download."""
        for task in islice(client.tasks(), 64):
            for line in self._events.setdefault(task, _Events()).new(task, self._now()):
                self._say(line)
            self._told.update(map(printable, task.progress().notes))

    def finished(self, result: Result) -> None:
        failed = result.error is not None or result.status is Status.FAILED
        if self._as_json:
            write_line(self._stdout or sys.stdout, sentences.json_line(result))
        elif not failed and not self._loudness.quiet:
            write_line(self._stdout or sys.stdout, sentences.outcome(result))
        # A stop is told once for all of them, by the session.
        if failed and not self._as_json and (result.status is not Status.CANCELLED or self._loudness.verbose):
            self._say(sentences.outcome(result))
        if not self._loudness.quiet:
            self._rest(result)

    def problem(self, error: ThunderdlError) -> None:
        self._say(str(error))

    def close(self) -> None:
        pass

    def _rest(self, result: Result) -> None:
        for line in sentences.remarks(result):
            if line not in self._told:
                self._say(f"  {line}")
        if self._loudness.verbose:
            for line in sentences.details(result):
                self._say(f"  {line}")

    def _say(self, text: str) -> None:
        write_line(self._stderr or sys.stderr, text)


class _Events:
    """What was already told of one task."""

    def __init__(self) -> None:
        self._notes: set[str] = set()
        # Of each source: the reason told last, and when.
        self._reasons: dict[str, tuple[str, float]] = {}

    def new(self, task: WatchedTask, now: float) -> Iterator[str]:
        progress = task.progress()
        name = shown_url(progress.name)
        for note in progress.notes:
            if note not in self._notes:
                self._notes.add(note)
                yield f"{name}: {printable(note)}"
        for each in task.explanations():
            why, told_at = self._reasons.get(each.url, ("", -QUIET_S))
            # One that changes to and fro is told of now and then, and always in the end.
            if each.why != why and now - told_at >= QUIET_S:
                self._reasons[each.url] = each.why, now
                yield f"{name}: {shown_url(each.url)}: {printable(each.told)}"


def progress_line(progress: Progress) -> str:
    """``NAME  43 %  110 MiB of 256 MiB  80 MiB/s  ETA 0:02  4 sources``."""
    if progress.status is Status.SHARING:
        told = sentences.shared(progress.uploaded_bytes, progress.size_bytes or 0)
        return f"{shown_url(progress.name)}  sharing, {told} so far"
    of = f" of {size(progress.size_bytes)}" if progress.size_bytes is not None else ""
    count = sum(source.lanes > 0 for source in progress.sources)
    waiting = [source for source in progress.sources if source.note]
    if not count and waiting:
        # Nothing flows: why says more than six zeros.
        first, name = waiting[0], shown_url(progress.name)
        # A file without a name yet is called by its URL, which need not be read twice.
        why = printable(first.note).removeprefix(f"{name}: ")
        return f"{name}  {size(progress.done_bytes)}{of}  {first.state.value}: {why}"
    parts = (
        shown_url(progress.name),
        percent(progress.done_bytes, progress.size_bytes),
        f"{size(progress.done_bytes)}{of}",
        rate(progress.rate_bytes_per_s),
        f"ETA {clock(progress.eta_s)}",
        f"{count} source{'' if count == 1 else 's'}",
    )
    return "  ".join(parts)


def totals_line(client: Watched) -> str:
    """``120 files done, 1 failed, 16 active  3.20 GiB  80 MiB/s``."""
    totals = client.totals()
    failed = f", {totals.files_failed} failed" if totals.files_failed else ""
    head = f"{totals.files_done} files done{failed}, {len(client.tasks())} active"
    return f"{head}  {size(totals.bytes_done)}  {rate(totals.rate_bytes_per_s)}"
