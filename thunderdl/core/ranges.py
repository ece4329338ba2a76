"""Sets of bytes of one file, kept as ranges: what is there, what is missing.

It knows nothing of pieces, leases or files. Sorted starts and ends lie in two plain lists: bisect on
lists of int runs in C, and in the usual case (a lane extends its own range) nothing is moved at all.

Invariants:
1. ``starts[i] < ends[i] < starts[i + 1]``: sorted, none empty, none touching (touching ranges are one).
2. ``total`` is the sum of the lengths.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush


class RangeSet:
    """A mutable set of bytes, as sorted disjoint half-open ranges ``[start, end)``.

    ``ranges``: what it holds at first, in any order, overlapping or not.
    Methods raise ValueError unless ``0 <= start <= end``. Do not change it while iterating.
    """

    __slots__ = ("_ends", "_starts", "_total")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._total = 0
        for start, end in sorted(ranges):
            self.add(start, end)

    @property
    def total(self) -> int:
        """How many bytes are in the set."""
        return self._total

    def add(self, start: int, end: int) -> None:
        """Put the bytes of ``[start, end)`` in; those that are there already stay."""
        _check(start, end)
        if start == end:
            return
        starts, ends = self._starts, self._ends
        first, after = bisect_left(ends, start), bisect_right(starts, end)
        if first == after:
            starts.insert(first, start)
            ends.insert(first, end)
            self._total += end - start
            return
        start, end = min(start, starts[first]), max(end, ends[after - 1])
        if after - first == 1:
            self._total += end - start - (ends[first] - starts[first])
            starts[first], ends[first] = start, end
            return
        self._total += end - start - (sum(ends[first:after]) - sum(starts[first:after]))
        starts[first:after] = [start]
        ends[first:after] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take the bytes of ``[start, end)`` out; those that are not there do not matter."""
        _check(start, end)
        starts, ends = self._starts, self._ends
        first, after = bisect_right(ends, start), bisect_left(starts, end)
        if first >= after or start == end:
            return
        left, right = starts[first], ends[after - 1]
        kept = [(a, b) for a, b in ((left, start), (end, right)) if a < b]
        gone = sum(ends[first:after]) - sum(starts[first:after])
        self._total -= gone - sum(b - a for a, b in kept)
        starts[first:after] = [a for a, _ in kept]
        ends[first:after] = [b for _, b in kept]

    def covers(self, start: int, end: int) -> bool:
        """Whether every byte of ``[start, end)`` is in the set; True for an empty range."""
        _check(start, end)
        if start == end:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and end <= self._ends[at]

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of ``[start, end)`` that are not in the set, in order."""
        _check(start, end)
        at = bisect_right(self._ends, start)
        while start < end:
            if at == len(self._starts):
                yield start, end
                return
            if start < self._starts[at]:
                yield start, min(end, self._starts[at])
            start = self._ends[at]
            at += 1

    def first_gap(self, start: int, limit: int) -> tuple[int, int] | None:
        """The first part of ``[start, limit)`` that is not in the set, or None where all of it is."""
        return next(self.gaps(start, limit), None)

    def prefix_end(self) -> int:
        """Where the range that begins at byte 0 ends; 0 where byte 0 is missing."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    def copy(self) -> RangeSet:
        """An independent set of the same bytes."""
        twin = RangeSet()
        twin._starts, twin._ends, twin._total = self._starts.copy(), self._ends.copy(), self._total
        return twin

    def __contains__(self, position: int) -> bool:
        at = bisect_right(self._starts, position) - 1
        return at >= 0 and position < self._ends[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many ranges (not bytes) it holds."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        shown = ", ".join(f"[{a}, {b})" for a, b in list(self)[:8])
        more = f", … {len(self) - 8} more" if len(self) > 8 else ""
        return f"RangeSet({shown}{more})"


def latest(strokes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Of ranges laid over each other in this order, what is seen from above.

    Yields sorted disjoint runs ``(start, end, index of the stroke on top)``. A sweep with a heap, O(n log n)
    whatever the order and the overlap: the strokes may come from a hostile file.
    """
    starts = [start for start, _ in strokes]
    by_start = sorted(range(len(strokes)), key=starts.__getitem__)
    heap: list[int] = []
    run_start, run_end, run = 0, 0, -1
    at = 0
    beyond = max((end for _, end in strokes), default=0)
    for coming in (*by_start, len(strokes)):
        limit = strokes[coming][0] if coming < len(strokes) else beyond
        while heap and at < limit:
            top = -heap[0]
            end = strokes[top][1]
            if end <= at:
                heappop(heap)
                continue
            if top != run or run_end != at:
                if run_start < run_end:
                    yield run_start, run_end, run
                run_start, run = at, top
            run_end = at = end if end < limit else limit
        at = limit
        heappush(heap, -coming)
    if run_start < run_end:
        yield run_start, run_end, run


def _check(start: int, end: int) -> None:
    if not 0 <= start <= end:
        raise ValueError(f"not a range: [{start}, {end})")
