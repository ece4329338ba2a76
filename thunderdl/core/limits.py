"""A rate limit that answers *when*: nobody sleeps in here, nobody polls it. Pure: time comes in as ``now``."""

from __future__ import annotations

# A burst of this much time keeps the flow smooth at any rate: 50 ms of bytes, and no less than one read of 16 KiB.
BURST_S = 0.05
MIN_BURST_BYTES = 16 * 1024


class TokenBucket:
    """At most ``rate_bytes_per_s`` over time. None means no limit; it may be changed while running."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self._rate = rate_bytes_per_s
        self._tokens = 0.0
        self._at: float | None = None

    @property
    def rate_bytes_per_s(self) -> float | None:
        return self._rate

    def change(self, rate_bytes_per_s: float | None) -> None:
        self._rate, self._tokens, self._at = rate_bytes_per_s, 0.0, None

    def take(self, want_bytes: int, now: float) -> tuple[int, float]:
        """Return (granted bytes, seconds until asking again makes sense); one of the two is 0."""
        if self._rate is None:
            return want_bytes, 0.0
        burst = max(self._rate * BURST_S, MIN_BURST_BYTES)
        if self._at is None:
            self._at, self._tokens = now, burst
        # A clock that jumps backwards grants nothing, one that jumps ahead grants one burst.
        self._tokens = min(burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        granted = min(want_bytes, int(self._tokens))
        # A trickle of tiny reads costs more than it moves: wait for a quarter of a burst.
        if granted < min(want_bytes, burst / 4):
            return 0, max(0.001, (min(want_bytes, burst / 4) - self._tokens) / self._rate)
        self._tokens -= granted
        return granted, 0.0

    def give_back(self, unused_bytes: int) -> None:
        """Granted, but the socket had less."""
        if self._rate is not None:
            self._tokens += unused_bytes
