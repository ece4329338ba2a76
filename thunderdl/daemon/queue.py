"""The queue: tasks in, downloads run as its rules say, ends out; each word of it is on the disk before it is given.

Invariants:
1. What :meth:`Queue.add` has returned survives kill -9 and power loss; a task is never in the queue twice.
2. A file that got its final name is not fetched again: before the name is given, a claim with its inode is on the
   disk (:class:`Claim`), and who finds a claimed file after a crash has found the end of the task.
3. A task that ran when the daemon ended stands in line where it stood, and begins again first.
4. Nothing here waits for a disk but on the loop's futures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from thunderdl.client import Client
from thunderdl.daemon.changing import change_running
from thunderdl.daemon.claims import claiming, finished_by
from thunderdl.daemon.events import Bus, What
from thunderdl.daemon.jobs import Job, Outcome, State, Wish, ended_by, new_gid, of_whole, outcome_of, state_of
from thunderdl.daemon.judging import Judge
from thunderdl.daemon.line import Line, Whence, place_of
from thunderdl.daemon.names import naming
from thunderdl.daemon.places import folder_of
from thunderdl.daemon.rules import Rules, changed, restored, stored
from thunderdl.daemon.shares import Shares
from thunderdl.daemon.store import Store
from thunderdl.daemon.ticking import every, unforeseen
from thunderdl.engine.pacing import second_of_week
from thunderdl.errors import StorageError, ThunderdlError, UsageError, foreseen, printable
from thunderdl.model import Progress, Result, Status
from thunderdl.options import Options
from thunderdl.task import Request, Task

# So many that ended are at hand; older ones are searched for in the database.
MOST_ENDED = 1000
TICK_S = 1.0
# So many are looked at before others have their turn: downloads wait for no list of 10,000.
MOST_IN_A_ROW = 200
_GID_TAKEN = "a task of that gid is there already."


class NoSuchTask(UsageError):
    """``gid``: that nothing has."""

    def __init__(self, gid: str) -> None:
        super().__init__(gid)
        self.gid = gid

    def __str__(self) -> str:
        return f"{printable(self.gid)[:40]!r}: no such task."


class NotNow(UsageError):
    """The task is in a state in which that cannot be done."""


class Queue:
    """``async with Queue(…)``: loads what was left, begins it; leaving it stops all, which then goes on next time.

    ``folder``: where it keeps what it knows, made if absent; ``rules``: as started with; ``notes``: what goes wrong is
    told there. Raises UsageError, StorageError, TargetLocked where another daemon has the folder.
    """

    def __init__(
        self, folder: str, rules: Rules, notes: list[str] | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:  # fmt: skip
        self.rules, self.store, self.notes = rules, Store(folder), [] if notes is None else notes
        self.events = Bus()
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._reserved: set[str] = set()
        self._line = Line()
        self._running: dict[Job, Task] = {}
        self._shares = Shares(self.store)
        self._ended: dict[str, Job] = {}
        self._is_closing = False
        self._changing_rules = asyncio.Lock()
        self._judge = Judge(self.store)
        self._client: Client | None = None
        self._ticker: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Queue]:
        """Run it."""
        await self.store.open()
        try:
            await self._load()
            async with Client(self.rules.options) as self._client:
                works = (self._keep_shares, self._keep_hours, self.store.save_soon, self._fill)
                self._ticker = asyncio.create_task(every(TICK_S, works, self.notes.append))
                self._fill()
                try:
                    yield self
                finally:
                    self._is_closing = True
                    self._ticker.cancel()
        finally:
            await self.store.close()

    # -- what there is

    def find(self, gid: str) -> Job:
        """The task of that name, or the one whose name begins so. Raises NoSuchTask; UsageError where several do."""
        gid = gid.lower()
        if (job := self._jobs.get(gid)) is not None:
            return job
        found = [job for name, job in self._jobs.items() if gid and name.startswith(gid)] if len(gid) < 16 else []
        if len(found) > 1:
            raise UsageError(f"{printable(gid)[:40]!r}: several tasks begin so; write more of it.")
        if not found:
            raise NoSuchTask(gid)
        return found[0]

    def at_hand(self, gid: str) -> Job | None:
        """The task of exactly that name; None where there is none, or it ended long ago."""
        return self._jobs.get(gid)

    def active(self) -> Sequence[Job]:
        """Those that run, the longest first."""
        return list(self._running)

    def waiting(self, part: slice = slice(None)) -> Sequence[Job]:
        """Those in line, paused ones among them, in order."""
        return self._line[part]

    def open(self) -> Sequence[Job]:
        """Those that run or are in line, without those that are still on their way to the disk: they may be refused."""
        return [job for job in (*self._running, *self._line) if job.gid in self._jobs]

    def ended(self) -> Sequence[Job]:
        """The last that ended, the newest last."""
        return list(self._ended.values())

    def counts(self) -> tuple[int, int, int]:
        """How many run, wait, have ended and are at hand."""
        return len(self._running), len(self._line), len(self._ended)

    def task(self, job: Job) -> Task | None:
        """What runs of it."""
        return self._running.get(job)

    def progress(self, job: Job) -> Progress | None:
        """Of one that runs, None for others."""
        return task.progress() if (task := self._running.get(job)) is not None else None

    def position(self, job: Job) -> int | None:
        """Its index in line."""
        return self._line.index(job) if job.state.is_in_line else None

    @property
    def client(self) -> Client:
        """Who runs the downloads. Only while it is running."""
        assert self._client is not None
        return self._client

    async def history(
        self, text: str = "", *, before: float = float("inf"), most: int = 100, state: State | None = None
    ) -> list[Job]:
        """Those that ended, the newest first, whose name or link holds ``text``. Raises StorageError."""
        return await self.store.ended_jobs(text, before=before, most=most, state=state)

    # -- what is done with it

    async def add(
        self, wishes: Sequence[Wish], *, at: int | None = None, paused: bool = False, gids: Sequence[str] = ()
    ) -> list[Job]:
        """Queue them, at an index of the line or at its end. They are on the disk when this returns.

        Raises UsageError, and then nothing is added; StorageError.
        """
        if len(set(gids)) < len(gids) or any(gid in self._jobs or gid in self._reserved for gid in gids):
            raise UsageError(_GID_TAKEN)
        with self.reserving(gids):
            return await self._add(wishes, at, State.PAUSED if paused else State.WAITING, gids)

    async def _add(self, wishes: Sequence[Wish], at: int | None, state: State, gids: Sequence[str]) -> list[Job]:
        now, jobs = self._clock(), list[Job]()
        for number, (wish, gid) in enumerate(zip(wishes, gids or [new_gid() for _ in wishes], strict=True), 1):
            jobs.append(Job(gid, self._judge.checked(wish, self.rules), state, added_at=now))
            if number % MOST_IN_A_ROW == 0:
                await asyncio.sleep(0)
        if at is None and jobs and (weight := jobs[0].wish.priority.weight) != 1:
            at = self._line.end_of(lambda other: other.wish.priority.weight >= weight)
        touched = set(self._line.insert(jobs, at)).difference(jobs)
        try:
            await self.store.save(touched, jobs)
        except BaseException as error:
            for job in jobs:
                self._line.remove(job)
            self.store.take_back(jobs)
            if isinstance(error, StorageError) and gids and await self.store.has_any(gids):
                raise UsageError(_GID_TAKEN) from None
            raise
        for job in jobs:
            self._jobs[job.gid] = job
            self.events.publish(What.ADDED, job)
        self._fill()
        return jobs

    @contextlib.contextmanager
    def reserving(self, gids: Iterable[str]) -> Iterator[None]:
        """Nobody else adds, retries or forgets what has those names meanwhile."""
        mine = set(gids) - self._reserved
        self._reserved |= mine
        try:
            yield
        finally:
            self._reserved -= mine

    async def pause(self, jobs: Iterable[Job]) -> None:
        """Stop them for now. Raises NotNow for one that has ended or is paused."""
        jobs = list(jobs)
        for job in jobs:
            if job.state not in (State.WAITING, State.ACTIVE) or job.leaving is State.REMOVED:
                state = (job.leaving or job.state).value
                raise NotNow(f"{job.gid}: it is {state}, so it cannot be paused.")
        for job in jobs:
            if job.state is State.ACTIVE:
                self._leave(job, State.PAUSED)
            else:
                job.state = State.PAUSED
                self.events.publish(What.PAUSED, job)
        await self.store.save(jobs)
        self._fill()

    async def resume(self, jobs: Iterable[Job]) -> None:
        """Let them wait for their turn again. Raises NotNow for one that is not paused."""
        jobs = list(jobs)
        for job in jobs:
            if State.PAUSED not in (job.state, job.leaving):
                raise NotNow(f"{job.gid}: it is {job.state.value}, not paused.")
        for job in jobs:
            if job.state is State.PAUSED:
                job.state = State.WAITING
                self._line.wake()
                self._shares.await_turn(job)
                self.events.publish(What.CHANGED, job)
            else:
                job.leaving = State.WAITING
        await self.store.save(jobs)
        self._fill()

    async def remove(self, job: Job) -> None:
        """Stop it for good; what is there of the file stays. Raises NotNow for one that has ended."""
        if job.state.has_ended:
            raise NotNow(f"{job.gid}: it has ended.")
        if job.state is State.ACTIVE:
            self._leave(job, State.REMOVED)
        else:
            self._line.remove(job)
            state = State.REMOVED if job.whole is None else State.COMPLETE
            self._end(job, state, job.outcome or Outcome(kind="Cancelled"))
        await self.store.save([job])
        self._fill()

    async def retry(self, job: Job) -> None:
        """Let one that failed or was removed wait again. Raises NotNow for others."""
        if job.state not in (State.FAILED, State.REMOVED):
            raise NotNow(f"{job.gid}: it is {job.state.value}; only what failed or was removed is tried again.")
        self._check_one(job)
        if job.gid in self._reserved:
            raise NotNow(f"{job.gid}: it is being forgotten.")
        self._ended.pop(job.gid, None)
        self._jobs[job.gid] = job
        job.state, job.ended_at, job.claim = State.WAITING, None, None
        job.outcome = job.outcome and job.outcome.how_far()
        touched = {job, *self._line.insert([job])}
        self.events.publish(What.ADDED, job)
        await self.store.save(touched)
        self._fill()

    def _check_one(self, job: Job) -> None:
        """Raises NotNow for one of long ago that is another object by now: two of one gid would run."""
        if self._jobs.get(job.gid, job) is not job:
            raise NotNow(f"{job.gid}: it was tried again at the same time.")

    async def forget(self, jobs: Iterable[Job]) -> None:
        """Strike ended ones from the list; their files stay. Raises NotNow for one that has not ended."""
        jobs = list(jobs)
        for job in jobs:
            if not job.state.has_ended:
                raise NotNow(f"{job.gid}: it has not ended; remove it first.")
            self._check_one(job)
        with self.reserving(job.gid for job in jobs):
            await self.store.forget(jobs)
            self._strike(jobs)

    async def forget_ended(self) -> None:
        """Strike all that ended from the list, those of long ago, too; their files stay. Raises StorageError."""
        jobs = list(self._ended.values())
        with self.reserving(job.gid for job in jobs):
            await self.store.forget_ended()
            self._strike(jobs)

    def _strike(self, jobs: Iterable[Job]) -> None:  # once the disk has: a full one would keep what nobody could name
        for job in jobs:
            if self._jobs.get(job.gid) is job:
                del self._jobs[job.gid]
                self._ended.pop(job.gid, None)
            self.events.publish(What.FORGOTTEN, job)

    async def move(self, job: Job, position: int, whence: Whence = Whence.START) -> int:
        """Change its place in line; the index that it has then. Raises NotNow for one that is not in line."""
        if not job.state.is_in_line:
            raise NotNow(f"{job.gid}: it is {job.state.value}, not in line.")
        to = place_of(whence, position, self._line.index(job), len(self._line))
        touched = self._line.move(job, to)
        self.events.publish(What.MOVED, job)
        await self.store.save(touched)
        return to

    async def change(self, job: Job, wish: Wish) -> None:
        """Another wish for it: of one that runs what can change while it does changes at once, else it begins anew
        with it and keeps what is there. Raises UsageError; NotNow for one that has ended."""
        if job.state.has_ended:
            raise NotNow(f"{job.gid}: it has ended.")
        before, wish = job.wish, self._judge.checked(wish, self.rules)
        task = self._running.get(job)
        if task is not None and job.leaving is None and wish != before:
            change_running(task, self.rules, before, wish)
        job.wish, touched = wish, list[Job]()
        if wish.priority is not before.priority and job.state.is_in_line:
            weight = wish.priority.weight
            self._line.remove(job)
            touched += self._line.insert([job], self._line.end_of(lambda other: other.wish.priority.weight >= weight))
            self.events.publish(What.MOVED, job)
        self.events.publish(What.CHANGED, job)
        await self.store.save({job, *touched})

    async def change_rules(self, settings: Mapping[str, object]) -> None:
        """Settings that hold for the whole queue, from now on and after a restart. Raises UsageError; StorageError, and
        then they do not hold."""
        async with self._changing_rules:
            rules = changed(self.rules, settings)
            folder_of(Wish(urls=("-",)), rules)
            for category in rules.categories:
                folder_of(Wish(urls=("-",), category=category), rules)
            # What was taken back is written down, too: else it would hold again after a restart.
            await self.store.save_settings({**dict.fromkeys(settings, "null"), **stored(rules)})
            self.rules = rules
            self.client.change_limit(rules.options.limit)
            self.client.change_upload_limit(rules.options.upload_limit)
        self.events.publish(What.SETTINGS)
        self._fill()

    # -- how it runs

    def _fill(self) -> None:
        """Begin as many as may run."""
        if self._is_closing:
            return
        for job in self._shares.due():
            self._line.remove(job)
            self._begin(job)
        if not self.rules.runs_at(second_of_week()):
            return
        now = self._clock()
        while len(self._running) - len(self._shares) < self.rules.options.jobs:
            # Not those that are not on the disk yet: nobody has been told that they are there.
            found = self._line.first(lambda job: job.wish.not_before <= now and job.gid in self._jobs)
            if found is None:
                return
            self._line.remove(found)
            self._begin(found)

    def _begin(self, job: Job) -> None:
        try:
            options = replace(self.rules.options_of(job.wish), dir=folder_of(job.wish, self.rules))
            task = self.client.begin(self._request(job, options))
        except Exception as caught:
            # Whatever it is, it is this task's: the others go on.
            self._failed(job, foreseen(caught))
            return
        job.state, job.began_at, job.outcome = State.ACTIVE, self._clock(), job.outcome and job.outcome.how_far()
        self._running[job] = task
        if job.whole is not None:
            self._shares.add(job)
        task.over.add_done_callback(partial(self._has_stopped, job))
        self.events.publish(What.STARTED, job)
        self.store.save_soon([job])

    def _request(self, job: Job, options: Options) -> Request:
        first, *others = job.wish.urls
        return Request(
            first, tuple(others), options, whole=job.whole, may_be_one_file="select-file" in job.wish.foreign,
            on_commit=claiming(job, options.dir, self.store), on_settled=naming(job, self.progress, self.store),
            on_sharing=partial(self._shared, job),
        )  # fmt: skip

    async def _shared(self, job: Job) -> None:
        """It is whole, and shared from now on; a restart goes on with that before anybody is told."""
        await self._shares.begin(job, self._running[job])
        self.events.publish(What.SHARED, job)
        self._fill()

    def _leave(self, job: Job, state: State) -> None:
        """Stop one that runs; it gets that state once it has stopped."""
        job.leaving = state
        if state is State.REMOVED:
            job.ended_at = self._clock()
        self._running[job].cancel()

    def _has_stopped(self, job: Job, over: asyncio.Future[Result]) -> None:
        """In a callback of the loop nobody hears of a bug, and the task would run for ever, in no list."""
        result = over.result()
        try:
            self._is_over(job, result)
        except Exception as bug:
            self.notes.append(unforeseen(bug))
            self._running.pop(job, None)
            if job.state.has_ended or job in self._line or self._is_closing:
                return
            job.leaving = None
            self._end(job, *ended_by(bug, result))
            self.store.save_soon([job])

    def _is_over(self, job: Job, result: Result) -> None:
        task = self._running.pop(job)
        whole = self._shares.ended(job, task)
        # Of what is whole only the sharing was stopped.
        is_stopped = result.status is Status.CANCELLED or (whole is not None and (self._is_closing or job.leaving))
        job.whole, outcome = whole if is_stopped else None, outcome_of(result, task.progress(), job.outcome)
        if job.whole is not None and outcome.path is None:
            # It was stopped before it was shared again.
            outcome = of_whole(job.whole)
        if self._is_closing and is_stopped and job.leaving is not State.REMOVED:
            # It goes on when the daemon is back, or has on the disk what it was stopped for.
            job.outcome = outcome
            self.store.save_soon([job])
            return
        state, job.leaving = job.leaving, None
        touched: Iterable[Job] = ()
        if not is_stopped:
            self._end(job, state_of(result), outcome)
        elif state in (State.PAUSED, State.WAITING):
            job.state, job.outcome = state, outcome
            touched = self._line.come_back(job)
            self._shares.await_turn(job)
            self.events.publish(What.PAUSED if state is State.PAUSED else What.CHANGED, job)
        else:
            self._end(job, State.REMOVED if whole is None else State.COMPLETE, outcome)
        self.store.save_soon([job, *touched])
        self._fill()

    def _failed(self, job: Job, error: ThunderdlError) -> None:
        far, kind = (job.outcome or Outcome()).how_far(), type(error).__name__
        if job.whole is not None:
            # As failed it would be fetched a second time with the next try.
            self._end(job, State.COMPLETE, of_whole(job.whole, str(error)))
        else:
            self._end(job, State.FAILED, replace(far, error=str(error), kind=kind, exit_code=error.exit_code))
        self.store.save_soon([job])

    def _end(self, job: Job, state: State, outcome: Outcome) -> None:
        job.state, job.outcome, job.ended_at, job.whole = state, outcome, self._clock(), None
        self._ended[job.gid] = job
        while len(self._ended) > MOST_ENDED:
            oldest = self._ended.pop(next(iter(self._ended)))
            self._jobs.pop(oldest.gid, None)
        told = {State.COMPLETE: What.COMPLETED, State.FAILED: What.FAILED, State.REMOVED: What.STOPPED}
        self.events.publish(told[state], job)

    async def _keep_shares(self) -> None:
        await self._shares.keep(self._running)

    def _keep_hours(self) -> None:
        if self.rules.runs_at(second_of_week()):
            return
        for job, task in list(self._running.items()):
            if job.leaving is None and job not in self._shares and not task.is_sharing:
                self._leave(job, State.WAITING)

    async def _load(self) -> None:
        self.rules, notes = restored(self.rules, await self.store.settings())
        self.store.notes += notes
        await self.store.forget_documents()
        for job in reversed(await self.store.ended_jobs(most=MOST_ENDED)):
            self._jobs[job.gid] = self._ended[job.gid] = job
        found = await self.store.open_jobs()
        ran = {job for job in found if job.state is State.ACTIVE or job.claim is not None or job.whole is not None}
        for job in ran:
            job.state = State.PAUSED if job.state is State.PAUSED else State.WAITING
            if job.whole is not None:
                job.outcome = of_whole(job.whole)
            elif (claim := job.claim) is not None and (path := await asyncio.to_thread(finished_by, claim)) is not None:
                name, size = os.path.basename(path), claim.size_bytes
                self._end(job, State.COMPLETE, Outcome(name=name, path=path, size_bytes=size, done_bytes=size))
            self._shares.await_turn(job)
        self._line = Line(job for job in found if not job.state.has_ended)
        self._jobs.update((job.gid, job) for job in found)
        await self.store.save(ran.union(self._line.changed))
