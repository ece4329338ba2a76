"""How many connections a host bears, over all downloads: learnt from what it refuses. Pure.

A server that answers 429 or 503 says one of two things. Where it refuses one connection more while others bring
bytes, it wants so many and no more: those go on. Where it refuses what worked before, it wants less of everything:
half, then (additive increase, multiplicative decrease, as TCP) one more at a time after a quiet while.

Invariants:
1. A cap is at least 1 and at most ``most``; a host that has refused nothing for long has none of its own.
2. What is refused within a second halves a host once, however many connections hear it; the longest Retry-After
   counts.
3. At most MAX_HOSTS are remembered, those refused last: a list of any length stays flat in memory.

Every run loads this: no dataclass, which costs 0.4 ms of the start-up each.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

# A refusal without Retry-After where nothing else works: nothing new is opened for this share of the time that the
# host has been refusing for, as the scheduler does for one source.
MIN_PAUSE_S, MAX_PAUSE_S, PAUSE_SHARE = 1.0, 60.0, 1 / 4
# All connections of a host hear of one overload at about the same time.
SETTLE_S = 1.0
# So long without a refusal, and one more is tried, then another each STEP_S; where that is refused at once the next
# quiet while is twice as long, for the server's own limit has been found.
QUIET_S, MAX_QUIET_S, STEP_S = 15.0, 600.0, 5.0
# A server's wish is obeyed, but "in a year" is no wish.
LONGEST_WISH_S = 3600.0
MAX_HOSTS = 1024
# Two URLs refused within so long are the host's doing.
DOUBT_S = 10.0
# The most connections to one host by protocol, where it is less than the user allows. An SSH server spends 0.1 s of
# CPU on each login, and turns some away while ten are not logged in yet (MaxStartups): four fill any disk.
_MOST_BY_SCHEME = {"sftp": 4}
V = TypeVar("V")


class Refusal(NamedTuple):
    """A 429 or 503 on one of ``held`` connections; ``working``: how many others are known to bring bytes.

    ``is_new``: on a connection that had answered nothing yet; ``is_of_host``: it speaks of the host for certain, as
    429 does, and 503 for a URL that has worked before.
    """

    url: str
    held: int
    working: int
    is_new: bool
    is_of_host: bool
    retry_after_s: float | None = None


class _Known:
    """``cap`` as of ``changed_at``: it grows from there. ``since``: the first refusal of those that go on."""

    __slots__ = ("cap", "changed_at", "halved", "paused_until", "quiet_s", "refused_at", "since", "wished_until")

    def __init__(self, cap: int, now: float, *, halved: bool) -> None:
        self.cap, self.halved = cap, halved
        self.changed_at = self.refused_at = self.since = now
        self.paused_until = self.wished_until = 0.0
        self.quiet_s = QUIET_S


class Hosts:
    """``most``: connections to one host, where it has refused none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, _Known] = {}
        self._doubtful: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def change(self, most: int) -> None:
        """Another number of connections to one host, from now on; what hosts refused still counts."""
        self._most = most

    def cap(self, host: str, now: float) -> int:
        """The most connections to ``host`` at this moment, over all downloads."""
        known, most = self._known.get(host), min(self._most, _MOST_BY_SCHEME.get(host.partition(":")[0], self._most))
        if known is None:
            return most
        quiet_since = known.changed_at + known.quiet_s
        grown = known.cap + (1 + int((now - quiet_since) / STEP_S) if now >= quiet_since else 0)
        if grown >= most and now >= known.paused_until:
            del self._known[host]
            return most
        return min(grown, most)

    def paused_until(self, host: str) -> float:
        """Nothing is opened at ``host`` before this moment; 0.0 where it refused nothing."""
        known = self._known.get(host)
        return known.paused_until if known else 0.0

    def wished_until(self, host: str) -> float:
        """Until when ``host`` itself asked to be left alone (Retry-After); 0.0 where it did not."""
        known = self._known.get(host)
        return known.wished_until if known else 0.0

    def refused(self, host: str, now: float, refusal: Refusal) -> bool:
        """``host`` answered 429 or 503; whether it was this one connection that was too many."""
        if not self._counts(host, now, refusal):
            return False
        cap, known = self.cap(host, now), self._known.pop(host, None)
        one_more = refusal.is_new and refusal.working > 0
        # Not as many as work by now: others may be on their way to an answer.
        wanted = max(1, refusal.held - 1 if one_more else min(cap, refusal.held) // 2)
        if known is None:
            known = _Known(min(cap, wanted), now, halved=not one_more)
        elif now >= known.refused_at + SETTLE_S:
            _again(known, cap, wanted, now)
            known.halved = not one_more
        elif one_more or not known.halved:
            # Several too many; or first one too many, and now also those that worked: then it wants less of all.
            known.cap, known.halved = min(known.cap, wanted), known.halved or not one_more
        if refusal.retry_after_s is not None:
            known.wished_until = max(known.wished_until, now + min(refusal.retry_after_s, LONGEST_WISH_S))
        elif not refusal.working:
            pause_s = min(max(MIN_PAUSE_S, PAUSE_SHARE * (known.refused_at - known.since)), MAX_PAUSE_S)
            known.paused_until = max(known.paused_until, known.refused_at + pause_s)
        known.paused_until = max(known.paused_until, known.wished_until)
        known.changed_at = max(known.changed_at, known.paused_until)
        # The one refused last stands last: forgotten are those at the front.
        self._known[host] = known
        _bound(self._known)
        return one_more

    def _counts(self, host: str, now: float, refusal: Refusal) -> bool:
        """Whether it speaks of the host: a 503 for a URL that never worked may be that URL's own trouble."""
        if refusal.is_of_host or refusal.retry_after_s is not None:
            return True
        url, at = self._doubtful.pop(host, (refusal.url, now))
        self._doubtful[host] = refusal.url, now
        _bound(self._doubtful)
        return url != refusal.url and now - at < DOUBT_S

    def next_change(self, now: float) -> float | None:
        """When the first pause ends or cap grows after ``now``; None where nothing waits for time."""
        times = [known.paused_until for known in self._known.values() if known.paused_until > now]
        for known in self._known.values():
            grows_at = known.changed_at + known.quiet_s
            steps = max(0.0, (now - grows_at) // STEP_S + 1)
            times.append(grows_at + steps * STEP_S)
        return min(times, default=None)


def _again(known: _Known, cap: int, wanted: int, now: float) -> None:
    """Refused once more, some time later."""
    if cap > known.cap:
        known.quiet_s = min(2 * known.quiet_s, MAX_QUIET_S)
    if now - max(known.refused_at, known.paused_until) > QUIET_S:
        known.since = now
    known.cap, known.changed_at, known.refused_at = min(cap, wanted), now, now


def _bound(remembered: dict[str, V]) -> None:
    while len(remembered) > MAX_HOSTS:
        del remembered[next(iter(remembered))]
