"""The rate limits over all movers: :mod:`thunderdl.core.limits` behind a lock, by the real clock."""

from __future__ import annotations

import threading
import time

from thunderdl.core.limits import Flow, Limiter


class SharedLimit:
    """One limit over all movers; :meth:`meter` gives each download its part."""

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self.limiter, self.lock = Limiter(rate_bytes_per_s), threading.Lock()
        self.limited = rate_bytes_per_s is not None

    def change(self, rate_bytes_per_s: float | None) -> None:
        """Another limit from now on; None for none."""
        with self.lock:
            self.limiter.change(rate_bytes_per_s)
            self.limited = rate_bytes_per_s is not None

    def count(self) -> dict[Flow, int]:
        """What each flow was granted since this was last asked; from the first time on it is counted."""
        with self.lock:
            served, self.limiter.served = self.limiter.served, {}
        return served or {}

    def count_no_more(self) -> None:
        """Nobody asks any more."""
        with self.lock:
            self.limiter.served = None

    def meter(self, *, weight: float = 1.0) -> Meter:
        """For one more download, without a limit of its own."""
        return Meter(self, weight)


class Meter:
    """What the bytes of one download are asked from. ``limited``: whether asking is needed at all."""

    __slots__ = ("_shared", "flow")

    def __init__(self, shared: SharedLimit, weight: float) -> None:
        self._shared, self.flow = shared, Flow(weight)

    @property
    def limited(self) -> bool:
        return self._shared.limited or self.flow.own.rate_bytes_per_s is not None

    @property
    def is_throttled(self) -> bool:
        """Whether the limit is what holds the download back."""
        return self.limited and self.flow.is_throttled

    def change(self, rate_bytes_per_s: float | None) -> None:
        """Another limit for this download alone."""
        with self._shared.lock:
            self.flow.own.change(rate_bytes_per_s)

    def weigh(self, weight: float) -> None:
        """Another part beside the other downloads."""
        with self._shared.lock:
            self.flow.weight = weight

    def take(self, taker: int, want_bytes: int) -> tuple[int, float]:
        """(granted bytes, seconds until asking again makes sense); one of the two is 0."""
        with self._shared.lock:
            return self._shared.limiter.take(self.flow, taker, want_bytes, time.monotonic())

    def give_back(self, unused_bytes: int) -> None:
        """Granted, but the socket had less."""
        with self._shared.lock:
            self._shared.limiter.give_back(self.flow, unused_bytes)

    def close(self) -> None:
        """The download has ended."""
        if self.flow.waiting:
            with self._shared.lock:
                self._shared.limiter.forget(self.flow)
