"""Rate limits that answer *when*: nobody sleeps in here, nobody polls it. Pure: time comes in as ``now``.

One :class:`Limiter` holds the limit over everything; each download is a :class:`Flow` of it, with a weight and a
limit of its own; each connection (*taker*) of a flow asks before it reads. What is granted was in both buckets.

Who is served first: a flow carries a tag, the bytes it had divided by its weight (start-time fair queueing, Goyal,
Vin, Cheng 1996), and leaves a turn's worth to each waiting flow with a lower tag; within a flow a connection leaves
a turn to each that has waited for longer. So a download with many connections gets no more than one with few, one
that wants less than its share gets all of it, and the others share what it leaves.

Invariants:
1. Over any time t no more than ``rate * t + burst`` is granted, in all and to each flow.
2. What is left for others is at most half a bucket: whoever comes when more is there may take it, so that no part of
   the rate is lost while somebody asks.
3. No wait is longer than MAX_WAIT_S: a new limit is obeyed at once by all.
"""

from __future__ import annotations

# A burst of this much time keeps the flow smooth at any rate; a turn is a quarter of it.
BURST_S = 0.05
MIN_BURST_BYTES = 1024
# A trickle of tiny reads costs more than it moves: a turn is no smaller, unless the rate is so low that a connection
# would wait too long for it (16 connections at 10 KB/s then read 100 bytes six times a second: never silent).
MIN_TURN_BYTES = 1024
MIN_TURN_S = 0.01
MIN_WAIT_S, MAX_WAIT_S = 0.001, 0.1
# Who was told to wait and has not come back so long after that has gone.
GRACE_S = 0.05
# A grant that was waited for and read in full speaks for a limit that holds the flow back; one that was not, or of
# which something was left, twice as much for a source that does. Averaged over so many grants.
PRESSED, RELAXED = 1 / 8, 1 / 4


class TokenBucket:
    """Bytes that may be had now: ``rate_bytes_per_s`` over time, no more than a burst saved. None: no limit."""

    __slots__ = ("_at", "_rate", "tokens")

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self._rate = rate_bytes_per_s
        self._at: float | None = None
        self.tokens = 0.0

    @property
    def rate_bytes_per_s(self) -> float | None:
        return self._rate

    @property
    def burst_bytes(self) -> float:
        return max((self._rate or 0.0) * BURST_S, MIN_BURST_BYTES)

    def change(self, rate_bytes_per_s: float | None) -> None:
        """Another rate from now on; of what was saved under the old one no more than a new burst stays."""
        self._rate = rate_bytes_per_s
        self.tokens = min(self.tokens, self.burst_bytes)

    def fill(self, now: float) -> None:
        """Let time pass. A clock that jumps backwards grants nothing, one that jumps ahead grants one burst."""
        if self._at is None:
            self.tokens = self.burst_bytes
        elif self._rate is not None:
            self.tokens = min(self.burst_bytes, self.tokens + max(0.0, now - self._at) * self._rate)
        self._at = now

    def spend(self, count_bytes: float) -> None:
        """Take bytes out, or put unused ones back where negative."""
        if self._rate is not None:
            self.tokens = min(self.tokens - count_bytes, self.burst_bytes)

    def turn_bytes(self, takers: int) -> float:
        """What one of so many that wait gets at a time."""
        rate = self._rate or 0.0
        return max(self.burst_bytes / 4 / max(1, takers), min(MIN_TURN_BYTES, rate * MIN_TURN_S), 1.0)

    def wait_s(self, wanted_bytes: float) -> float:
        """How long until so many bytes are there."""
        return max(0.0, wanted_bytes - self.tokens) / self._rate if self._rate else 0.0


class Flow:
    """One download under the limit. ``weight``: its part beside others; ``own``: the limit of it alone."""

    __slots__ = ("_pressure", "own", "tag", "waiting", "weight")

    def __init__(self, weight: float = 1.0, own: TokenBucket | None = None) -> None:
        self.weight, self.own = weight, own or TokenBucket(None)
        # Bytes had, divided by the weight; not far behind the others' after a time without waiting.
        self.tag = 0.0
        # Takers that were told to wait, the first first, and when they are given up.
        self.waiting: dict[int, float] = {}
        self._pressure = 0.0

    @property
    def is_throttled(self) -> bool:
        """Whether the limit is what holds it back, rather than its sources."""
        return self._pressure > 0.5

    def feel(self, *, waited: bool) -> None:
        """It was granted what it had ``waited`` for, or what it could not make full use of."""
        self._pressure += (1 - self._pressure) * PRESSED if waited else -self._pressure * RELAXED


