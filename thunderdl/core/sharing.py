"""How downloads that run at the same time share connections: lanes for each, at each host and in all. Pure.

Weighted max-min: nobody gets a second lane before everybody has one, no further one before who has least for its
weight; what one has no use for goes to the others. Files that are just being opened come first: they are small, or
not known yet, and a big file that holds every slot of their host gives some up at once.

Invariants:
1. The lanes given out at a host, and in all, are within its cap less what is kept for openings; but who wants a lane
   gets one before openings do.
2. Where all wishes fit, all are granted and nobody is held back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thunderdl.core.roster import Source

# Slots are kept for openings for so long after the last time that so many were needed: a list of small files needs
# them again at once, and each lane that is given up for one costs a connection and what was on its way.
KEEP_S = 2.0
# So long it takes to use what was given; who did not use it for much longer has enough, and is believed to for some
# time.
TAKING_S, SATED_S, SATED_FOR_S = 0.5, 3.0, 20.0
# While a limit holds: more lanes only where it does not hold the download back, after so long.
RAMP_S = 0.3


UNBOUNDED = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one download holds and could use, by host. ``most``: lanes in all that it could use."""

    weight: float
    held: Mapping[str, int]
    wanted: Mapping[str, int]
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What it may have: ``lanes`` in all, ``hosts``: at each of its hosts."""

    lanes: int
    hosts: Mapping[str, int]


def apportion(
    claims: Sequence[Claim], *, in_all: int, cap: Callable[[str], int], kept: Mapping[str, int]
) -> list[Share]:  # fmt: skip
    """The share of each claim. ``cap``: connections to a host at most; ``kept``: of these, for openings."""
    hosts: list[dict[str, int]] = [{} for _ in claims]
    for host in dict.fromkeys(host for claim in claims for host in claim.wanted):
        here = [index for index, claim in enumerate(claims) if host in claim.wanted]
        wishes = [(claims[i].weight, claims[i].held.get(host, 0), claims[i].wanted[host]) for i in here]
        for index, lanes in zip(here, fair(cap(host), wishes, kept.get(host, 0)), strict=True):
            hosts[index][host] = lanes
    wishes = [
        (claim.weight, sum(claim.held.values()), min(claim.most, _total(claim, given)))
        for claim, given in zip(claims, hosts, strict=True)
    ]
    in_turn = zip(fair(in_all, wishes, sum(kept.values())), hosts, claims, strict=True)
    return [Share(lanes=min(lanes, claim.most), hosts=given) for lanes, given, claim in in_turn]


def _total(claim: Claim, given: Mapping[str, int]) -> int:
    return sum(min(wanted, given[host]) for host, wanted in claim.wanted.items())


def fair(capacity: int, wishes: Sequence[tuple[float, int, int]], kept: int = 0) -> list[int]:
    """``capacity`` given out to wishes (weight, held, wanted); with ``kept`` of it only for everybody's first.

    Where it suffices for all wishes nobody is limited to what it wished for: each may have what the others leave.
    """
    free = capacity - kept
    if sum(wanted for _, _, wanted in wishes) <= free:
        return [free - sum(w for _, _, w in wishes) + wanted for _, _, wanted in wishes]
    given = [0] * len(wishes)
    left = capacity
    # Who has a lane keeps it before another gets its first.
    for index in sorted(range(len(wishes)), key=lambda i: (not wishes[i][1], -wishes[i][0], i)):
        if left > 0 and wishes[index][2] > 0:
            given[index], left = 1, left - 1
    left -= kept
    queue = [(1 / weight, -held, i) for i, (weight, held, wanted) in enumerate(wishes) if 0 < given[i] < wanted]
    heapq.heapify(queue)
    while left > 0 and queue:
        _, order, index = heapq.heappop(queue)
        given[index], left = given[index] + 1, left - 1
        weight, _, wanted = wishes[index]
        if given[index] < wanted:
            heapq.heappush(queue, (given[index] / weight, order, index))
    return given


def wanted_lanes(source: Source, *, wants_more: bool) -> int:
    """The lanes that a download could use at ``source``; ``wants_more``: than it holds, as far as others know."""
    held = len(source.lanes)
    if not source.usable:
        return held
    if not source.random_access or source.on_probation or source.is_down:
        return max(held, 1)
    if wants_more and source.climb.lane_bound is not False:
        # As the climb does: it would double them.
        return max(2 * held, source.climb.lanes, 1)
    return max(held, source.climb.lanes, 1)


class Kept:
    """How many slots are kept for openings, by host: as many as were needed of late where one had to wait; of all hosts
    together as many as were needed at once (a metalink of 100 mirrors had 45 kept for 20 that were opening)."""

    def __init__(self) -> None:
        self._needed: dict[str, tuple[int, float]] = {}
        self._at_once: tuple[int, float] = (0, 0.0)

    def look(self, opening: Mapping[str, int], waiting: Iterable[str], now: float) -> Mapping[str, int]:
        """``opening``: how many are opening or wait to, by host; ``waiting``: hosts at which one has to wait."""
        for host in waiting:
            self._needed.setdefault(host, (0, now))
        for host, (needed, since) in list(self._needed.items()):
            count = opening.get(host, 0)
            if count >= needed:
                self._needed[host] = (count, now)
            elif now - since > KEEP_S:
                self._needed[host] = (count, now)
                if not count:
                    del self._needed[host]
        return self._bounded(opening, now)

    def _bounded(self, opening: Mapping[str, int], now: float) -> Mapping[str, int]:
        """No more than were needed at once; hosts where less is opening now than was give way."""
        kept = {host: needed for host, (needed, _) in self._needed.items()}
        count, (most, since) = sum(opening.get(host, 0) for host in kept), self._at_once
        if count >= most or now - since > KEEP_S:
            self._at_once = most, _ = count, now
        over = sum(kept.values()) - most
        for host, needed in list(kept.items()):
            spare = max(0, min(over, needed - opening.get(host, 0)))
            kept[host] -= spare
            over -= spare
        return {host: needed for host, needed in kept.items() if needed}


class Appetite:
    """Whether a download that has all it may have at a host would use more: until it has left some unused."""

    def __init__(self) -> None:
        self._room_since: float | None = None
        self._sated_until = 0.0

    def wants_more(self, held: int, given: int, now: float) -> bool:
        """``given``: what it may have; it holds ``held``."""
        if held < given:
            self._room_since = now if self._room_since is None else self._room_since
            if now - self._room_since >= SATED_S:
                self._sated_until = now + SATED_FOR_S
            # What was given a moment ago is still to be made use of: no going back and forth with it.
            return self._sated_until <= now < self._room_since + TAKING_S
        self._room_since = None
        return now >= self._sated_until


class Ramp:
    """How many lanes are of use while a limit holds: few, doubled as long as the limit is not reached.

    Lanes beyond what the limit lets through bring nothing, and each that is given up at the end was sent bytes in
    vain: what lies unread in socket buffers.
    """

    def __init__(self) -> None:
        self._lanes: int | None = None
        self._since = 0.0

    def lanes(self, *, limited: bool, throttled: bool, held: int, sources: int, now: float) -> int | None:
        """The most that may help; None for no bound."""
        if not limited:
            self._lanes = None
            return None
        if self._lanes is None:
            self._lanes, self._since = max(held, 1), now
        self._lanes = max(self._lanes, held, sources)
        if throttled or held < self._lanes:
            self._since = now
        elif now - self._since >= RAMP_S:
            self._lanes, self._since = 2 * self._lanes, now
        return self._lanes
