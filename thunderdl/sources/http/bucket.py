"""One rate limit over all movers: the pure bucket of :mod:`thunderdl.core.limits`, behind a lock, by the real clock."""

from __future__ import annotations

import threading
import time

from thunderdl.core.limits import TokenBucket


class SharedBucket:
    """One rate limit over all movers."""

    def __init__(self, rate_bytes_per_s: float | None) -> None:
        self._bucket, self._lock = TokenBucket(rate_bytes_per_s), threading.Lock()
        self.limited = rate_bytes_per_s is not None

    def change(self, rate_bytes_per_s: float | None) -> None:
        with self._lock:
            self._bucket.change(rate_bytes_per_s)
            self.limited = rate_bytes_per_s is not None

    def take(self, want_bytes: int) -> tuple[int, float]:
        with self._lock:
            return self._bucket.take(want_bytes, time.monotonic())

    def give_back(self, unused_bytes: int) -> None:
        with self._lock:
            self._bucket.give_back(unused_bytes)
