"""Connections of a session: how many to each host, the idle ones kept for reuse, the threads that make new ones.

Lives on the event loop; only the blocking connects run in threads. A *slot* is the right to have one
connection to a host: whoever holds one may take an idle connection or make a new one, and gives both back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from thunderdl.core.hosts import Hosts, Refusal
from thunderdl.errors import Cancelled
from thunderdl.sources.http.connect import TlsSettings, Wire, connect
from thunderdl.sources.http.connection import Connection
from thunderdl.sources.http.daemons import DaemonThreads
from thunderdl.sources.http.dialing import Place, Reach
from thunderdl.sources.http.mover import Mover
from thunderdl.sources.http.wire import Endpoint

if TYPE_CHECKING:
    from thunderdl.sources.base import Access, Carrier
    from thunderdl.sources.http2.access import Http2

CONNECT_THREADS = 32
LOOK_UP_THREADS = 4
# A host that has answered so lately works.
WORKED_S = 5.0
MAX_ENDPOINTS_KNOWN = 1024


class Pool:
    """``per_host``, ``in_all``: the most slots; ``movers``: who gets the connections made; ``on_wait``: told when
    somebody has to wait for a slot; ``access``: who makes connections of a scheme that is not the web's."""

    def __init__(
        self, movers: list[Mover], tls: TlsSettings, *, per_host: int, in_all: int, reach: Reach | None = None,
        access: Callable[[str], Access | None] = lambda scheme: None,
    ) -> None:  # fmt: skip
        # Shares connections among streams, where the user wants that.
        self.http2: Http2 | None = None
        self._movers, self._tls, self._access, self._reach = movers, tls, access, reach or Reach()
        self._in_all = in_all
        # What hosts refused, for as long as the session lives.
        self.hosts = Hosts(per_host)
        self.on_wait: Callable[[], None] = _nobody_cares
        # Counts what changes how many slots are free, time aside: who looks often need not work it out each time.
        self.changes = 0
        self._taken: dict[str, int] = {}
        self._taken_in_all = 0
        # By host, in the order of arrival.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._later: asyncio.TimerHandle | None = None
        self._idle: dict[Endpoint, list[Carrier]] = {}
        self._idle_in_all = 0
        self._worked_at: dict[Endpoint, float] = {}
        self._threads = DaemonThreads[Wire](CONNECT_THREADS, "thunderdl-connect")
        self._look_ups = DaemonThreads[list[Place]](LOOK_UP_THREADS, "thunderdl-names")

    @property
    def taken(self) -> Mapping[str, int]:
        """Slots held, by host."""
        return self._taken

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many wait for a slot, by host."""
        return {host: len(turns) for host, turns in self._waiting.items()}

    def change(self, *, per_host: int, in_all: int) -> None:
        """Other most slots, from now on; who holds more gives them back in time."""
        self.hosts.change(per_host)
        self._in_all = in_all
        self.serve_waiting()

    def free_at(self, host: str) -> int:
        """How many more slots the host leaves to somebody who has one already; those who have none come first."""
        waiting = len(self._waiting[host]) if host in self._waiting else 0
        return max(0, self.hosts.cap(host, time.monotonic()) - self._taken.get(host, 0) - waiting)

    @property
    def free_in_all(self) -> int:
        """The same, whatever the host."""
        return max(0, self._in_all - self._taken_in_all - sum(map(len, self._waiting.values())))

    def take_slot(self, endpoint: Endpoint) -> None:
        """Take one that is free at its host and in all, at once."""
        self._take(endpoint.origin)

    async def wait_for_slot(self, endpoint: Endpoint) -> None:
        """Take a slot as soon as there is one and the host wants no pause; first come, first served."""
        host = endpoint.origin
        if host not in self._waiting and self._has_room(host):
            self._take(host)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append(turn)
        self.changes += 1
        self._look_later()
        self.on_wait()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free_slot(endpoint)
            else:
                self._drop_turn(host, turn)
            raise

    def free_slot(self, endpoint: Endpoint) -> None:
        """Give a slot back; the next who waits gets it."""
        host = endpoint.origin
        self.changes += 1
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]
        self._taken_in_all -= 1
        if self._waiting:
            self.serve_waiting()

    def serve_waiting(self) -> None:
        """Give out what is free now, one to each host in turn, at each to who has waited for longest."""
        ready = [host for host in self._waiting if self._has_room(host)]
        while ready and self._taken_in_all < self._in_all:
            for host in ready:
                self._serve_first(host)
            ready = [host for host in ready if host in self._waiting and self._has_room(host)]
        self._look_later()

    def refused(self, endpoint: Endpoint, refusal: Refusal) -> bool:
        """A host answered 429 or 503: that holds for all downloads. Whether this one connection was too many."""
        self.changes += 1
        return self.hosts.refused(endpoint.origin, time.monotonic(), refusal)

    def has_worked(self, endpoint: Endpoint) -> bool:
        """Whether connections to it answer these days."""
        return endpoint in self._idle or time.monotonic() - self._worked_at.get(endpoint, -WORKED_S) < WORKED_S

    def _serve_first(self, host: str) -> None:
        if not self._has_room(host):
            return
        turns = self._waiting.pop(host)
        turn = turns.popleft()
        if turns:
            # Behind the other hosts.
            self._waiting[host] = turns
        if not turn.done():
            self._take(host)
            turn.set_result(None)

    def _take(self, host: str) -> None:
        self.changes += 1
        self._taken[host] = self._taken.get(host, 0) + 1
        self._taken_in_all += 1

    def _drop_turn(self, host: str, turn: asyncio.Future[None]) -> None:
        self.changes += 1
        turns = self._waiting[host]
        turns.remove(turn)
        if not turns:
            del self._waiting[host]

    def _has_room(self, host: str) -> bool:
        if self._taken_in_all >= self._in_all:
            return False
        now = time.monotonic()
        return self._taken.get(host, 0) < self.hosts.cap(host, now) and self.hosts.paused_until(host) <= now

    def _look_later(self) -> None:
        """Where somebody waits for time to pass rather than for a slot, look again then."""
        now = time.monotonic()
        if self._waiting and self._later is None and (change := self.hosts.next_change(now)) is not None:
            self._later = asyncio.get_running_loop().call_later(max(0.01, change - now), self._later_is_now)

    def _later_is_now(self) -> None:
        self._later = None
        self.serve_waiting()

    def idle(self, endpoint: Endpoint) -> Carrier | None:
        """An idle connection to reuse, None where there is none."""
        kept = self._idle.get(endpoint)
        while kept:
            connection = kept.pop()
            self._idle_in_all -= 1
            if not kept:
                del self._idle[endpoint]
            if not connection.is_closed:
                return connection
        return None

    def keep(self, endpoint: Endpoint, connection: Carrier) -> None:
        """Take a connection whose transfers have ended for later reuse."""
        if connection.is_closed:
            return
        if len(self._worked_at) > MAX_ENDPOINTS_KNOWN:
            self._worked_at.clear()
        self._worked_at[endpoint] = time.monotonic()
        self._idle.setdefault(endpoint, []).append(connection)
        self._idle_in_all += 1
        if self._idle_in_all > self._in_all:
            # Of the host that has been left alone for longest.
            self._close_idle(next(iter(self._idle)))

    def _close_idle(self, endpoint: Endpoint) -> None:
        """A list of 100,000 hosts would leave as many connections open."""
        kept = self._idle[endpoint]
        connection = kept.pop(0)
        self._idle_in_all -= 1
        if not kept:
            del self._idle[endpoint]
        connection.close(Cancelled())

    def least_busy(self, now_with: Mover | None = None) -> Mover:
        """The mover for a long body; ``now_with`` where another would gain nothing."""
        least = min(self._movers, key=lambda mover: len(mover.attached))
        return now_with if now_with is not None and len(now_with.attached) <= len(least.attached) + 1 else least

    async def connect(self, endpoint: Endpoint, timeout_s: float, *, for_opening: bool = False) -> Carrier:
        """A new connection; one of the web's is attached to a mover. Raises a SourceError.

        Openings share the first mover: many small files are faster in one thread than in two that wrestle for the
        GIL (20,000 of 50 KB: 5.2 s against 6.6 s). One that turns out long is handed to the least busy.
        """
        if (access := self._access(endpoint.scheme)) is not None:
            return await access.connect(endpoint, timeout_s)
        if self.http2 is not None and self.http2.may_serve(endpoint):
            made = await self.http2.connect(endpoint, timeout_s)
            if not isinstance(made, Connection):
                return made
            connection = made
        else:
            connection = Connection(await self.dial(endpoint, timeout_s))
        (self._movers[0] if for_opening else self.least_busy()).attach(connection)
        return connection

    async def dial(self, endpoint: Endpoint, timeout_s: float, protocol: str = "http/1.1") -> Wire:
        """The socket of a new connection; ``protocol``: what to offer in its handshake. Raises a SourceError."""
        making = self._threads.submit(lambda: connect(endpoint, self._tls, timeout_s, self._reach, protocol))
        try:
            return await asyncio.wrap_future(making)
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it makes after all is closed there.
            making.add_done_callback(_close_unwanted)
            raise

    async def addresses(self, endpoint: Endpoint) -> list[str]:
        """Those that the host's name stands for now. Raises OSError."""
        found = self._look_ups.submit(lambda: self._reach.places(endpoint.host, endpoint.port))
        return [str(place[1][0]) for place in await asyncio.wrap_future(found)]

    def close(self) -> None:
        """Close what is idle and end the threads."""
        self._look_ups.close()
        if self._later is not None:
            self._later.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.close(Cancelled())
        self._idle.clear()
        if self.http2 is not None:
            self.http2.close()
        self._threads.close()


def _nobody_cares() -> None:
    return


def _close_unwanted(made: Future[Wire]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()
