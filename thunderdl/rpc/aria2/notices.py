"""Notifications: what happens in the queue, told to each client that is connected by WebSocket, in order.

Invariant: nobody who reads slowly holds up the daemon or the others, nor makes it keep more than :data:`MOST_BEHIND`
messages: who is further behind is dropped, and asks anew when it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from thunderdl.daemon.events import Event, Subscription, What
from thunderdl.daemon.jobs import Job
from thunderdl.rpc.aria2.jsonrpc import encode, notified
from thunderdl.rpc.aria2.session import Session
from thunderdl.rpc.aria2.telling import is_torrent

MOST_BEHIND = 1000
_BT_COMPLETE = "aria2.onBtDownloadComplete"
_TOLD: Mapping[What, str] = {
    What.STARTED: "aria2.onDownloadStart", What.PAUSED: "aria2.onDownloadPause", What.STOPPED: "aria2.onDownloadStop",
    What.COMPLETED: "aria2.onDownloadComplete", What.FAILED: "aria2.onDownloadError", What.SHARED: _BT_COMPLETE,
}  # fmt: skip
NOTIFICATIONS = tuple(_TOLD.values())
_ENDS = (What.STOPPED, What.COMPLETED, What.FAILED)


class Outbox:
    """Messages for one client. ``is_overfull``: it is too far behind; nothing is put in any more."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[str] = asyncio.Queue(MOST_BEHIND)
        self.overfull = asyncio.Event()

    def tell(self, message: str) -> None:
        """A notification: where there is no room for it the client is lost."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self.overfull.set()

    async def answer(self, message: str) -> None:
        """An answer: waited with until there is room, and no further request is read until then."""
        await self._messages.put(message)

    async def next(self) -> str:
        """The oldest one, waited for."""
        return await self._messages.get()


class Notices:
    """``async with notices.running()``: listens to the queue's events for as long as the context holds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._outboxes: list[Outbox] = []
        # Torrents that were told to be there, and are shared now.
        self._shared: set[Job] = set()

    @contextmanager
    def sent_to(self) -> Iterator[Outbox]:
        """An outbox into which each of them goes."""
        outbox = Outbox()
        self._outboxes.append(outbox)
        try:
            yield outbox
        finally:
            self._outboxes.remove(outbox)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell what happens."""
        with self._session.queue.events.listening(frozenset(_TOLD)) as heard:
            telling = asyncio.create_task(self._tell_all(heard))
            try:
                yield
            finally:
                telling.cancel()

    async def _tell_all(self, heard: Subscription) -> None:
        async for event in heard:
            for method, gid in self._told(event):
                message = encode(notified(method, gid))
                for outbox in self._outboxes:
                    outbox.tell(message)

    def _told(self, event: Event) -> Iterator[tuple[str, str]]:
        job, method = event.job, _TOLD.get(event.what)
        if job is None or method is None:
            return
        if event.what is What.SHARED:
            self._shared.add(job)
        if event.what is What.COMPLETED and job not in self._shared and is_torrent(job):
            # aria2 tells both of a torrent, whether it is shared or not.
            yield _BT_COMPLETE, job.gid
        yield method, job.gid
        if event.what in _ENDS:
            self._session.stopped += 1
            self._shared.discard(job)
