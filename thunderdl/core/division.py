"""Which pieces the swarm brings, and which the mirrors: the division of one file between two kinds of source. Pure.

Mirrors take bytes from one end of the file, the swarm takes whole pieces from the other. Measured on shaped links
(100 Mbit/s by HTTP, two seeds of 50): sharing piece by piece fetched 16-28 % twice, since what peers have been asked
for reaches into what HTTP asks for next; two ends that meet fetched nothing twice.

Invariants:
1. A piece that is assigned belongs to the swarm, and no lease holds a byte of it; all else belongs to the mirrors.
2. The swarm has about ``LOOK_S`` of its own rate assigned, no more: so both end together, whatever their rates do.
3. While anything is missing the swarm has something assigned: a torrent with nothing left to fetch drops its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from thunderdl.core.ranges import RangeSet
from thunderdl.core.scarcity import OwnOrder, either

# What the swarm has ahead: enough for its peers' queues, little enough to be given back at the end.
LOOK_S = 0.6
MIN_PIECES = 2
# Once every piece that it may fetch is begun, libtorrent asks several peers for the same blocks (end-game): 8 % of
# what came, came twice. So much of its rate is never begun, and so many pieces.
SPARE_S, SPARE_PIECES = 0.4, 2
# With less than this share of it left it is given more at once: a quick swarm is through between two looks.
SHORT = 0.75
# A swarm that has shown no rate yet.
FIRST_BYTES = 4 * 1024 * 1024
# A move at the end is worth it from so much on.
MIN_GAIN_S = 0.25
# So close to the end a lane that is late is not helped by the other lanes any more.
NEAR_S = 1.0
# So much quicker than the mirrors is clearly quicker.
CLEARLY = 1.5
# Peers that have this much for us and no more keep up with what they have.
BACKLOG_BYTES, BACKLOG_S = 4 * 1024 * 1024, 1.0
SHARING_LANES = 2
MOST_SCARCE = 64
# A swarm that brings nothing for so long is given no more than one piece to show that it lives.
SILENT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmView:
    """The swarm at one moment. ``rate_bytes_per_s``: lately; ``available``: for each piece how many peers have it,
    at most 255; ``begun``: pieces of which blocks came or were asked for, with the share that is here;
    ``silent_s``: since it last brought anything; ``leechers``: peers that want something themselves."""

    rate_bytes_per_s: float
    available: bytes
    begun: Mapping[int, float] = field(default_factory=dict)
    silent_s: float = 0.0
    leechers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease of a mirror: what is left of it, and the rate of its lane, 0 where that is not known."""

    position: int
    end: int
    rate_bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Pieces that the swarm is to bring from now on, and pieces that it gives back to the mirrors."""

    taken: tuple[int, ...] = ()
    given_back: tuple[int, ...] = ()


class Division:
    """``size``, ``piece_bytes``: of the file; ``done``: pieces that are here; ``first_piece``: where the mirrors
    begin, the swarm goes down from there, around the end of the file."""

    def __init__(self, *, size: int, piece_bytes: int, done: Iterable[int] = (), first_piece: int = 0) -> None:
        self.size, self.piece_bytes, self.first_piece = size, piece_bytes, first_piece
        self.count = -(-size // piece_bytes)
        self.done = set(done)
        # The same, a byte for each piece.
        self._here = bytearray(self.count)
        for piece in self.done:
            self._here[piece] = 1
        self.assigned: set[int] = set()
        # What they last brought together: idle ones have no rate, and could work.
        self._mirrors_rate = 0.0
        self._sparing = False

    @property
    def here(self) -> bytes:
        """A byte for each piece, 1 where it is here."""
        return bytes(self._here)

    def bounds(self, piece: int) -> tuple[int, int]:
        """The bytes ``[start, end)`` of a piece."""
        return piece * self.piece_bytes, min((piece + 1) * self.piece_bytes, self.size)

    def begin(self, missing: RangeSet, *, mirrors: bool) -> Moves:
        """What the swarm has at first, before it is known who is there: with nothing to fetch it would call nobody."""
        if not mirrors:
            return self._take(self._unheld([]))
        return self._take(list(islice(self._from_the_far_end(missing), self._first_pieces())))

    def is_short(self, swarm: SwarmView) -> bool:
        """Whether the swarm is soon through with what it has: to look again is worth it now."""
        have = sum(self._left_bytes(piece, swarm) for piece in self.assigned)
        spare, least = self._spare(swarm)
        return have < self._wanted_bytes(swarm) * SHORT or spare < least

    def scarce(self, swarm: SwarmView, order: OwnOrder) -> list[int]:
        """Pieces that are not here and that no peer has, the first :data:`MOST_SCARCE` of them in ``order``."""
        return order.first(self._somewhere(swarm), MOST_SCARCE) if swarm.leechers else []

    def _somewhere(self, swarm: SwarmView) -> bytes:
        """For each piece a byte, 0 where it is neither here nor at a peer."""
        return either(self._here, swarm.available[: self.count].ljust(self.count, b"\0"))

    def brought(self, piece: int) -> None:
        """The piece is here, whoever brought it."""
        self.done.add(piece)
        self._here[piece] = 1
        self.assigned.discard(piece)

    def lost(self, piece: int) -> None:
        """The piece is not here after all; it belongs to the mirrors again."""
        self.done.discard(piece)
        self._here[piece] = 0

    def look(
        self, swarm: SwarmView, missing: RangeSet, held: Iterable[Held], mirrors_rate: float, *, mirrors: bool
    ) -> Moves:  # fmt: skip
        """What is to change now. ``missing``: what nobody holds; ``mirrors_rate``: bytes/s that all lanes bring;
        ``mirrors``: whether there is one that works, or may turn out to."""
        leases = list(held)
        self._sparing = False
        if not mirrors:
            # Nobody else is there: all is its own, what mirrors have begun and left, too.
            return self._take(self._unheld(leases))
        self._mirrors_rate = mirrors_rate = mirrors_rate or self._mirrors_rate
        idle = [piece for piece in self.assigned if not self._may_bring(swarm, piece)]
        if len(idle) > 1 and (any(swarm.available) or swarm.begun):
            # Asked for before it was known that nobody has them, or begun by who has left.
            self.assigned.difference_update(idle[1:])
            return Moves(given_back=tuple(idle[1:]))
        have = sum(self._left_bytes(piece, swarm) for piece in self.assigned.difference(idle))
        theirs = missing.total + sum(lease.end - lease.position for lease in leases)
        share = self._share(swarm, have + theirs, mirrors_rate)
        wanted = min(self._wanted_bytes(swarm), share)
        self._sparing = self._spares_mirrors(swarm, mirrors_rate)
        if self._sparing:
            wanted = share = float(have + theirs)
            if waiting := self._had_meanwhile(swarm, leases):
                return self._take(waiting)
        if have > 3 * wanted and (back := self._surplus(swarm, have - wanted)):
            self.assigned.difference_update(back)
            return Moves(given_back=tuple(back))
        taken: list[int] = []
        spare, least = self._spare(swarm)
        for piece in self._free(swarm, missing):
            if have >= wanted and (spare >= least or have >= share):
                break
            taken.append(piece)
            have, spare = have + self._left_bytes(piece, swarm), spare + 1
        left = next(self._from_the_far_end(missing), None)
        if left is None:
            return Moves() if self._sparing else self._even_out(swarm, theirs, leases, mirrors_rate)
        if not taken and not self.assigned:
            # Nobody has any of them yet: who comes is to find something that we want.
            taken.append(left)
        return self._take(taken)

    @property
    def most_lanes(self) -> int | None:
        """How many lanes a mirror is to have at most, None for as many as help.

        Among downloaders that share, more lanes win nothing but a part of each other's: and a piece that comes quickly
        as a whole can be handed on (of eight with 16 lanes each, 128 of 191 pieces were under way at once).
        """
        return SHARING_LANES if self._sparing else None

    def _spares_mirrors(self, swarm: SwarmView, mirrors_rate: float) -> bool:
        """Whether what peers have is left to them, and mirrors are there for what none of them has yet: where peers
        share among themselves, and bring what they have soon (eight downloaders had the origin send the file 3.9
        times)."""
        if not swarm.leechers or swarm.silent_s > SILENT_S:
            return False
        if swarm.rate_bytes_per_s > CLEARLY * mirrors_rate:
            return True
        waiting = self.count - self._somewhere(swarm).count(0) - len(self.done)
        return waiting * self.piece_bytes <= max(BACKLOG_BYTES, swarm.rate_bytes_per_s * BACKLOG_S)

    def _had_meanwhile(self, swarm: SwarmView, leases: list[Held]) -> list[int]:
        """Whole pieces at the ends of leases, not begun there, that a peer has by now."""
        last = {(lease.end - 1) // self.piece_bytes: lease for lease in leases if lease.end > lease.position}
        return [
            piece for piece, lease in last.items()
            if self._may_bring(swarm, piece) and lease.position <= self.bounds(piece)[0]
            and lease.end == self.bounds(piece)[1]
        ]  # fmt: skip

    def _share(self, swarm: SwarmView, left_bytes: float, mirrors_rate: float) -> float:
        """What the swarm would have of it if both ended together; all where one of the rates is not known yet."""
        rate = swarm.rate_bytes_per_s
        return left_bytes * rate / (rate + mirrors_rate) if rate and mirrors_rate else left_bytes

    def _spare(self, swarm: SwarmView) -> tuple[int, int]:
        """(how many pieces are not begun, how many ought to be)"""
        if not swarm.rate_bytes_per_s or swarm.silent_s > SILENT_S:
            return 0, 0
        least = max(SPARE_PIECES, math.ceil(swarm.rate_bytes_per_s * SPARE_S / self.piece_bytes))
        return len(self.assigned - swarm.begun.keys()), least

    # -- while there is enough for both

    def _wanted_bytes(self, swarm: SwarmView) -> float:
        if swarm.silent_s > SILENT_S:
            return 1
        if not swarm.rate_bytes_per_s:
            return self._first_pieces() * self.piece_bytes
        return max(swarm.rate_bytes_per_s * LOOK_S, MIN_PIECES * self.piece_bytes)

    def _surplus(self, swarm: SwarmView, surplus: float) -> list[int]:
        """Pieces of which nothing has begun, as many as are too many; those that the mirrors come to first."""
        back: list[int] = []
        for piece in sorted(
            self.assigned - swarm.begun.keys(), key=lambda each: (each - self.first_piece) % self.count
        ):
            start, end = self.bounds(piece)
            if surplus < end - start:
                break
            surplus -= end - start
            back.append(piece)
        return back

    def _first_pieces(self) -> int:
        return max(MIN_PIECES, min(FIRST_BYTES // self.piece_bytes, self.count // 8))

    def _left_bytes(self, piece: int, swarm: SwarmView) -> float:
        start, end = self.bounds(piece)
        return (end - start) * (1 - swarm.begun.get(piece, 0.0))

    def _free(self, swarm: SwarmView, missing: RangeSet) -> Iterator[int]:
        """Pieces that are missing as a whole and that a peer has, those that the mirrors would come to last first."""
        for piece in self._from_the_far_end(missing):
            if self._may_bring(swarm, piece):
                yield piece

    def _unheld(self, leases: list[Held]) -> list[int]:
        """Pieces that are not here, and of which no lease brings a part."""
        if len(self.done) + len(self.assigned) >= self.count:
            return []
        held = RangeSet((lease.position, lease.end) for lease in leases)
        left = (piece for piece in range(self.count) if piece not in self.done and piece not in self.assigned)
        return [piece for piece in left if held.first_gap(*self.bounds(piece)) == self.bounds(piece)]

    def _from_the_far_end(self, missing: RangeSet) -> Iterator[int]:
        spans = list(self._whole_pieces(missing))
        below = [(low, min(high, self.first_piece)) for low, high in spans if low < self.first_piece]
        above = [(max(low, self.first_piece), high) for low, high in spans if high > self.first_piece]
        for low, high in (*reversed(below), *reversed(above)):
            yield from range(high - 1, low - 1, -1)

    def _whole_pieces(self, missing: RangeSet) -> Iterator[tuple[int, int]]:
        for start, end in missing:
            low = -(-start // self.piece_bytes)
            high = self.count if end >= self.size else end // self.piece_bytes
            if low < high:
                yield low, high

    def _take(self, pieces: list[int]) -> Moves:
        self.assigned.update(pieces)
        return Moves(taken=tuple(pieces))

    # -- the end in sight

    def _even_out(self, swarm: SwarmView, theirs: float, leases: list[Held], mirrors_rate: float) -> Moves:
        """All is given out: who would end later hands pieces to the other."""
        left = sum(self._left_bytes(piece, swarm) for piece in self.assigned)
        rate = swarm.rate_bytes_per_s
        swarm_s = left / rate if rate else float("inf")
        mirrors_s = theirs / mirrors_rate if mirrors_rate else float("inf")
        if not left and not theirs:
            return Moves()
        if not theirs and not rate:
            # The mirrors are through, may be before anybody measured them, and the swarm has brought nothing yet.
            return self._give_all_back(swarm)
        if swarm_s > mirrors_s + MIN_GAIN_S and mirrors_rate:
            return self._give_back(swarm, left, theirs, mirrors_rate)
        if rate and mirrors_s > swarm_s + MIN_GAIN_S:
            return self._cut(swarm, leases, swarm_s, mirrors_s)
        return Moves()

    def _give_back(self, swarm: SwarmView, left: float, theirs: float, mirrors_rate: float) -> Moves:
        """Pieces that the swarm has done least of, as far as the mirrors would have them sooner."""
        rate, back = swarm.rate_bytes_per_s, []
        for piece in sorted(self.assigned, key=lambda each: swarm.begun.get(each, -1.0)):
            start, end = self.bounds(piece)
            mine = self._left_bytes(piece, swarm)
            after_s = (theirs + end - start) / mirrors_rate
            if rate and after_s >= left / rate:
                break
            if piece in swarm.begun and after_s + MIN_GAIN_S >= (left / rate if rate else float("inf")):
                break
            back.append(piece)
            theirs, left = theirs + end - start, left - mine
        self.assigned.difference_update(back)
        return Moves(given_back=tuple(back))

    def _give_all_back(self, swarm: SwarmView) -> Moves:
        """Pieces of which nothing has begun."""
        back = self.assigned - swarm.begun.keys()
        self.assigned -= back
        return Moves(given_back=tuple(back))

    def _cut(self, swarm: SwarmView, leases: list[Held], swarm_s: float, mirrors_s: float) -> Moves:
        """Pieces of the leases that would end last, from their ends on, as many as the swarm has sooner.

        Until close to the end no more than what it has ahead anyway: all that it is given it begins, and what is begun
        cannot go back for nothing; lanes take from each other meanwhile.
        What is there already of a piece is fetched twice then, which must be worth it.
        """
        taken: list[int] = []
        rate = sum(lease.rate_bytes_per_s for lease in leases) or 1.0
        open_leases = [lease for lease in leases if lease.end > lease.position]
        while open_leases:
            last = max(open_leases, key=_left_s)
            piece = (last.end - 1) // self.piece_bytes
            start, end = self.bounds(piece)
            parts = [lease for lease in open_leases if lease.position < end and lease.end > start]
            after_s = swarm_s + (end - start) / swarm.rate_bytes_per_s
            is_begun = any(lease.position > start for lease in parts)
            worth_s = MIN_GAIN_S + (after_s if is_begun else 0.0)
            if mirrors_s >= NEAR_S and swarm_s >= LOOK_S + SPARE_S:
                break
            left_s = _left_s(last) if mirrors_s < NEAR_S else min(mirrors_s, _left_s(last))
            if any(lease.end > end for lease in parts) or after_s + worth_s > left_s:
                break
            if not self._may_bring(swarm, piece):
                break
            taken.append(piece)
            swarm_s = after_s
            mirrors_s -= (end - start) / rate
            cut = [replace(lease, end=start) for lease in parts if lease.position < start]
            open_leases = [lease for lease in open_leases if lease not in parts] + cut
        return self._take(taken)

    def _may_bring(self, swarm: SwarmView, piece: int) -> bool:
        return piece < len(swarm.available) and swarm.available[piece] > 0


def _left_s(lease: Held) -> float:
    left = lease.end - lease.position
    return left / lease.rate_bytes_per_s if lease.rate_bytes_per_s else float("inf")
