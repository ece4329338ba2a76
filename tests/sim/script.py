"""What a world is: the sources' behaviour over time, written down before anything runs. Values and arithmetic.

The ideal is the time in which somebody who knows every script could have fetched the file: at each moment the
sum of what the sources give, with no more connections than the scheduler may open.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

FOREVER = math.inf
HOST_LANES = 16
ALL_LANES = 64


@dataclass(frozen=True, slots=True)
class Span:
    """``[start, end)`` in seconds of the world's clock."""

    start: float
    end: float = FOREVER

    def holds(self, now: float) -> bool:
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceScript:
    """One source. ``rates``: (from when, bytes/s), the first at 0; shared equally by its connections, each of
    which gets at most ``lane_limit``. ``dark``: connections stay, no byte moves. ``dead``: connections are reset,
    new ones refused. ``busy``: the same, answered with 503 and Retry-After. ``corrupt``: share of pieces that
    come wrong. ``max_connections``: one more is answered with 429. ``answer_bytes``: no answer is longer.
    ``runs_on``: the scheduler takes it for one that sends on behind a range."""

    id: int
    host: str
    rtt_s: float
    rates: tuple[tuple[float, float], ...]
    lane_limit: float = FOREVER
    max_connections: int = HOST_LANES
    dark: tuple[Span, ...] = ()
    dead: tuple[Span, ...] = ()
    busy: tuple[Span, ...] = ()
    retry_after_s: float | None = None
    corrupt: float = 0.0
    answer_bytes: float = FOREVER
    random_access: bool = True
    runs_on: bool = False
    opens_after_s: float = 0.0

    @property
    def opens_at(self) -> float:
        """When the head of its first answer is here: a round trip to connect, one to be answered."""
        return self.opens_after_s + 2 * self.rtt_s

    def line_rate(self, now: float) -> float:
        """What its line carries now, faults aside."""
        at = bisect_right(self.rates, (now, FOREVER)) - 1
        return self.rates[max(at, 0)][1]

    def rate(self, now: float) -> float:
        """What it sends now over all its connections, if there are enough of them."""
        faults = (*self.dark, *self.dead, *self.busy)
        return 0.0 if any(span.holds(now) for span in faults) else self.line_rate(now)

    def changes(self) -> Iterator[float]:
        """Every moment at which something changes."""
        yield from (at for at, _ in self.rates)
        for span in (*self.dark, *self.dead, *self.busy):
            yield span.start
            yield span.end

    def next_change(self, now: float) -> float:
        return min((at for at in self.changes() if at > now), default=FOREVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A world. ``banned``: from when on a source is of no use because it was found to lie."""

    sources: tuple[SourceScript, ...]
    size: int
    align: int
    seed: int = 0
    host_lanes: int = HOST_LANES
    all_lanes: int = ALL_LANES
    retries: int = 5
    stall_s: float = 30.0
    banned: tuple[tuple[int, float], ...] = field(default=())

    def possible_rate(self, now: float) -> float:
        """Bytes a second that the best use of ``all_lanes`` connections would bring now."""
        return best_sum([self._offer(source, now) for source in self.sources], self.all_lanes)

    def _offer(self, source: SourceScript, now: float) -> tuple[float, float, int]:
        gone = any(source.id == each and now >= at for each, at in self.banned)
        rate = 0.0 if gone or now < source.opens_at else source.rate(now)
        return rate, source.lane_limit, min(source.max_connections, self.host_lanes)

    def ideal_s(self, extra_bytes: int = 0) -> float:
        """When the last byte could have come; ``extra_bytes``: what had to be fetched once more."""
        wanted, have = float(self.size + extra_bytes), 0.0
        for start, end, rate in self.segments():
            if rate > 0 and have + rate * (end - start) >= wanted:
                return start + (wanted - have) / rate
            have += rate * (end - start) if rate else 0.0
        return FOREVER

    def volume(self, until_s: float) -> int:
        """Bytes that could have come until then."""
        return int(sum(rate * (min(end, until_s) - start) for start, end, rate in self.segments() if start < until_s))

    def segments(self) -> Iterator[tuple[float, float, float]]:
        """(from, until, possible bytes/s) for all time."""
        times = {0.0} | {source.opens_at for source in self.sources} | {at for _, at in self.banned}
        times |= {at for source in self.sources for at in source.changes()}
        edges = [*sorted(times - {FOREVER}), FOREVER]
        for start, end in pairwise(edges):
            yield start, end, self.possible_rate(start)

    def judged(self, banned: Sequence[tuple[int, float]]) -> Script:
        return replace(self, banned=tuple(banned))


def best_sum(offers: Sequence[tuple[float, float, int]], lanes: int) -> float:
    """The most that ``lanes`` connections bring from (rate, limit of each connection, most connections)."""
    total = 0.0
    heap = [(-min(rate, limit), rate, limit, most) for rate, limit, most in offers if rate > 0 and most]
    heapq.heapify(heap)
    while heap and lanes:
        gain, left, limit, most = heapq.heappop(heap)
        total, lanes, left, most = total - gain, lanes - 1, left + gain, most - 1
        if left > 0 and most:
            heapq.heappush(heap, (-min(left, limit), left, limit, most))
    return total
