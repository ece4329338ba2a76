"""The limit shared by many: who gets how much, how evenly in time. A virtual clock; connections as movers read them."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thunderdl.core.limits import BURST_S, MAX_WAIT_S, Flow, Limiter, TokenBucket

MIB = 1024 * 1024
FAST = 100 * MIB
START_S = 1000.0
SETTLED_S = 0.5


@dataclass(slots=True)
class Reader:
    """One connection: its socket fills at ``rate`` up to a window, and is emptied as far as the limit grants."""

    id: int
    flow: Flow
    rate: float
    held: float = 0.0
    filled_at: float = START_S
    last_read: float = START_S
    longest_silence: float = 0.0

    def arrive(self, now: float) -> int:
        self.held = min(4 * MIB, self.held + (now - self.filled_at) * self.rate)
        self.filled_at = now
        return int(self.held)


class Room:
    """A limit and those who read under it. ``got``: bytes by flow; ``log``: (when, bytes) of every read."""

    def __init__(self, limit: float | None, *, slop_s: float = 0.001) -> None:
        self.limiter, self.now = Limiter(limit), START_S
        self.got: dict[Flow, int] = defaultdict(int)
        self.log: list[tuple[float, int]] = []
        self.asks, self.longest_wait = 0, 0.0
        self._agenda: list[tuple[float, int, Reader]] = []
        self._slop, self._random = slop_s, random.Random(1)
        self.readers: list[Reader] = []

    def add(self, *, lanes: int = 1, rate: float = FAST, weight: float = 1.0, own: float | None = None) -> Flow:
        flow = Flow(weight, TokenBucket(own))
        for _ in range(lanes):
            reader = Reader(len(self.readers), flow, rate, filled_at=self.now, last_read=self.now)
            self.readers.append(reader)
            self._at(0.0, reader)
        return flow

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, reader = heapq.heappop(self._agenda)
            self._turn(reader)
        self.now = until

    def counted(self, seconds: float) -> dict[Flow, float]:
        """Bytes a second of each flow over the next seconds."""
        before = dict(self.got)
        self.run(seconds)
        return {flow: (self.got[flow] - before.get(flow, 0)) / seconds for flow in self.got}

    def rates(self, window_s: float, since: float) -> list[float]:
        """Bytes a second in each window of the log, at steps of a tenth."""
        steps = int((self.now - since - window_s) / (window_s / 10))
        starts = [since + step * window_s / 10 for step in range(steps)]
        return [sum(n for at, n in self.log if start <= at < start + window_s) / window_s for start in starts]

    def _at(self, wait_s: float, reader: Reader) -> None:
        heapq.heappush(self._agenda, (self.now + wait_s + self._random.random() * self._slop, reader.id, reader))

    def _turn(self, reader: Reader) -> None:
        self.asks += 1
        there = reader.arrive(self.now)
        granted, wait_s = self.limiter.take(reader.flow, reader.id, 256 * 1024, self.now)
        self.longest_wait = max(self.longest_wait, wait_s)
        if wait_s:
            self._at(wait_s, reader)
            return
        read = min(granted, there)
        if read < granted:
            self.limiter.give_back(reader.flow, granted - read)
        reader.held -= read
        if read:
            self.got[reader.flow] += read
            self.log.append((self.now, read))
            reader.longest_silence = max(reader.longest_silence, self.now - reader.last_read)
            reader.last_read = self.now
        # Readable again once a packet has come.
        self._at(0.0 if reader.held >= 1448 else (1448 - reader.held) / reader.rate, reader)


@pytest.mark.parametrize("limit", [10_000, 200_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_it_flows_smoothly(limit: int, lanes: int) -> None:
    room = Room(limit)
    room.add(lanes=lanes)
    room.run(SETTLED_S)
    since = room.now
    room.run(6.0 if limit < 1_000_000 else 2.0)
    burst = max(limit * BURST_S, 1024)
    rates = room.rates(0.5, since)
    assert max(rates) <= (limit * 0.5 + burst) / 0.5 + 1
    assert min(rates) >= 0.8 * limit


@pytest.mark.parametrize("limit", [10_000, 100_000, 1_000_000])
def test_no_connection_is_silent_for_long(limit: int) -> None:
    """A connection that reads nothing for two seconds counts as silent; the limit must not make it so."""
    room = Room(limit)
    for _ in range(4):
        room.add(lanes=4)
    room.run(12.0)
    assert max(reader.longest_silence for reader in room.readers) < 1.0


def test_many_connections_get_no_more_than_one() -> None:
    room = Room(1_000_000)
    many, one = room.add(lanes=16), room.add(lanes=1)
    room.run(SETTLED_S)
    rates = room.counted(4.0)
    assert rates[many] == pytest.approx(500_000, rel=0.05)
    assert rates[one] == pytest.approx(500_000, rel=0.05)


def test_weights_are_respected() -> None:
    room = Room(1_000_000)
    flows = [room.add(lanes=4, weight=weight) for weight in (1 / 3, 1.0, 3.0)]
    room.run(SETTLED_S)
    rates = room.counted(6.0)
    assert [rates[flow] / 1_000_000 for flow in flows] == pytest.approx([1 / 13, 3 / 13, 9 / 13], rel=0.06)


def test_what_one_does_not_use_the_others_share() -> None:
    room = Room(1_000_000)
    slow, first, second = room.add(rate=100_000), room.add(lanes=8), room.add(lanes=1)
    room.run(SETTLED_S)
    rates = room.counted(4.0)
    assert rates[slow] == pytest.approx(100_000, rel=0.05)
    assert rates[first] == pytest.approx(450_000, rel=0.05)
    assert rates[second] == pytest.approx(450_000, rel=0.05)
    assert not slow.is_throttled
    assert first.is_throttled


def test_many_slow_ones_take_nothing_from_the_whole() -> None:
    room = Room(1_000_000)
    for _ in range(15):
        room.add(rate=20_000)
    fast = room.add()
    room.run(SETTLED_S)
    assert room.counted(3.0)[fast] == pytest.approx(700_000, rel=0.06)


def test_the_limit_of_one_is_held_within_that_of_all() -> None:
    room = Room(1_000_000)
    held, free = room.add(lanes=4, own=100_000), room.add(lanes=2)
    room.run(SETTLED_S)
    rates = room.counted(4.0)
    assert rates[held] == pytest.approx(100_000, rel=0.05)
    assert rates[free] == pytest.approx(900_000, rel=0.05)


def test_the_limit_of_one_without_any_over_all() -> None:
    room = Room(None)
    held = room.add(lanes=4, own=100_000)
    room.run(SETTLED_S)
    assert room.counted(4.0)[held] == pytest.approx(100_000, rel=0.05)


def test_who_was_slow_for_long_has_no_credit() -> None:
    """After a minute at a trickle a download that speeds up gets its half, not all of the limit for half a minute."""
    room = Room(1_000_000)
    slow, other = room.add(rate=10_000), room.add()
    room.run(60.0)
    room.readers[0].arrive(room.now)
    room.readers[0].rate = FAST
    rates = room.counted(0.5)
    assert rates[other] > 350_000
    assert rates[slow] > 350_000


def test_who_goes_away_leaves_nothing_reserved() -> None:
    room = Room(1_000_000)
    room.add(lanes=8)
    stays = room.add()
    room.run(1.0)
    room._agenda = [entry for entry in room._agenda if entry[2].flow is stays]
    heapq.heapify(room._agenda)
    room.run(0.2)
    assert room.counted(2.0)[stays] == pytest.approx(1_000_000, rel=0.05)


def test_a_new_limit_is_obeyed_within_a_fifth_of_a_second() -> None:
    room = Room(20_000)
    flow = room.add(lanes=8)
    room.run(2.0)
    room.limiter.change(2_000_000)
    room.run(MAX_WAIT_S + 0.1)
    assert room.counted(1.0)[flow] == pytest.approx(2_000_000, rel=0.05)
    room.limiter.change(20_000)
    room.run(0.2)
    assert room.counted(2.0)[flow] == pytest.approx(20_000, rel=0.15)
    room.limiter.change(None)
    room.run(MAX_WAIT_S + 0.1)
    assert room.counted(0.1)[flow] > 50 * MIB


@pytest.mark.parametrize("limit", [10_000, 1_000_000, 100_000_000])
def test_asking_is_cheap(limit: int) -> None:
    room = Room(limit)
    room.add(lanes=16)
    room.run(1.0)
    before = room.asks
    room.run(1.0)
    assert room.asks - before < 4000


def test_nobody_is_told_to_wait_for_long_however_low_the_limit() -> None:
    room = Room(1000)
    room.add(lanes=16)
    room.run(5.0)
    assert room.longest_wait == MAX_WAIT_S


def test_nothing_is_lost_where_those_ahead_are_late() -> None:
    """Movers with much to do come back late; what is kept for them must not let the bucket overflow meanwhile."""
    room = Room(1_000_000, slop_s=0.03)
    for _ in range(8):
        room.add(lanes=8)
    room.run(SETTLED_S)
    assert sum(room.counted(3.0).values()) >= 900_000


def test_what_is_given_back_was_not_had() -> None:
    limiter, flow = Limiter(1_000_000), Flow(2.0)
    granted, _ = limiter.take(flow, 1, 20_000, START_S)
    limiter.give_back(flow, granted - 500)
    assert flow.tag == 250


def test_who_does_not_come_back_is_forgotten() -> None:
    limiter, gone, other = Limiter(1_000_000), Flow(), Flow()
    limiter.take(gone, 1, 1 << 20, START_S)
    assert limiter.take(gone, 1, 1 << 20, START_S)[1] > 0
    assert gone.waiting
    limiter.take(other, 2, 1 << 20, START_S + 1)
    assert not gone.waiting


limits = st.floats(20_000, 5e6)
parties = st.lists(
    st.tuples(st.integers(1, 6), st.floats(0.3, 3.0), st.sampled_from([0.05, 0.4, 100.0])), min_size=1, max_size=5
)


@settings(max_examples=20)
@given(limits, parties)
def test_fair_shares_by_weight(limit: float, parties: list[tuple[int, float, float]]) -> None:
    """Nobody gets much less than its fair share of the limit, unless its own source is slower than that."""
    room = Room(limit)
    flows = [room.add(lanes=lanes, weight=weight, rate=pace * limit / lanes) for lanes, weight, pace in parties]
    room.run(SETTLED_S)
    rates = room.counted(3.0)
    total_weight = sum(weight for _, weight, _ in parties)
    for flow, (_, weight, pace) in zip(flows, parties, strict=True):
        assert rates.get(flow, 0.0) >= 0.8 * min(pace, weight / total_weight) * limit - 3000
    assert sum(rates.values()) >= 0.9 * min(1.0, sum(pace for _, _, pace in parties)) * limit - 3000
    assert sum(rates.values()) <= limit + (limit * BURST_S + 1024) / 3 + 1