class Limiter:
    """The limit over all flows. None: no limit but each flow's own."""

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self._all = TokenBucket(rate_bytes_per_s)
        # Flows somebody of which waits.
        self._pending: dict[Flow, None] = {}
        # While somebody counts: what each flow was granted; None while nobody does.
        self.served: dict[Flow, int] | None = None
        self._tag = 0.0

    @property
    def rate_bytes_per_s(self) -> float | None:
        return self._all.rate_bytes_per_s

    def change(self, rate_bytes_per_s: float | None) -> None:
        """Another limit from now on."""
        self._all.change(rate_bytes_per_s)

    def take(self, flow: Flow, taker: int, want_bytes: int, now: float) -> tuple[int, float]:
        """(granted bytes, seconds until asking again makes sense); one of the two is 0."""
        self._expire(now)
        buckets = [bucket for bucket in (self._all, flow.own) if bucket.rate_bytes_per_s is not None]
        if not flow.waiting:
            # What it did not ask for is no credit for later, but for one burst.
            flow.tag = max(flow.tag, self._tag - self._all.burst_bytes / flow.weight)
        granted, wait_s = want_bytes, 0.0
        for bucket in buckets:
            bucket.fill(now)
            turn, kept = self._kept_for_others(bucket, flow, taker)
            least = min(want_bytes, turn)
            granted = min(granted, int(bucket.tokens - kept))
            # Rounded up: at the moment named the bytes are there.
            wait_s = max(wait_s, bucket.wait_s(least + kept) if granted < int(least) else 0.0)
        if wait_s or granted <= 0:
            return 0, self._put_off(flow, taker, wait_s, now)
        self._serve(flow, taker, granted, buckets)
        return granted, 0.0

    def give_back(self, flow: Flow, unused_bytes: int) -> None:
        """Granted, but the socket had less."""
        for bucket in (self._all, flow.own):
            bucket.spend(-unused_bytes)
        self._count(flow, -unused_bytes)
        flow.tag -= unused_bytes / flow.weight
        flow.feel(waited=False)

    def forget(self, flow: Flow) -> None:
        """The flow has ended."""
        flow.waiting.clear()
        self._pending.pop(flow, None)

    def _kept_for_others(self, bucket: TokenBucket, flow: Flow, taker: int) -> tuple[float, float]:
        """A turn's worth, and what the bucket holds for those whose turn comes first."""
        ahead = _ahead(flow.waiting, taker)
        if bucket is flow.own:
            waiting = len(flow.waiting)
        else:
            others = [other for other in self._pending if other is not flow]
            waiting = len(flow.waiting) + sum(len(other.waiting) for other in others)
            ahead += sum(1 for other in others if other.tag < flow.tag)
        turn = bucket.turn_bytes(waiting if taker in flow.waiting else waiting + 1)
        return turn, min(turn * ahead, bucket.burst_bytes / 2)

    def _put_off(self, flow: Flow, taker: int, wait_s: float, now: float) -> float:
        wait_s = min(max(wait_s, MIN_WAIT_S), MAX_WAIT_S)
        flow.waiting[taker] = now + wait_s + GRACE_S
        self._pending[flow] = None
        return wait_s

    def _serve(self, flow: Flow, taker: int, granted: int, buckets: list[TokenBucket]) -> None:
        for bucket in buckets:
            bucket.spend(granted)
        self._count(flow, granted)
        self._tag = max(self._tag, flow.tag)
        flow.tag += granted / flow.weight
        flow.feel(waited=flow.waiting.pop(taker, None) is not None)
        if not flow.waiting:
            self._pending.pop(flow, None)

    def _count(self, flow: Flow, count_bytes: int) -> None:
        if self.served is not None:
            self.served[flow] = self.served.get(flow, 0) + count_bytes

    def _expire(self, now: float) -> None:
        """Forget takers that did not come back."""
        for flow in list(self._pending):
            for taker in [taker for taker, until in flow.waiting.items() if until < now]:
                del flow.waiting[taker]
            if not flow.waiting:
                del self._pending[flow]


def _ahead(waiting: dict[int, float], taker: int) -> int:
    """How many have waited for longer."""
    if taker not in waiting:
        return len(waiting)
    return next(place for place, other in enumerate(waiting) if other == taker)
