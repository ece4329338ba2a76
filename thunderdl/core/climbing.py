"""How many lanes a source should have: found by trying, kept where it helped. Pure.

A server that limits each connection gives more with each lane, one that limits the client does not: so double
the lanes, compare what the source brings with what it brought before, keep them or step back and rest.

Invariants:
1. ``lanes`` is between 1 and the cap of the moment; it is raised only after a measurement at the level before.
2. After a trial that did not help there is a rest, each longer than the one before it.
"""

from __future__ import annotations

import math

# Every lane more must be worth this much: an eighth lane that brings 1 % only costs the server.
WORTH = 1.02
MIN_WINDOW_S = 0.4
# So near to the same rate for each lane is a limit for each.
LINEAR = 0.85
# A lane less, and the source brings less by more than this share of one lane: it is each lane that is limited.
HALF_A_LANE = 0.5
FIRST_REST_S, MAX_REST_S = 3.0, 30.0


class Climb:
    """``lanes``: how many to have now; ``lane_bound``: whether more lanes bring more; None: not tried."""

    __slots__ = ("_before", "_bytes", "_goodput", "_kept", "_rest_s", "_rest_until", "_since", "lane_bound", "lanes")

    def __init__(self, start: int) -> None:
        self.lanes = self._kept = start
        self.lane_bound: bool | None = None
        self._goodput: float | None = None
        self._before: tuple[float, int] | None = None
        self._since: float | None = None
        self._bytes = 0
        self._rest_until, self._rest_s = 0.0, FIRST_REST_S

    @property
    def trying(self) -> bool:
        return self.lanes > self._kept

    def rests(self, now: float) -> bool:
        """Whether the last trial is too recent for another."""
        return now < self._rest_until

    def observe(self, flowing: int, cap: int, total_bytes: int, latency_s: float, now: float) -> None:
        """``flowing`` lanes bring bytes now, ``total_bytes`` have come in all; up to ``cap`` lanes may be had."""
        yielding = self._before is not None and flowing > self.lanes
        resting = now < self._rest_until and self._before is None
        if resting or yielding or flowing < min(self.lanes, cap):
            self._since = None
            return
        if self._since is None:
            # What flows in the first round trips was shared among fewer.
            self._since, self._bytes = now + latency_s, -1
        if now < self._since:
            return
        if self._bytes < 0:
            self._since, self._bytes = now, total_bytes
            return
        elapsed = now - self._since
        if elapsed >= max(MIN_WINDOW_S, 2 * latency_s):
            self._since = None
            if total_bytes > self._bytes:
                # Silence says nothing of how many lanes are good.
                self._judge((total_bytes - self._bytes) / elapsed, flowing, cap, now)

    def begin_with(self, lanes: int) -> None:
        """Measure first what these bring, if nothing was measured yet: further ones have to take their work from them.

        A file that its first answer holds whole was left to two lanes of 2 KB/s each (5.4 of the ideal); with all the
        lanes of the start, each of which costs a cut, 7 % of such a file came twice.
        """
        if self._goodput is None and self.lane_bound is None and not self.trying:
            self.lanes = self._kept = min(self.lanes, lanes)

    def allow(self, lanes: int) -> None:
        """Try this many: there is room that was not there before."""
        self.lanes = max(self.lanes, lanes)

    def step_down(self, lanes: int) -> None:
        """Have no more than this many, and do not try for a while: the server or the budget says so."""
        self.lanes = self._kept = max(1, min(self.lanes, lanes))
        self._goodput = self._since = None

    def give_one(self) -> None:
        """Have one lane less, for others make more of it; what that costs shows whether lanes matter here."""
        before = (self._goodput, self._kept) if self._goodput and self._kept > 1 else self._before
        self.step_down(self.lanes - 1)
        self._before = before

    def refused(self, lanes: int, now: float) -> None:
        """The server gave ``lanes`` and refused one more."""
        self.step_down(lanes)
        self._rest(now, MAX_REST_S)

    def _judge(self, goodput: float, flowing: int, cap: int, now: float) -> None:
        factor = 2
        if self._before is not None:
            (before, lanes), self._before = self._before, None
            self.lane_bound = goodput < before * (1 - HALF_A_LANE / lanes)
        if self.trying and self._goodput is not None:
            if goodput < self._goodput * WORTH ** (flowing - self._kept):
                self.lanes, self._goodput = self._kept, None
                self.lane_bound = self.lane_bound or False
                self._rest(now, self._rest_s)
                self._rest_s = min(2 * self._rest_s, MAX_REST_S)
                return
            self.lane_bound = True
            helped, each = goodput / self._goodput, flowing / self._kept
            if helped > each * LINEAR:
                # Each brings as much as those before: surely there is room for many.
                factor = 4
            else:
                # So many would have brought the same.
                flowing = min(flowing, math.ceil(self._kept * helped))
        self._kept, self._goodput = min(self.lanes, flowing), goodput
        self.lanes = max(1, min(factor * self._kept, cap))

    def _rest(self, now: float, rest_s: float) -> None:
        self._rest_until = max(self._rest_until, now + rest_s)
