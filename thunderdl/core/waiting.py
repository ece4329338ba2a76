"""Which of many waiting requests begins next: the host that has least to do, in the order of arrival. Pure.

A list is looked ahead in for MOST_WAITING requests and no further: memory stays flat however long it is.

Invariants:
1. No more than ``jobs`` run at once, but for half as many again where that many are long: a slot that a big file
   holds for an hour is missed by the small ones behind it, and what servers bear is kept by the caps of hosts and of
   connections, not by this one.
2. At a host no more run than it has room for, but always one.
3. Every eighth to begin is the one that has waited for longest: nobody waits for ever.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

MOST_WAITING = 1000
OLDEST_EVERY = 8
R = TypeVar("R")


class WaitingRoom(Generic[R]):
    """``jobs``: how many run at once; ``room``: how many may at a host."""

    def __init__(self, jobs: int, room: Callable[[str], int]) -> None:
        self._jobs, self._room = jobs, room
        self._waiting: dict[str, deque[tuple[int, R]]] = {}
        self._running: dict[str, int] = {}
        self._running_in_all = self._arrived = self._begun = 0
        # By number of arrival: the host of each that waits.
        self._arrivals: dict[int, str] = {}
        # (running there, arrival of its first, host); entries that are out of date are passed over.
        self._hosts: list[tuple[int, int, str]] = []
        self._most_entries = MOST_WAITING

    def __len__(self) -> int:
        return len(self._arrivals)

    @property
    def is_full(self) -> bool:
        return len(self._arrivals) >= MOST_WAITING

    @property
    def running(self) -> int:
        return self._running_in_all

    def change_jobs(self, jobs: int) -> None:
        """Another number of those that run at once."""
        self._jobs = jobs

    def add(self, request: R, host: str) -> None:
        """One more has come."""
        self._arrived += 1
        self._arrivals[self._arrived] = host
        turns = self._waiting.setdefault(host, deque())
        turns.append((self._arrived, request))
        if len(turns) == 1:
            heapq.heappush(self._hosts, self._entry(host))

    def has_place(self, long: int = 0) -> bool:
        """Whether one more may begin; ``long`` of those that run are known to take long."""
        return self._running_in_all < self._jobs + min(long, self._jobs // 2)

    def begin(self) -> tuple[R, str] | None:
        """The request to begin now, and its host, which counts as running there; None where none may."""
        host = self._oldest() if self._begun % OLDEST_EVERY == OLDEST_EVERY - 1 else self._least_busy()
        if host is None:
            return None
        turns = self._waiting[host]
        arrival, request = turns.popleft()
        del self._arrivals[arrival]
        self._begun += 1
        self._running_in_all += 1
        self._running[host] = self._running.get(host, 0) + 1
        if turns:
            heapq.heappush(self._hosts, self._entry(host))
        else:
            del self._waiting[host]
        return request, host

    def ended(self, host: str) -> None:
        """One that ran at ``host`` is over."""
        self._running_in_all -= 1
        left = self._running[host] = self._running[host] - 1
        if not left:
            del self._running[host]
        if host in self._waiting:
            heapq.heappush(self._hosts, self._entry(host))
            if len(self._hosts) > self._most_entries:
                self._forget_old_entries()

    def clear(self) -> None:
        """None of those that wait is wanted any more."""
        self._waiting.clear()
        self._arrivals.clear()
        self._hosts.clear()

    def _forget_old_entries(self) -> None:
        self._hosts = [self._entry(host) for host in self._waiting]
        heapq.heapify(self._hosts)
        self._most_entries = 4 * len(self._hosts) + MOST_WAITING

    def _entry(self, host: str) -> tuple[int, int, str]:
        return self._running.get(host, 0), self._waiting[host][0][0], host

    def _least_busy(self) -> str | None:
        while self._hosts:
            entry = heapq.heappop(self._hosts)
            host = entry[2]
            if host in self._waiting and entry == self._entry(host) and self._has_room(host):
                return host
            # One without room comes back when one of those that run there ends.
        return None

    def _oldest(self) -> str | None:
        return next((host for host in self._arrivals.values() if self._has_room(host)), None)

    def _has_room(self, host: str) -> bool:
        running = self._running.get(host, 0)
        return not running or running < self._room(host)
