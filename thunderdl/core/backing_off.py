"""When to ask again one that is down, and when to stop hoping. Pure."""

from __future__ import annotations

# After this share of the time that it has been down for: it is missed for little longer than it was away, and a
# connect that fails costs next to nothing. (Doubling from 1 s missed a mirror that came at 2.0 s until 3.1 s.)
BACK_OFF_SHARE = 1 / 8
MIN_BACK_OFF_S, MAX_BACK_OFF_S = 0.25, 60.0
# One that answers 429 or 503 without Retry-After wants to be left alone rather longer.
MIN_BUSY_WAIT_S, BUSY_WAIT_SHARE = 1.0, 1 / 4


def back_off_s(down_s: float, *, is_busy: bool) -> float:
    """How long to wait before asking again one that has failed for ``down_s``."""
    if is_busy:
        return min(MAX_BACK_OFF_S, max(MIN_BUSY_WAIT_S, down_s * BUSY_WAIT_SHARE))
    return min(MAX_BACK_OFF_S, max(MIN_BACK_OFF_S, down_s * BACK_OFF_SHARE))


def is_hopeless(failures: int, down_s: float, retries: int) -> bool:
    """Asked more than ``retries`` times, and for about as long as waits that double each time would have taken."""
    patience_s = min(2.0 ** min(retries, 16) - 1, MAX_BACK_OFF_S * retries)
    return failures > retries and down_s >= patience_s * 0.75
