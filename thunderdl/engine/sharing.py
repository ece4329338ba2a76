"""Shares out connections among the downloads of a session: asks what each holds and wants, tells what it may have.

The decisions are in :mod:`thunderdl.core.sharing` and :mod:`thunderdl.core.hosts`. Looked at ten times a second while
a large download runs, and at once when somebody has to wait for a slot or a host refuses. Lives on the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from thunderdl.core.hosts import Refusal
from thunderdl.errors import ServerBusy
from thunderdl.sources.http.pool import Pool
from thunderdl.sources.http.wire import Endpoint

if TYPE_CHECKING:
    from thunderdl.core.sharing import Claim, Kept, Share

LOOK_S = 0.1
# Other answers of this kind (500, 502, 408 ...) speak of the resource or of a moment, not of too many requests.
BUSY_STATUSES = (429, 503)


class Party(Protocol):
    """A download that has lanes."""

    def claim(self, now: float) -> Claim:
        """What it holds and could use."""

    def obey(self, share: Share) -> None:
        """Have no more than this from now on."""

    def leave_alone(self, host: str, until: float) -> None:
        """Open no lane to ``host`` before then."""

    def flowing(self, host: str) -> int:
        """How many of its lanes to ``host`` bring bytes."""


class Sharing:
    """``in_all``: connections in all."""

    def __init__(self, pool: Pool, *, in_all: int) -> None:
        self._pool, self._in_all = pool, in_all
        self._parties: dict[Party, None] = {}
        self._kept: Kept | None = None
        self._looked_at, self._looking = 0.0, False
        pool.on_wait = self.look

    def join(self, party: Party) -> None:
        """It has lanes from now on."""
        self._parties[party] = None
        self.look()

    def leave(self, party: Party) -> None:
        """It has none any more, or gives them back by itself."""
        self._parties.pop(party, None)
        self.look()

    def change(self, in_all: int) -> None:
        """Another number of connections in all, from now on."""
        self._in_all = in_all
        self.look()

    def tick(self) -> None:
        """Time has passed."""
        if time.monotonic() - self._looked_at >= LOOK_S:
            self.look()

    def look(self) -> None:
        """Share out anew."""
        if self._looking or not self._parties:
            return
        # Small files need none of it.
        from thunderdl.core.sharing import Kept, apportion

        self._kept = self._kept or Kept()
        self._looking, now = True, time.monotonic()
        self._looked_at = now
        try:
            parties = list(self._parties)
            claims = [party.claim(now) for party in parties]
            shares = apportion(
                claims, in_all=self._in_all, cap=lambda host: self._pool.hosts.cap(host, now),
                kept=self._kept_for_openings(self._kept, claims, now),
            )  # fmt: skip
            for party, share in zip(parties, shares, strict=True):
                party.obey(share)
        finally:
            self._looking = False

    def refused(self, endpoint: Endpoint, error: ServerBusy, *, held: int, is_new: bool, has_worked: bool) -> None:
        """An answer of 429 or 503 on one of ``held`` connections, which had answered nothing yet (``is_new``) or had,
        for a URL that ``has_worked`` before or not."""
        if error.status not in BUSY_STATUSES:
            return
        host, flowing = endpoint.origin, sum(party.flowing(endpoint.origin) for party in self._parties)
        refusal = Refusal(
            url=error.url, held=held, working=flowing or self._pool.has_worked(endpoint),
            is_new=is_new, is_of_host=has_worked or error.status == 429, retry_after_s=error.retry_after_s,
        )  # fmt: skip
        error.one_too_many = self._pool.refused(endpoint, refusal)
        if (until := self._pool.hosts.wished_until(host)) > time.monotonic():
            for party in list(self._parties):
                party.leave_alone(host, until)
        self.look()

    def _kept_for_openings(self, kept: Kept, claims: list[Claim], now: float) -> Mapping[str, int]:
        # Those that wait for a pause to end could not use a slot yet.
        paused_until = self._pool.hosts.paused_until
        waiting = {host: count for host, count in self._pool.waiting.items() if paused_until(host) <= now}
        opening = dict(self._pool.taken)
        for claim in claims:
            for host, count in claim.held.items():
                opening[host] = opening.get(host, 0) - count
        for host, count in waiting.items():
            opening[host] = opening.get(host, 0) + count
        return kept.look(opening, waiting, now)
