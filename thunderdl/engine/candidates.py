"""The URLs of one file: opening them with patience, the origin first, mirrors meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from thunderdl.core.backing_off import is_hopeless
from thunderdl.core.trust import Version
from thunderdl.engine.opening import (
    MIRROR_FIRST,
    First,
    Opening,
    OpenSource,
    back_off_s,
    is_passing,
    open_source,
    release,
)
from thunderdl.engine.session import Session
from thunderdl.errors import DownloadFailed, ThunderdlError, foreseen, shown_url
from thunderdl.formats.links import REMOTE_SCHEMES, scheme_of
from thunderdl.options import Options

# How long an answer of a mirror waits for the origin's first word, which then decides what the version is.
ORIGIN_GRACE_S = 1.0
# So often a host may have no connection left for an opening before that counts as a failure.
MOST_TURNED_AWAY = 16
MOST_FOREIGN = 64


@dataclass(slots=True)
class Candidate:
    """One URL of the file, before and while it is a source. ``is_foreign``: named by a torrent, not by the user, whose
    own headers it does not get (curl's CVE-2021-22923 for metalinks)."""

    id: int
    url: str
    error: ThunderdlError | None = None
    opening: Opening | None = None
    source: OpenSource | None = None
    notes: list[str] = field(default_factory=list)
    is_foreign: bool = False


# What a candidate is asked for first.
FirstRange = Callable[[Candidate], First]


def from_the_start(candidate: Candidate) -> First:
    """Where nothing is known of the file: its beginning from the origin."""
    return First() if candidate.id == 1 else MIRROR_FIRST


class Candidates:
    """``urls``: the origin first, then its mirrors; the same URL twice counts once."""

    def __init__(self, session: Session, urls: Sequence[str], options: Options) -> None:
        self._session, self._options = session, options
        self.pace = session.pacing.pace(options)
        self.all = [Candidate(number, url) for number, url in enumerate(dict.fromkeys(urls), 1)]
        self.attempts: list[ThunderdlError] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._late: Callable[[Candidate], Awaitable[None]] | None = None
        # The origin has answered, or failed for the first time.
        self._origin_heard = asyncio.Event()

    @property
    def origin(self) -> Candidate:
        return min(self.all, key=lambda candidate: candidate.id)

    @property
    def still_opening(self) -> bool:
        return any(not task.done() for task in self._tasks)

    def by_id(self, source: int) -> Candidate:
        return next(candidate for candidate in self.all if candidate.id == source)

    def source_of(self, source: int) -> OpenSource | None:
        """The source that is open by this id, None where it is none of a URL."""
        return next((candidate.source for candidate in self.all if candidate.id == source), None)

    async def first(self, first_range: FirstRange) -> Candidate:
        """The candidate that decides name and version: the origin where it answers soon, else the first that does.

        Raises the error of the only one, or DownloadFailed with those of all.
        """
        if len(self.all) == 1:
            await self._open(self.all[0], first_range)
        else:
            self._tasks = [asyncio.create_task(self._open(candidate, first_range)) for candidate in self.all]
            await self._any_opened()
            # Not until it opens: refused and tried again, it held three good mirrors up for a second.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ORIGIN_GRACE_S):
                    await self._origin_heard.wait()
        return self._opened()

    def add_foreign(self, urls: Iterable[str]) -> None:
        """More URLs of the same file, that somebody else than the user has named; no more than :data:`MOST_FOREIGN`."""
        known = {candidate.url for candidate in self.all}
        for url in dict.fromkeys(urls):
            # Nobody but the user has a file of this machine read.
            if scheme_of(url) in REMOTE_SCHEMES and url not in known and len(self.all) < len(known) + MOST_FOREIGN:
                self.all.append(Candidate(len(self.all) + 1, url, is_foreign=True))

    def open_all(self, first_range: FirstRange, join: Callable[[Candidate], Awaitable[None]]) -> None:
        """Open them all, and hand each to ``join`` that answers: where what the file is is known already."""
        self._late = join
        self._tasks = [asyncio.create_task(self._open(candidate, first_range)) for candidate in self.all]

    async def next_after(self, failed: Candidate) -> Candidate:
        """Another candidate, for what ``failed`` could not bring. Raises as :meth:`first` does."""
        failed.opening = None
        await self._any_opened()
        return self._opened()

    def admit_to(self, join: Callable[[Candidate], Awaitable[None]], first: Candidate) -> None:
        """From now on those that open, or did while ``first`` was waited for, are handed to ``join``."""
        self._late = join
        for candidate in self.all:
            if candidate is not first and candidate.opening is not None:
                self._tasks.append(asyncio.ensure_future(_awaited(join(candidate))))

    def close(self) -> None:
        """Give up what is not open yet, and what was opened for nothing."""
        self.pace.close()
        for task in self._tasks:
            task.cancel()
        for candidate in self.all:
            if candidate.opening is not None and candidate.source is None:
                release(self._session, candidate.opening)
                candidate.opening = None

    def faults_of(self, candidate: Candidate) -> list[ThunderdlError]:
        """Every attempt at this one that went wrong, oldest first."""
        return [error for error in self.attempts if getattr(error, "url", None) == candidate.url]

    def fault_of(self, candidate: Candidate) -> ThunderdlError | None:
        """What tells best why this one is not used: the last fault, of those that do not pass where there are any."""
        faults = self.faults_of(candidate)
        lasting = [error for error in faults if not is_passing(error)]
        return next(reversed(lasting or faults), None)

    def failure(self) -> ThunderdlError:
        """The error that tells why no candidate is left."""
        if len(self.all) == 1 and len(set(map(str, self.attempts))) == 1:
            return self.attempts[-1]
        return DownloadFailed(shown_url(self.origin.url), tuple(self.attempts))

    def _opened(self) -> Candidate:
        opened = next((candidate for candidate in self.all if candidate.opening), None)
        if opened is None:
            raise self.failure()
        return opened

    async def _any_opened(self) -> None:
        pending = {task for task in self._tasks if not task.done()}
        while pending and not any(candidate.opening for candidate in self.all):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

    async def _open(self, candidate: Candidate, first_range: FirstRange) -> None:
        """Open a candidate, with patience for what may pass; its opening or its error is in it afterwards."""
        options = replace(self._options, headers=()) if candidate.is_foreign else self._options
        failures = turned_away = 0
        down_since: float | None = None
        while True:
            try:
                candidate.opening = await open_source(
                    self._session, candidate.url, options, first_range(candidate), self.pace.meter
                )
            except Exception as caught:
                error = foreseen(caught)
                if getattr(error, "one_too_many", False) and turned_away < MOST_TURNED_AWAY:
                    # Not its fault: it waits in line for one of the connections that the host allows.
                    turned_away += 1
                    continue
                self._note_origin(candidate)
                failures += 1
                self.attempts.append(error)
                candidate.error = error
                now = self._session.loop.time()
                down_since = now if down_since is None else down_since
                if not is_passing(error) or is_hopeless(failures, now - down_since, self._options.retries):
                    return
                await asyncio.sleep(back_off_s(now - down_since, error, self._session.jitter.uniform(0.75, 1.25)))
                continue
            candidate.error = None
            self._note_origin(candidate)
            if self._late is not None:
                await self._late(candidate)
            return

    def _note_origin(self, candidate: Candidate) -> None:
        if candidate is self.origin:
            self._origin_heard.set()


async def _awaited(work: Awaitable[None]) -> None:
    await work


def source_of(candidate: Candidate, opening: Opening, version: Version, timeout_s: float) -> OpenSource:
    """The source that lanes are opened to, once a candidate has been let in."""
    return OpenSource(id=candidate.id, url=candidate.url, request=opening.request, version=version, timeout_s=timeout_s)
