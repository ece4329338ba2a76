"""Begins the requests of a list as there is room, looking ahead so that no host idles behind a slow one.

Which one is next is decided in :mod:`thunderdl.core.waiting`. Lives on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from thunderdl.core.waiting import WaitingRoom
from thunderdl.model import Result

# A list that is a program may be slow in coming: what is there begins after so long.
BREATH_S = 0.01
# Whether those that run are long is looked at again after this time.
LOOK_S = 1.0
R = TypeVar("R")


class Job(Protocol):
    """A download that was begun."""

    @property
    def over(self) -> asyncio.Future[Result]:
        """Done with its Result; never an exception but for a bug."""

    def is_long(self) -> bool:
        """Whether it has proven to take long."""


class Feeder(Generic[R]):
    """``begin``: starts a request; ``host_of``: where it goes; ``jobs``, ``room``: see WaitingRoom; ``instead``: the
    requests that one turned out to stand for, whose results come in the place of its own; none for most."""

    def __init__(
        self, *, jobs: int, room: Callable[[str], int], host_of: Callable[[R], str], begin: Callable[[R], Job],
        instead: Callable[[R, Result], Sequence[R]] = lambda request, result: (),
    ) -> None:  # fmt: skip
        self._host_of, self._begin, self._instead = host_of, begin, instead
        self._loop = asyncio.get_running_loop()
        self._waiting: WaitingRoom[R] = WaitingRoom(jobs, room)
        self._jobs: dict[Job, None] = {}
        self._ended: asyncio.Queue[asyncio.Future[Result] | None] = asyncio.Queue()
        self._space = asyncio.Event()
        self._soon: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._long = 0
        self._exhausted = self._stopped = False

    async def results(self, requests: Iterable[R] | AsyncIterable[R]) -> AsyncGenerator[Result, None]:
        """The results as they come. Raises what ``requests`` raises, once all that had come before are over."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while not self._exhausted or self._waiting or self._jobs or not self._ended.empty():
                if (over := await self._ended.get()) is not None:
                    yield over.result()
            if not self._stopped:
                await reading
        finally:
            self.stop()
            reading.cancel()

    def change_jobs(self, jobs: int) -> None:
        """Run so many at once from now on; those that run go on."""
        self._waiting.change_jobs(jobs)
        self._look_soon()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = self._exhausted = True
        self._waiting.clear()
        for handle in filter(None, (self._soon, self._timer)):
            handle.cancel()
        self._space.set()
        self._ended.put_nowait(None)

    async def _read(self, requests: Iterable[R] | AsyncIterable[R]) -> None:
        breathed_at = self._loop.time()
        try:
            async for request in one_by_one(requests):
                if self._stopped:
                    return
                self._waiting.add(request, self._host_of(request))
                self._look_soon()
                if self._loop.time() - breathed_at > BREATH_S:
                    await asyncio.sleep(0)
                    breathed_at = self._loop.time()
                while self._waiting.is_full:
                    self._space.clear()
                    await self._space.wait()
        finally:
            self._exhausted = True
            self._ended.put_nowait(None)

    def _look_soon(self) -> None:
        """When the list has no more at the moment: only then is it seen which hosts it has."""
        if self._soon is None:
            self._soon = self._loop.call_soon(self._look_now)

    def _look_now(self) -> None:
        self._soon = None
        self._begin_ready()

    def _look_again(self) -> None:
        self._timer = None
        self._count_long()
        self._begin_ready()

    def _begin_ready(self) -> None:
        while self._waiting.has_place(self._long) and (found := self._waiting.begin()) is not None:
            self._start(*found)
        if not self._waiting.is_full:
            self._space.set()
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look_again)

    def _count_long(self) -> None:
        self._long = sum(job.is_long() for job in self._jobs)

    def _start(self, request: R, host: str) -> None:
        try:
            job = self._begin(request)
        except Exception as bug:
            # Raised to who waits for the results: nobody hears of it in a callback.
            failed: asyncio.Future[Result] = self._loop.create_future()
            failed.set_exception(bug)
            self._waiting.ended(host)
            self._ended.put_nowait(failed)
            return
        self._jobs[job] = None

        def over(future: asyncio.Future[Result]) -> None:
            del self._jobs[job]
            self._waiting.ended(host)
            if self._long:
                self._count_long()
            if not self._take_instead(request, future):
                self._ended.put_nowait(future)
            # Once for all that end in this round of the loop.
            self._look_soon()

        job.over.add_done_callback(over)

    def _take_instead(self, request: R, over: asyncio.Future[Result]) -> bool:
        """Whether other requests take the place of this one."""
        if self._stopped or over.exception() is not None:
            return False
        found = self._instead(request, over.result())
        for each in found:
            self._waiting.add(each, self._host_of(each))
        return bool(found)


def host_as_typed(url: str) -> str:
    """Where a URL as typed leads, without judging it: good enough to tell hosts apart, for a microsecond. What is sent
    to whom is decided by :func:`thunderdl.engine.opening.origin_of`."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2].lower()
    scheme = scheme.lower()
    return f"{scheme}://{authority.removesuffix(':443' if scheme == 'https' else ':80')}"


async def one_by_one(requests: Iterable[R] | AsyncIterable[R]) -> AsyncIterator[R]:
    """Those of either kind, as they come."""
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
        return
    for request in requests:
        yield request
