"""Which reads of a file are under way, and how many should be. No I/O.

Invariants:
1. What was asked lies in the order of positions, without a gap: its first is what is read next.
2. It never reaches beyond the end that was given when it was asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from thunderdl.formats.sftp import SAFE_READ_BYTES

# Twice what OpenSSH lets an SSH channel have under way (2 MiB): more would only be waste at the end of a lease.
MOST_BYTES = 4 * 1024 * 1024
# What comes in so long may be under way: enough for any distance, little to throw away on a slow line.
AHEAD_S = 1.0
_LEAST_CHUNK_BYTES = 4096


@dataclass(slots=True)
class Asked:
    """``[start, start + length)`` is to come by the reply to ``request_id``."""

    request_id: int
    start: int
    length: int


class Flight:
    """``chunk_bytes``: what one read asks for."""

    def __init__(self) -> None:
        self.chunk_bytes = SAFE_READ_BYTES
        self._asked: deque[Asked] = deque()
        self._bytes = 0
        self._next = self._end = 0
        self._came_bytes, self._began_at = 0, 0.0
        self._window_bytes = 0

    def begin(self, start: int, end: int, now: float) -> list[int]:
        """Another range from now on: the ids of the reads that nobody wants any more."""
        unwanted = [asked.request_id for asked in self._asked]
        self._asked.clear()
        self._bytes, self._next, self._end = 0, start, end
        self._came_bytes, self._began_at = 0, now
        return unwanted

    @property
    def first(self) -> Asked | None:
        """The read whose bytes are next."""
        return self._asked[0] if self._asked else None

    def find(self, request_id: int) -> Asked | None:
        """The read under way that has this id."""
        return next((asked for asked in self._asked if asked.request_id == request_id), None)

    def wants(self, end: int) -> tuple[int, int] | None:
        """Position and length of one more read below ``end``; None where enough is under way."""
        length = min(self.chunk_bytes, min(end, self._end) - self._next)
        if length <= 0 or (self._asked and self._bytes + length > max(self._window_bytes, 2 * self.chunk_bytes)):
            return None
        return self._next, length

    def ask(self, request_id: int, length: int) -> None:
        """One more read, as :meth:`wants` says, is under way."""
        self._asked.append(Asked(request_id, self._next, length))
        self._bytes += length
        self._next += length

    def split(self, request_id: int, got: int) -> tuple[int, int]:
        """The first read brought only ``got`` bytes: position and length of the read for the rest, ``request_id``."""
        first = self._asked[0]
        rest = Asked(request_id, first.start + got, first.length - got)
        first.length = got
        self._asked.insert(1, rest)
        # A server that gives less than was asked for has a limit of its own.
        self.chunk_bytes = max(_LEAST_CHUNK_BYTES, min(self.chunk_bytes, got))
        return rest.start, rest.length

    def came(self, count: int, now: float) -> bool:
        """The next ``count`` bytes are here; whether that was all of the first read."""
        first = self._asked[0]
        first.start += count
        first.length -= count
        self._bytes -= count
        self._came_bytes += count
        elapsed_s = now - self._began_at
        if elapsed_s > 0:
            self._window_bytes = int(min(MOST_BYTES, self._came_bytes / elapsed_s * AHEAD_S))
        if first.length:
            return False
        self._asked.popleft()
        return True
