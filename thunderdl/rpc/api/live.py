"""What changes, told to every listener from one look at the queue.

Invariants: the queue is looked at by one loop, at most twice a second, however many listen; nobody who is slow holds up
anybody: who falls behind loses what is old and gets the whole picture instead. What 100,000 tasks cost is what of them
is shown: those that run, the first in line, the last that ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator

from thunderdl.daemon.events import Event, What
from thunderdl.daemon.jobs import Job, State
from thunderdl.daemon.queue import Queue
from thunderdl.errors import StorageError
from thunderdl.rpc.api.settings import limit_text, settings_of
from thunderdl.rpc.api.shapes import Json, detail_of, task_of
from thunderdl.rpc.exchange import encoded
from thunderdl.storage.files import free_space

TICK_S = 0.5
FREE_S = 5.0
FIRST_WAITING, LAST_ENDED = 200, 100
# More than so many changes at once are told as a whole picture, which is not larger.
MOST_CHANGES = 300
MOST_BEHIND = 64
MOST_RATES = 300


class Listener:
    """Who listens: events as they go over the wire. ``gid``: of the task whose details it wants, too."""

    def __init__(self, gid: str | None) -> None:
        self.gid = gid
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_BEHIND)
        self.is_lost = True

    def put(self, event: bytes) -> None:
        if self.events.full():
            self.is_lost = True
        if not self.is_lost:
            self.events.put_nowait(event)


class Live:
    """The look, the counts, and what they were a moment ago."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._listeners: set[Listener] = set()
        self._touched: dict[Job, None] = {}
        self._gone: list[str] = []
        self._is_moved = self._is_set = self._is_counted = False
        self._paused: set[Job] = set()
        self._ended_count = 0
        self._free_bytes: int | None = None
        self._last: dict[Job, bytes] = {}
        self._last_stat = b""
        self._last_details: dict[str, bytes] = {}
        self._woken = asyncio.Event()
        self._rates: deque[tuple[int, int]] = deque(maxlen=MOST_RATES)
        # Of each that runs, too: for the chart of whoever opens its page.
        self._rates_of: dict[str, deque[tuple[int, int]]] = {}
        self._now: tuple[int, int] = (0, 0)
        self._measured_at = time.monotonic()
        self.is_closing = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look, for as long as this holds."""
        self._paused = {job for job in self._queue.waiting() if job.state is State.PAUSED}
        with self._queue.events.hearing(self._hear):
            loops = [asyncio.create_task(self._look()), asyncio.create_task(self._count())]
            try:
                yield
            finally:
                for loop in loops:
                    loop.cancel()
                await asyncio.wait(loops)

    @contextlib.contextmanager
    def listening(self, gid: str | None) -> Iterator[Listener]:
        """A listener, told the whole picture at once."""
        listener = Listener(gid)
        if self.is_closing:
            listener.events.put_nowait(None)
        self._listeners.add(listener)
        self._catch_up([listener])
        self._woken.set()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End every event stream."""
        self.is_closing = True
        for listener in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                listener.events.put_nowait(None)

    # -- what is told

    def stat(self) -> Json:
        """The numbers over all."""
        running, in_line, _ = self._queue.counts()
        return {
            "rate_bytes_per_s": self._now[0], "upload_rate_bytes_per_s": self._now[1], "active": running,
            "waiting": in_line - len(self._paused), "paused": len(self._paused), "ended": self._ended_count,
            "limit": limit_text(self._queue.rules.options.limit), "free_bytes": self._free_bytes,
        }  # fmt: skip

    def snapshot(self) -> Json:
        """The whole picture, as far as it is shown at once."""
        queue = self._queue
        shown = [*queue.active(), *queue.waiting(slice(FIRST_WAITING)), *reversed(queue.ended()[-LAST_ENDED:])]
        stat = self.stat()
        return {
            "tasks": [task_of(queue, job) for job in shown],
            "counts": {name: stat[name] for name in ("active", "waiting", "paused", "ended")}, "stat": stat,
            "settings": settings_of(queue.rules), "rates": self.rates(),
        }  # fmt: skip

    def rates(self) -> list[tuple[int, int]]:
        """What came and went in each of the last seconds; in those in which nothing ran it was nothing."""
        return [*self._rates, *self._idle()][-MOST_RATES:]

    def _idle(self) -> list[tuple[int, int]]:
        seconds = int(time.monotonic() - self._measured_at) - 1
        return [(0, 0)] * min(seconds, MOST_RATES)

    # -- how it comes about

    def _hear(self, event: Event) -> None:
        job = event.job
        if event.what is What.SETTINGS:
            self._is_set = True
        elif job is not None:
            if job.state is State.PAUSED:
                self._paused.add(job)
            else:
                self._paused.discard(job)
            if event.what is What.FORGOTTEN:
                self._gone.append(job.gid)
                self._touched.pop(job, None)
            else:
                self._touched[job] = None
            self._is_moved |= event.what is What.MOVED
            self._is_counted &= not (job.state.has_ended or event.what is What.ADDED)
        self._woken.set()

    async def _look(self) -> None:
        for turn in _turns():
            if not self._queue.active():
                await self._woken.wait()
            self._woken.clear()
            if turn % 2 == 0:
                self._measure()
            if not self._queue.active():
                self._now = (0, 0)
            if self._listeners:
                self._tell(is_second=turn % 2 == 0)
            else:
                self._forget_changes()
            await asyncio.sleep(TICK_S)

    def _measure(self) -> None:
        """Remember what is brought, for the chart of who comes later."""
        last, self._rates_of = self._rates_of, {}
        down = up = 0
        for job in self._queue.active():
            if (seen := self._queue.progress(job)) is not None:
                now = round(seen.rate_bytes_per_s), round(seen.upload_rate_bytes_per_s)
                down, up = down + now[0], up + now[1]
                rates = self._rates_of[job.gid] = last.get(job.gid) or deque(maxlen=MOST_RATES)
                rates.append(now)
        self._now = (down, up)
        self._rates.extend((*self._idle(), self._now))
        self._measured_at = time.monotonic()

    def _tell(self, *, is_second: bool) -> None:
        if len(self._touched) + len(self._gone) > MOST_CHANGES:
            for listener in self._listeners:
                listener.is_lost = True
        self._tell_tasks()
        if self._is_moved:
            first = [job.gid for job in self._queue.waiting(slice(FIRST_WAITING))]
            self._put(event_of("order", {"waiting": first}))
        if self._is_set:
            self._put(event_of("settings", settings_of(self._queue.rules)))
        stat = event_of("stat", self.stat())
        if stat != self._last_stat or (is_second and self._queue.active()):
            self._last_stat = stat
            self._put(stat)
        if is_second or self._touched:
            self._tell_details()
        self._forget_changes()
        self._catch_up([listener for listener in self._listeners if listener.is_lost])

    def _forget_changes(self) -> None:
        self._touched, self._gone = {}, []
        self._is_moved = self._is_set = False

    def _tell_tasks(self) -> None:
        """Those that changed, of those that run whatever differs from what was told."""
        if all(listener.is_lost for listener in self._listeners):
            return
        running = self._queue.active()
        last, self._last = self._last, {}
        parts = []
        for job in {**dict.fromkeys(running), **self._touched}:
            told = encoded(task_of(self._queue, job))
            if job.state is State.ACTIVE:
                self._last[job] = told
            if told != last.get(job):
                parts.append(told)
        if parts or self._gone:
            gone = encoded(self._gone)
            self._put(b'event: tasks\ndata: {"changed":[' + b",".join(parts) + b'],"gone":' + gone + b"}\n\n")

    def _tell_details(self) -> None:
        wanted: dict[str, list[Listener]] = {}
        for listener in self._listeners:
            if listener.gid is not None and not listener.is_lost:
                wanted.setdefault(listener.gid, []).append(listener)
        last, self._last_details = self._last_details, {}
        for gid, listeners in wanted.items():
            told = self._detail(gid)
            if told is not None:
                self._last_details[gid] = told
                if told != last.get(gid):
                    for listener in listeners:
                        listener.put(told)

    def _detail(self, gid: str) -> bytes | None:
        job = self._queue.at_hand(gid)
        return event_of("detail", detail_of(self._queue, job)) if job is not None else None

    def _put(self, event: bytes) -> None:
        for listener in self._listeners:
            listener.put(event)

    def _catch_up(self, lost: list[Listener]) -> None:
        """The whole picture for those that have room for it."""
        ready = [listener for listener in lost if listener.events.empty()]
        if not ready:
            return
        snapshot = event_of("snapshot", self.snapshot())
        for listener in ready:
            listener.is_lost = False
            listener.put(snapshot)
            if listener.gid is not None and (rates := self._rates_of.get(listener.gid)):
                listener.put(event_of("rates", {"gid": listener.gid, "rates": list(rates)}))
            if listener.gid is not None and (told := self._detail(listener.gid)) is not None:
                listener.put(told)

    async def _count(self) -> None:
        """What needs the disk: how many have ended, how much room there is."""
        looked_at = 0.0
        while True:
            with contextlib.suppress(StorageError):
                if not self._is_counted:
                    self._is_counted = True
                    self._ended_count = await self._queue.store.count_ended()
                    self._woken.set()
                if time.monotonic() - looked_at >= FREE_S:
                    looked_at = time.monotonic()
                    folder = self._queue.rules.options.dir
                    self._free_bytes = await asyncio.to_thread(free_space, folder)
            await asyncio.sleep(TICK_S)


def event_of(kind: str, value: object) -> bytes:
    """As the stream carries it (HTML, section 9.2.5): JSON has no newline of its own."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded(value))


def _turns() -> Iterator[int]:
    turn = 0
    while True:
        yield turn
        turn += 1
