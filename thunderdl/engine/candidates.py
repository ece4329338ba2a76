"""The URLs of one file: opening them with patience, the origin first, mirrors meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from thunderdl.core.backing_off import is_hopeless
from thunderdl.core.trust import Version
from thunderdl.engine.access import of_mirror, of_stranger, options_for_fresh
from thunderdl.engine.forgetting import remembered, telling
from thunderdl.engine.opening import (
    MIRROR_FIRST,
    First,
    Opening,
    OpenSource,
    back_off_s,
    is_passing,
    open_source,
    origin_of,
    release,
)
from thunderdl.engine.renewing import refreshed
from thunderdl.engine.session import Session
from thunderdl.errors import Cancelled, DownloadFailed, SourceError, ThunderdlError, TimedOut, foreseen, shown_url
from thunderdl.formats.links import FOREIGN_SCHEMES, is_metalink_type, scheme_of
from thunderdl.options import Options

# How long an answer of a mirror waits for the origin's first word, which then decides what the version is.
ORIGIN_GRACE_S = 1.0
# So often a host may have no connection left for an opening before that counts as a failure.
MOST_TURNED_AWAY = 16
# Of a long list of mirrors so many are asked at once; one that has not answered for YOUNG_S counts no more (in a list
# with 60 dead of 100 most would be waited for otherwise). So many in use are enough, and so many failures.
MOST_YOUNG, YOUNG_S = 24, 0.5
MOST_IN_USE = 48
# So many are remembered at a time: each event looks through them all.
MOST_TRIED = 1000
TEND_S = 0.05
# Of strangers' mirrors those are not waited for any longer that have been silent for so long, where so many others are
# in use: a dark one holds a connection for the whole timeout otherwise. Where the others fail they are asked once more.
SILENT_S, ENOUGH_IN_USE = 2.0, 4
# What servers answer where no such file is, or none that they show.
NOT_THERE = (403, 404, 410)
TAKEN_AWAY = "the user has taken it away"
# Where enough are in use, one that was down is asked again so much later.
PATIENT_TIMES = 8


@dataclass(slots=True)
class Candidate:
    """One URL of the file, before and while it is a source. ``options``: what it is asked with, which holds of the
    user's credentials those that are for it alone; ``is_foreign``: named by a torrent, a metalink or a server, not by
    the user (curl's CVE-2021-22923); ``is_stranger``: nor by a document that the user named; ``told_by``: who named it,
    a path or URL. ``wants_proof``: refused since nothing showed that it has the same bytes. ``is_removed``: the
    user has taken it away. ``asked_at``: loop time, None before and once it has answered."""

    id: int
    url: str
    options: Options
    error: ThunderdlError | None = None
    opening: Opening | None = None
    source: OpenSource | None = None
    notes: list[str] = field(default_factory=list)
    is_foreign: bool = False
    is_stranger: bool = False
    wants_proof: bool = False
    is_removed: bool = False
    told_by: str = ""
    asked_at: float | None = None
    # What took the place of the URL, which had expired.
    fresh_url: str | None = None
    refreshed: int = 0

    @property
    def where(self) -> str:
        """The URL to ask."""
        return self.fresh_url or self.url

    @property
    def leads_to_metalink(self) -> bool:
        """Whether what answered says that it is one: strangers bring the bytes that are known, or nothing."""
        opening = None if self.is_foreign else self.opening
        return opening is not None and is_metalink_type(opening.head.get("content-type") or "")

    def go_to(self, url: str) -> None:
        """From now on by another URL, which nobody but whoever was asked for it has named."""
        self.options = options_for_fresh(self.options, same_origin=origin_of(url) == origin_of(self.where))
        self.fresh_url = url


# What a candidate is asked for first.
FirstRange = Callable[[Candidate], First]


def from_the_start(candidate: Candidate) -> First:
    """Where nothing is known of the file: its beginning from the origin."""
    return First() if candidate.id == 1 else MIRROR_FIRST


class Candidates:
    """``urls``: the origin first, then its mirrors; the same URL twice counts once. ``foreign``: more of them, by
    preference, that ``told_by`` has named and not the user; they are asked a few at a time, as they are needed.
    ``home``: the URL that password and token were given for, where it is none of these; ``without``: URLs that the user
    wants nothing from, whoever names them."""

    def __init__(
        self, session: Session, urls: Sequence[str], options: Options, foreign: Iterable[str] = (), told_by: str = "",
        home: str = "", without: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self._session, self._options = session, options
        self.pace = session.pacing.pace(options)
        session.access.named.update(filter(None, map(origin_of, urls)))
        mirrors = of_mirror(options)
        first = next(iter(urls), None)
        self._at_home = origin_of(home) or origin_of(first or "")
        self.all = [
            Candidate(
                number, url, options if (url == first and not home) or origin_of(url) == self._at_home else mirrors
            )
            for number, url in enumerate(dict.fromkeys(urls), 1)
        ]
        self._last_id = len(self.all)
        # Of the foreign ones that failed so many were forgotten, to make room for others.
        self.forgotten = 0
        # What those are asked for that are added, once any are.
        self._first_range: FirstRange | None = None
        self._bench: deque[Candidate] = deque()
        self._known = {*without, *(candidate.url for candidate in self.all)}
        self._instead: dict[str, str] = {}
        self._tending: asyncio.Task[None] | None = None
        # One of those that were asked has answered or failed: there is room for the next.
        self._has_heard = asyncio.Event()
        # Brings more of them, perhaps.
        self._coming: asyncio.Task[None] | None = None
        # Whether any bytes can be told from the right ones, whoever brings them.
        self.is_proven = False
        # Whether a source is still of use; who drives them knows.
        self.is_used: Callable[[int], bool] = lambda source: True
        self.add_foreign(foreign, told_by)
        self.attempts: list[ThunderdlError] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: dict[int, asyncio.Task[None]] = {}
        # Foreign ones that were silent while others brought the file.
        self._dropped: list[Candidate] = []
        self._late: Callable[[Candidate], Awaitable[None]] | None = None
        # The origin has answered, or failed for the first time.
        self._origin_heard = asyncio.Event()

    @property
    def origin(self) -> Candidate:
        return min(self.all, key=lambda candidate: candidate.id)

    def replace_origin(self, url: str) -> None:
        """The user has another link of the same file, where the first one has expired."""
        self._session.access.named.update(filter(None, [origin_of(url)]))
        self.origin.fresh_url = url

    @property
    def still_opening(self) -> bool:
        """Whether one more may still turn out to be a source."""
        return any(not task.done() for task in self._tasks) or self._tending is not None or self._is_coming

    @property
    def _is_coming(self) -> bool:
        return self._coming is not None and not self._coming.done()

    @property
    def untried(self) -> int:
        """How many of the foreign ones nobody has asked."""
        return len(self._bench)

    @property
    def to_come(self) -> int:
        """How many may still turn out to be sources."""
        return len(self._bench) + sum(map(self._is_silent, self.all))

    @property
    def bench(self) -> Iterable[str]:
        """The URLs of those."""
        return (candidate.url for candidate in self._bench)

    async def ask(self, candidate: Candidate, first: First) -> Opening:
        """Ask a candidate, with what of the user's it may be told. Raises SourceError."""
        return await open_source(
            self._session, candidate.where, candidate.options, first, self.pace.meter, candidate.told_by
        )  # fmt: skip

    def by_id(self, source: int) -> Candidate:
        return next(candidate for candidate in self.all if candidate.id == source)

    def source_of(self, source: int) -> OpenSource | None:
        """The source that is open by this id, None where it is none of a URL."""
        return next((candidate.source for candidate in self.all if candidate.id == source), None)

    async def first(self, first_range: FirstRange) -> Candidate:
        """The candidate that decides name and version: the origin where it answers soon, else the first that does.

        Raises the error of the only one, or DownloadFailed with those of all.
        """
        self._first_range = first_range
        if len(self.all) == 1 and not self._bench and not self._is_coming:
            await self._open(self.all[0], first_range)
            if not self._has_opened:
                # Others may have been added meanwhile.
                await self._any_opened()
        else:
            self._begin_all(first_range)
            await self._any_opened()
            # Not until it opens: refused and tried again, it held three good mirrors up for a second.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ORIGIN_GRACE_S):
                    await self._origin_heard.wait()
        return self._opened()

    def add_foreign(
        self, urls: Iterable[str], told_by: str, *, is_stranger: bool = False, instead: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        """More URLs of the same file, that ``told_by`` has named; those of whom most is hoped first; ``instead``: what
        to ask where one of them has no such file."""
        self._instead.update(instead or {})
        options = of_stranger(self._options)
        for url in urls:
            if url not in self._known and scheme_of(url) in FOREIGN_SCHEMES:
                self._known.add(url)
                self._bench.append(
                    Candidate(0, url, options, is_foreign=True, is_stranger=is_stranger, told_by=told_by)
                )
        if not self.all and self._bench:
            self._next_from_the_bench()

    def ask_instead(self, candidate: Candidate, first_range: FirstRange) -> None:
        """It has no such file: the next guess of where it is, where there is one."""
        if (url := self._instead.pop(candidate.url, None)) is not None:
            self.add_foreign([url], candidate.told_by, is_stranger=candidate.is_stranger)
            self.tend(first_range)

    def add(self, url: str) -> None:
        """One more that the user names."""
        self._session.access.named.update(filter(None, [origin_of(url)]))
        self._known.add(url)
        options = self._options if origin_of(url) == self._at_home else of_mirror(self._options)
        candidate = Candidate(self._next_id(), url, options)
        self.all.append(candidate)
        if self._first_range is not None:
            self._begin(candidate, self._first_range)

    def remove(self, url: str) -> Candidate | None:
        """Ask this one no more, nor let anybody name it again; the one that it was, where it was asked before."""
        self._known.add(url)
        self._bench = deque(each for each in self._bench if each.url != url)
        candidate = next((each for each in self.all if each.url == url and not each.is_removed), None)
        if candidate is None:
            return None
        candidate.is_removed = True
        candidate.notes.append(TAKEN_AWAY)
        candidate.error = candidate.error or Cancelled()
        self._note_origin(candidate)
        if (task := self._opening.pop(candidate.id, None)) is not None and candidate.source is None:
            task.cancel()
            self._let_go(candidate)
        return candidate

    def _let_go(self, candidate: Candidate) -> None:
        if candidate.opening is not None and candidate.source is None:
            release(self._session, candidate.opening)
            candidate.opening = None

    def await_more(self, coming: asyncio.Task[None]) -> None:
        """More of them may be added as long as ``coming`` runs: nothing is hopeless before it ends."""
        self._coming = coming

    def reconsider(self, first_range: FirstRange) -> None:
        """Ask those once more that nothing spoke for: something does now."""
        for candidate in self.all:
            if candidate.wants_proof and not candidate.is_removed:
                candidate.wants_proof, candidate.error = False, None
                candidate.notes.clear()
                self._begin(candidate, first_range)

    def open_all(self, first_range: FirstRange, join: Callable[[Candidate], Awaitable[None]]) -> None:
        """Open them all, and hand each to ``join`` that answers: where what the file is is known already."""
        self._late, self._first_range = join, first_range
        self._begin_all(first_range)

    def tend(self, first_range: FirstRange) -> None:
        """Ask those that were added, too, from now on."""
        if self._bench and self._tending is None:
            self._tending = asyncio.create_task(self._tend(first_range))

    def _begin_all(self, first_range: FirstRange) -> None:
        for candidate in self.all:
            # One of a list that came early is on its way already: opened twice, it would be let in twice.
            if (task := self._opening.get(candidate.id)) is None or task.done():
                self._begin(candidate, first_range)
        self.tend(first_range)

    def _begin(self, candidate: Candidate, first_range: FirstRange) -> None:
        candidate.asked_at = self._session.loop.time()
        task = asyncio.create_task(self._open(candidate, first_range))
        task.add_done_callback(lambda _: self._has_heard.set())
        self._tasks.append(task)
        self._opening[candidate.id] = task

    def _next_from_the_bench(self) -> Candidate:
        candidate = self._bench.popleft()
        candidate.id = self._next_id()
        self.all.append(candidate)
        return candidate

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _tend(self, first_range: FirstRange) -> None:
        """Ask the next of the bench as long as too few answer."""
        while (self._bench and len(self.all) < MOST_TRIED) or self._awaits_foreign():
            while self._bench and self._wants_more():
                self._begin(self._next_from_the_bench(), first_range)
            self._drop_silent()
            self._has_heard.clear()
            # Waited for by the clock alone, the last of a hundred was asked 0.7 s after the first.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TEND_S):
                    await self._has_heard.wait()
        self._tending = None

    def _awaits_foreign(self) -> bool:
        """Whether one is asked that might be dark, or have the file elsewhere."""
        return any(self._is_silent(each) for each in self.all if each.is_foreign)

    def _drop_silent(self) -> None:
        late = self._session.loop.time() - SILENT_S
        silent = [
            each for each in self.all if each.is_foreign and self._is_silent(each) and (each.asked_at or late) < late
        ]
        if silent and self._in_use() >= ENOUGH_IN_USE:
            for candidate in silent:
                candidate.error = TimedOut(candidate.url, f"no answer within {SILENT_S:g} s, while others brought it")
                self.attempts.append(candidate.error)
                self._dropped.append(candidate)
                if (task := self._opening.pop(candidate.id, None)) is not None:
                    task.cancel()

    def ask_more(self) -> bool:
        """Now that nobody else is left: ask those once more that were not waited for, then those for which there was no
        room; whether there were any."""
        return self._ask_dropped() or self._ask_rest()

    def _ask_rest(self) -> bool:
        """Of a list that is longer than MOST_TRIED the next are asked once those before them have come to nothing."""
        if not self._bench or len(self.all) < MOST_TRIED:
            return False
        kept = remembered(self.all, self.origin)
        gone = {each.url for each in self.all}.difference(each.url for each in kept)
        self.all, self.forgotten = kept, self.forgotten + len(gone)
        self.attempts[:] = telling(self.attempts, gone)
        self._tasks = [task for task in self._tasks if not task.done()]
        self._opening = {each.id: self._opening[each.id] for each in kept if each.id in self._opening}
        if gone:
            self.tend(self._first_range or from_the_start)
        return bool(gone)

    def _ask_dropped(self) -> bool:
        dropped, self._dropped = [each for each in self._dropped if not each.is_removed], []
        for candidate in dropped:
            candidate.error = None
            self._begin(candidate, from_the_start)
        return bool(dropped)

    @staticmethod
    def _is_silent(candidate: Candidate) -> bool:
        return candidate.opening is None and candidate.error is None and candidate.source is None

    def _in_use(self) -> int:
        return sum(1 for each in self.all if each.source is not None and self.is_used(each.id))

    def _wants_more(self) -> bool:
        young = self._session.loop.time() - YOUNG_S
        asked = sum(1 for each in self.all if self._is_silent(each) and (each.asked_at or 0.0) > young)
        if asked >= MOST_YOUNG or len(self.all) >= MOST_TRIED:
            return False
        return self._in_use() < MOST_IN_USE

    async def next_after(self, failed: Candidate) -> Candidate:
        """Another candidate, for what ``failed`` could not bring. Raises as :meth:`first` does."""
        failed.opening = None
        await self._any_opened()
        return self._opened()

    def admit_to(self, join: Callable[[Candidate], Awaitable[None]], first: Candidate) -> None:
        """From now on those that open, or did while ``first`` was waited for, are handed to ``join``; what that raises
        is a fault of theirs, like one of the first request."""
        self._late = join
        for candidate in self.all:
            if candidate is not first and candidate.opening is not None:
                self._tasks.append(asyncio.create_task(self._open(candidate, self._first_range or from_the_start)))

    def close(self) -> None:
        """Give up what is not open yet, and what was opened for nothing."""
        self.pace.close()
        for task in filter(None, (self._coming, self._tending, *self._tasks)):
            task.cancel()
        for candidate in self.all:
            self._let_go(candidate)

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
        for candidate in self.all:
            if candidate.is_removed:
                self._let_go(candidate)
        opened = next((candidate for candidate in self.all if candidate.opening), None)
        if opened is None:
            raise self.failure()
        return opened

    @property
    def _has_opened(self) -> bool:
        return any(candidate.opening and not candidate.is_removed for candidate in self.all)

    async def _any_opened(self) -> None:
        while not self._has_opened:
            tasks = (self._coming, self._tending, *self._tasks)
            pending = {task for task in tasks if task is not None and not task.done()}
            if pending:
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            elif not self._ask_rest():
                return

    async def _open(self, candidate: Candidate, first_range: FirstRange) -> None:
        """Open a candidate, and let it in, with patience for what may pass; its opening or its error is in it then."""
        failures = turned_away = 0
        down_since: float | None = None
        while True:
            try:
                await self._open_once(candidate, first_range)
                return
            except Exception as caught:
                error = foreseen(caught)
                if isinstance(error, SourceError):
                    error.url = candidate.url
                    if (refused := await refreshed(candidate, error)) is None:
                        continue
                    error = refused
                if getattr(error, "one_too_many", False) and turned_away < MOST_TURNED_AWAY:
                    # Not its fault: it waits in line for one of the connections that the host allows.
                    turned_away += 1
                    continue
                self._note_origin(candidate)
                if candidate.is_removed:
                    return
                failures += 1
                self.attempts.append(error)
                candidate.error = error
                self._has_heard.set()
                now = self._session.loop.time()
                down_since = now if down_since is None else down_since
                if getattr(error, "status", None) in NOT_THERE:
                    self.ask_instead(candidate, first_range)
                if not is_passing(error) or is_hopeless(failures, now - down_since, self._options.retries):
                    return
                wait_s = back_off_s(now - down_since, error, self._session.jitter.uniform(0.75, 1.25))
                is_spare = candidate.is_foreign and self._in_use() >= ENOUGH_IN_USE
                await asyncio.sleep(wait_s * PATIENT_TIMES if is_spare else wait_s)

    async def _open_once(self, candidate: Candidate, first_range: FirstRange) -> None:
        if candidate.opening is None:
            candidate.opening = await self.ask(candidate, first_range(candidate))
        # Where it is compared with the others it waits for them, and not they for it.
        candidate.error = candidate.asked_at = None
        self._note_origin(candidate)
        if self._late is not None:
            await self._late(candidate)

    def _note_origin(self, candidate: Candidate) -> None:
        if candidate is self.origin:
            self._origin_heard.set()


def source_of(candidate: Candidate, opening: Opening, version: Version, timeout_s: float) -> OpenSource:
    """The source that lanes are opened to, once a candidate has been let in."""
    return OpenSource(id=candidate.id, url=candidate.url, request=opening.request, version=version, timeout_s=timeout_s)
