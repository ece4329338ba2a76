"""How those who fetch in different ways share one limit: each has a part, divided anew a few times a second. Pure.

Movers ask before each read (:mod:`thunderdl.core.limits`); libtorrent does not, it is told a rate and keeps to it. So
a limit over both is divided: who uses up its part gets a larger one, who does not keeps little more than it uses, by
weighted max-min (as bandwidth is in Bertsekas and Gallager, Data Networks, section 6.5).

Invariants:
1. Over any time no more than the limit's worth and :data:`SAVED_S` of it is had, where all keep to their parts: these
   add up to the limit, more where less was had of late, less where somebody had more than its part.
2. Who uses less than its weight's share leaves the rest to the others, but for :data:`FLOOR` and :data:`ROOM`.
3. Whoever wants more gets its share within about two seconds, whatever the others had meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

# What was had counts for about so long: bytes of peers come in blocks, a look sees one more or one less.
MEMORY_S = 1.0
# Who has used so much of its part may want more of it.
FULL = 0.9
# Who has not keeps so much more than it uses, and at least this share of the limit: to show that it wants more.
ROOM, FLOOR = 1.1, 0.02
# A part grows by this, and at each further look by twice as much: one that is at its own bound does not swing.
GROWTH, MOST_GROWTH = 1.15, 2.0
# Bytes of peers come in lumps (libtorrent gives out a limit in turns): who has missed no more looks than these keeps
# its part. Without that one that came every other look had a tenth of its share after six seconds.
MISSES = 2
# What was had too much is given back within so long, from half the limit at most.
REPAY_S = 1.0
# What was left unused is not lost: so much time's worth is kept, and had within that time again, on top of the limit by
# this share of it at most. (A part that is not used up would lower the whole: 82 to 94 % of the limit came.)
SAVED_S, MOST_EXTRA = 0.2, 0.2


class Part:
    """One of those who share. ``weight``: its share beside others; ``rate_bytes_per_s``: what it may have now."""

    __slots__ = ("_growth", "_misses", "_offered", "_span_s", "_used", "_wants", "rate_bytes_per_s", "weight")

    def __init__(self, weight: float = 1.0) -> None:
        self.weight, self.rate_bytes_per_s = weight, 0.0
        self._used = self._offered = self._span_s = 0.0
        self._growth, self._wants, self._misses = GROWTH, math.inf, 0

    @property
    def wants_bytes_per_s(self) -> float:
        """What it could use, as far as its use of late shows; infinite while nothing is known."""
        return self._wants

    def note(self, had_bytes: float, elapsed_s: float) -> None:
        """It had so much of its part in this time."""
        offered = self.rate_bytes_per_s * elapsed_s
        keep = math.exp(-elapsed_s / MEMORY_S)
        if had_bytes >= FULL * offered and self._used < FULL / 2 * self._offered:
            # One that was idle and is not any more begins a new page, and has a way to go.
            keep, self._growth = 0.0, MOST_GROWTH
        self._used = self._used * keep + had_bytes
        self._offered = self._offered * keep + offered
        self._span_s = self._span_s * keep + elapsed_s
        if self._used >= FULL * self._offered:
            self._misses, self._wants = 0, self.rate_bytes_per_s * self._growth
            self._growth = min(MOST_GROWTH, 1 + 2 * (self._growth - 1))
        elif self._misses < MISSES and not math.isinf(self._wants):
            self._misses += 1
        else:
            self._wants = ROOM * self._used / self._span_s
            self._growth = GROWTH


class Parting:
    """A limit and those who share it."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._limit: float | None = None
        self._owed_bytes = 0.0

    def join(self, part: Part) -> Part:
        """One more; what it gets :meth:`divide` says."""
        self.parts.append(part)
        return part

    def leave(self, part: Part) -> None:
        """It wants nothing any more."""
        self.parts.remove(part)

    def note(self, had_bytes: Mapping[Part, float], elapsed_s: float) -> None:
        """What each had since the last time; none for who is not named. ``elapsed_s``: more than 0."""
        if self._limit is None:
            return
        for part in self.parts:
            part.note(had_bytes.get(part, 0.0), elapsed_s)
        too_much = self._owed_bytes + sum(had_bytes.values()) - self._limit * elapsed_s
        self._owed_bytes = min(max(-self._limit * SAVED_S, too_much), self._limit * REPAY_S)

    def divide(self, limit_bytes_per_s: float | None) -> None:
        """Set the rates of all parts. None: no limit, nobody's rate is set."""
        if limit_bytes_per_s != self._limit:
            # What was had under another limit is no debt under this one, and what was left is not saved.
            self._owed_bytes = 0.0
        self._limit = limit_bytes_per_s
        if limit_bytes_per_s is None or not self.parts:
            return
        now = limit_bytes_per_s - self._owed_bytes / REPAY_S
        now = min(max(now, limit_bytes_per_s / 2), limit_bytes_per_s * (1 + MOST_EXTRA))
        least = FLOOR * limit_bytes_per_s
        wishes = [(part.weight, part.wants_bytes_per_s + least) for part in self.parts]
        for part, rate in zip(self.parts, filled(now, wishes), strict=True):
            part.rate_bytes_per_s = rate


def filled(capacity: float, wishes: Sequence[tuple[float, float]]) -> list[float]:
    """``capacity`` given out to (weight, wanted), nobody less than its share but who wants less; what all leave is
    given on by weight. Adds up to ``capacity``."""
    given = [0.0] * len(wishes)
    # In the order in which a rising level meets their wishes.
    order = sorted(range(len(wishes)), key=lambda at: wishes[at][1] / wishes[at][0])
    left, weights = capacity, sum(weight for weight, _ in wishes)
    for at in order:
        weight, wanted = wishes[at]
        given[at] = min(wanted, left * weight / weights) if weights > 0 else 0.0
        left, weights = left - given[at], weights - weight
    whole = sum(weight for weight, _ in wishes)
    return [each + max(0.0, left) * weight / whole for each, (weight, _) in zip(given, wishes, strict=True)]
