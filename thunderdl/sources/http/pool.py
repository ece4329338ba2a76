"""Connections of a session: how many to each host, the idle ones kept for reuse, the threads that make new ones.

Lives on the event loop; only the blocking connects run in threads. A *slot* is the right to have one
connection to a host: whoever holds one may take an idle connection or make a new one, and gives both back.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from concurrent.futures import Future

from thunderdl.errors import Cancelled
from thunderdl.sources.http.connect import TlsSettings, connect
from thunderdl.sources.http.connection import Connection, Phase
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.wire import Endpoint

CONNECT_THREADS = 32


class Pool:
    """``per_host``, ``in_all``: the most slots; ``movers``: who gets the connections made."""

    def __init__(self, movers: list[Mover], tls: TlsSettings, *, per_host: int, in_all: int) -> None:
        self._movers, self._tls = movers, tls
        self._per_host, self._in_all = per_host, in_all
        self._taken: dict[Endpoint, int] = {}
        self._taken_in_all = 0
        self._waiting: deque[tuple[Endpoint, asyncio.Future[None]]] = deque()
        self._idle: dict[Endpoint, list[Connection]] = {}
        self._threads = DaemonThreads[socket.socket](CONNECT_THREADS, "thunderdl-connect")

    def free_slots(self, endpoint: Endpoint) -> int:
        """How many more slots somebody who has one already may take; those who have none come first."""
        if self._waiting:
            return 0
        return max(0, min(self._per_host - self._taken.get(endpoint, 0), self._in_all - self._taken_in_all))

    def take_slot(self, endpoint: Endpoint) -> None:
        """Take one of :meth:`free_slots`, at once."""
        self._taken[endpoint] = self._taken.get(endpoint, 0) + 1
        self._taken_in_all += 1

    async def wait_for_slot(self, endpoint: Endpoint) -> None:
        """Take a slot as soon as there is one; first come, first served."""
        if self._has_room(endpoint) and not any(waits == endpoint for waits, _ in self._waiting):
            self.take_slot(endpoint)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((endpoint, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free_slot(endpoint)
            else:
                self._waiting.remove((endpoint, turn))
            raise

    def free_slot(self, endpoint: Endpoint) -> None:
        """Give a slot back; the next who waits gets it."""
        self._taken[endpoint] -= 1
        if not self._taken[endpoint]:
            del self._taken[endpoint]
        self._taken_in_all -= 1
        for waiting in self._waiting:
            if self._has_room(waiting[0]):
                self._waiting.remove(waiting)
                self.take_slot(waiting[0])
                waiting[1].set_result(None)
                return

    def _has_room(self, endpoint: Endpoint) -> bool:
        return self._taken.get(endpoint, 0) < self._per_host and self._taken_in_all < self._in_all

    def idle(self, endpoint: Endpoint) -> Connection | None:
        """An idle connection to reuse, None where there is none."""
        kept = self._idle.get(endpoint)
        while kept:
            connection = kept.pop()
            if connection.phase is not Phase.CLOSED:
                return connection
        return None

    def keep(self, endpoint: Endpoint, connection: Connection) -> None:
        """Take a connection whose transfers have ended for later reuse."""
        if connection.phase is not Phase.CLOSED:
            self._idle.setdefault(endpoint, []).append(connection)

    def least_busy(self, now_with: Mover | None = None) -> Mover:
        """The mover for a long body; ``now_with`` where another would gain nothing."""
        least = min(self._movers, key=lambda mover: len(mover.attached))
        return now_with if now_with is not None and len(now_with.attached) <= len(least.attached) + 1 else least

    async def connect(self, endpoint: Endpoint, timeout_s: float, *, for_opening: bool = False) -> Connection:
        """A new connection, attached to a mover. Raises a SourceError.

        Openings share the first mover: many small files are faster in one thread than in two that wrestle for the
        GIL (20,000 of 50 KB: 5.2 s against 6.6 s). One that turns out long is handed to the least busy.
        """
        making = self._threads.submit(lambda: connect(endpoint, self._tls, timeout_s))
        try:
            sock = await asyncio.wrap_future(making)
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it makes after all is closed there.
            making.add_done_callback(_close_unwanted)
            raise
        connection = Connection(sock)
        (self._movers[0] if for_opening else self.least_busy()).attach(connection)
        return connection

    def close(self) -> None:
        """Close what is idle and end the threads."""
        for kept in self._idle.values():
            for connection in kept:
                if connection.mover is not None:
                    connection.mover.close(connection, Cancelled())
        self._idle.clear()
        self._threads.close()


def _close_unwanted(made: Future[socket.socket]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()
