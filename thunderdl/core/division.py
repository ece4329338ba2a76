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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from thunderdl.core.ranges import RangeSet

# What the swarm has ahead: enough for its peers' queues, little enough to be given back at the end.
LOOK_S = 0.6
MIN_PIECES = 2
# With less than this share of it left it is given more at once: a quick swarm is through between two looks.
SHORT = 0.75
# A swarm that has shown no rate yet.
FIRST_BYTES = 4 * 1024 * 1024
# A move at the end is worth it from so much on.
MIN_GAIN_S = 0.25
# A swarm that brings nothing for so long is given no more than one piece to show that it lives.
SILENT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmView:
    """The swarm at one moment. ``rate_bytes_per_s``: lately; ``available``: for each piece how many peers have it,
    at most 255; ``begun``: pieces of which blocks came or were asked for, with the share that is here;
    ``silent_s``: since it last brought anything."""

    rate_bytes_per_s: float
    available: bytes
    begun: Mapping[int, float] = field(default_factory=dict)
    silent_s: float = 0.0


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
        self.assigned: set[int] = set()
        # What they last brought together: idle ones have no rate, and could work.
        self._mirrors_rate = 0.0

    def bounds(self, piece: int) -> tuple[int, int]:
        """The bytes ``[start, end)`` of a piece."""
        return piece * self.piece_bytes, min((piece + 1) * self.piece_bytes, self.size)

    def begin(self, missing: RangeSet, *, mirrors: bool) -> Moves:
        """What the swarm has at first, before it is known who is there: with nothing to fetch it would call nobody."""
        pieces = list(self._from_the_far_end(missing))
        return self._take(pieces[: self._first_pieces()] if mirrors else pieces)

    def is_short(self, swarm: SwarmView) -> bool:
        """Whether the swarm is soon through with what it has: to look again is worth it now."""
        have = sum(self._left_bytes(piece, swarm) for piece in self.assigned)
        return have < self._wanted_bytes(swarm) * SHORT

    def brought(self, piece: int) -> None:
        """The piece is here, whoever brought it."""
        self.done.add(piece)
        self.assigned.discard(piece)

    def lost(self, piece: int) -> None:
        """The piece is not here after all; it belongs to the mirrors again."""
        self.done.discard(piece)

    def look(
        self, swarm: SwarmView, missing: RangeSet, held: Iterable[Held], mirrors_rate: float, *, mirrors: bool
    ) -> Moves:  # fmt: skip
        """What is to change now. ``missing``: what nobody holds; ``mirrors_rate``: bytes/s that all lanes bring;
        ``mirrors``: whether there is one that works, or may turn out to."""
        leases = list(held)
        if not mirrors:
            # Nobody else is there: all that the swarm can bring is its own.
            return self._take(list(self._from_the_far_end(missing)))
        self._mirrors_rate = mirrors_rate = mirrors_rate or self._mirrors_rate
        wanted = self._wanted_bytes(swarm)
        have = sum(self._left_bytes(piece, swarm) for piece in self.assigned)
        if have > 2 * wanted and (back := self._surplus(swarm, have - wanted)):
            self.assigned.difference_update(back)
            return Moves(given_back=tuple(back))
        taken: list[int] = []
        for piece in self._free(swarm, missing):
            if have >= wanted:
                break
            taken.append(piece)
            have += self._left_bytes(piece, swarm)
        left = next(self._from_the_far_end(missing), None)
        if left is None:
            return self._even_out(swarm, missing, leases, mirrors_rate)
        if not taken and not self.assigned:
            # Nobody has any of them yet: who comes is to find something that we want.
            taken.append(left)
        return self._take(taken)

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
            if piece < len(swarm.available) and swarm.available[piece]:
                yield piece

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

    def _even_out(
        self, swarm: SwarmView, missing: RangeSet, leases: list[Held], mirrors_rate: float
    ) -> Moves:  # fmt: skip
        """All is given out: who would end later hands pieces to the other."""
        left = sum(self._left_bytes(piece, swarm) for piece in self.assigned)
        theirs = missing.total + sum(lease.end - lease.position for lease in leases)
        rate = swarm.rate_bytes_per_s
        swarm_s = left / rate if rate else float("inf")
        mirrors_s = theirs / mirrors_rate if mirrors_rate else float("inf")
        if not left and not theirs:
            return Moves()
        if not theirs and not rate and not mirrors_rate and swarm.silent_s > SILENT_S:
            # The mirrors were through before anybody measured them, the swarm has brought nothing.
            return self._give_all_back(swarm)
        if swarm_s > mirrors_s + MIN_GAIN_S and mirrors_rate:
            return self._give_back(swarm, left, theirs, mirrors_rate)
        if rate and mirrors_s > swarm_s + MIN_GAIN_S:
            return self._cut(swarm, leases, swarm_s)
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

    def _cut(self, swarm: SwarmView, leases: list[Held], swarm_s: float) -> Moves:
        """The last pieces of the lease that would end last, as many as the swarm has sooner."""
        rate, taken = swarm.rate_bytes_per_s, []
        for lease in sorted(leases, key=_left_s, reverse=True):
            speed = lease.rate_bytes_per_s
            end = lease.end
            while True:
                piece = (end - 1) // self.piece_bytes
                start, last = self.bounds(piece)
                if (
                    start <= lease.position
                    or last > end
                    or not (piece < len(swarm.available) and swarm.available[piece])
                ):
                    break
                after_s = swarm_s + (last - start) / rate
                if speed and after_s + MIN_GAIN_S > (end - lease.position) / speed:
                    break
                taken.append(piece)
                swarm_s, end = after_s, start
            if taken:
                return self._take(taken)
        return Moves()


def _left_s(lease: Held) -> float:
    left = lease.end - lease.position
    return left / lease.rate_bytes_per_s if lease.rate_bytes_per_s else float("inf")
