"""What happens in the queue, told to whoever listens, in order; nobody who is slow holds it up."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from thunderdl.daemon.jobs import Job

# Who is so far behind has lost track: it is told so, and asks anew.
MOST_BEHIND = 10_000


class What(enum.Enum):
    """``CHANGED``: options, order or what else a page shows; ``SHARED``: whole, and now shared with peers."""

    ADDED = "added"
    STARTED = "started"
    PAUSED = "paused"
    STOPPED = "stopped"
    SHARED = "shared"
    COMPLETED = "completed"
    FAILED = "failed"
    FORGOTTEN = "forgotten"
    CHANGED = "changed"
    MOVED = "moved"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Event:
    """``job``: None where it concerns the whole queue."""

    what: What
    job: Job | None = None


class Subscription:
    """Events of the kinds ``wanted`` since it was made, one after the other. ``lost``: too many came at once, and the
    oldest are gone."""

    def __init__(self, wanted: Collection[What]) -> None:
        self._wanted = wanted
        self._events: asyncio.Queue[Event] = asyncio.Queue(MOST_BEHIND)
        self.lost = False

    def put(self, event: Event) -> None:
        if event.what not in self._wanted:
            return
        if self._events.full():
            self._events.get_nowait()
            self.lost = True
        self._events.put_nowait(event)

    async def get(self) -> Event:
        """The next one, waited for."""
        return await self._events.get()

    def waiting(self) -> Iterator[Event]:
        """Those that are there already."""
        while not self._events.empty():
            yield self._events.get_nowait()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            yield await self.get()


class Bus:
    """Hands each event to everybody who listens."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[Event], None]] = {}

    def publish(self, what: What, job: Job | None = None) -> None:
        event = Event(what, job)
        for listener in list(self._listeners.values()):
            listener(event)

    @contextmanager
    def hearing(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Call ``listener`` with each event, at once, for as long as the context holds. It must not wait or raise."""
        self._listeners[listener] = listener
        try:
            yield
        finally:
            del self._listeners[listener]

    @contextmanager
    def listening(self, wanted: Collection[What] = frozenset(What)) -> Iterator[Subscription]:
        """A subscription for as long as the context holds."""
        subscription = Subscription(wanted)
        with self.hearing(subscription.put):
            yield subscription
