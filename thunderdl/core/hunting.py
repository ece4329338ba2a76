"""Who lies, where only the checksum of the whole shows that somebody does: mirrors are compared with each other. Pure.

A place that one source brought is asked of another. Where the two agree both are believed there; where they do not,
further ones are asked until three agree, or nobody is left; then the many are believed against the few. Liars of one
mind may win such a vote: whoever loses one is only suspected, what it brought is fetched again from the others, and the
checksum of the whole has the last word. First a few places of each source (:func:`samples`), which shows a mirror of
another version; where that tells nothing all of it (:func:`everything`), which costs the file once more and finds one
flipped bit. Where all agree even then two of one mind may have been asked about each other (a mirror is a copy of
another mirror): a third one is (:meth:`Hunt.ask_further`), which costs the file once more again.

Invariants:
1. A place is asked of one source at a time, of no source twice, and of no more than MOST_VOTES in all.
2. Who loses a vote is suspected; who is suspected is asked no more.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# So many places of each source at first, of so many bytes each: 2 % of 100 MB from 16 mirrors, and no mirror waits for
# more than a moment.
PLACES_EACH, PLACE_BYTES = 2, 64 * 1024
# An answer is held in memory until it is compared.
CHUNK_BYTES = 256 * 1024
MOST_VOTES = 5
# So many decide against others: two who lie alike do not, where three who are right can be asked.
MAJORITY = 3
# With fewer there are no many and few.
LEAST_SOURCES = 3

Extents = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """``[start, end)``, which ``owner`` brought."""

    start: int
    end: int
    owner: int


@dataclass(slots=True)
class _Vote:
    """``said``: the digest of the place by source, None where a source could not tell."""

    place: Place
    said: dict[int, bytes | None]

    def winner(self, least: int) -> bytes | None:
        """What at least so many say and nobody denies, or MAJORITY where somebody does."""
        counted = self._counted()
        needed = least if len(counted) == 1 else MAJORITY
        return counted[0][0] if counted and counted[0][1] >= needed else None

    def leader(self) -> bytes | None:
        """What more say than say something else, at least two; None where nobody does."""
        counted = self._counted()
        return counted[0][0] if len(counted) == 2 and counted[0][1] > max(1, counted[1][1]) else None

    def _counted(self) -> list[tuple[bytes, int]]:
        return Counter(digest for digest in self.said.values() if digest is not None).most_common(2)


@dataclass(frozen=True, slots=True)
class Lost:
    """``source`` says that the place has this ``digest``; more say that it has another."""

    source: int
    place: Place
    digest: bytes


class Hunt:
    """``places``: each with its digest as it is on the disk, which is what its owner says."""

    def __init__(self, places: Iterable[tuple[Place, bytes]]) -> None:
        self._votes = {place: _Vote(place, {place.owner: digest}) for place, digest in places}
        # Those to ask somebody about now; of a file of 100 GB there are 400,000, and a plain dict walks over all that
        # were taken from its front: 4.8 s for 80,000.
        self._open = OrderedDict(self._votes)
        # Kept as it goes: to look through them all holds the loop up for a second.
        self._undecided = dict(self._votes)
        self._is_any_wrong = False
        self._asked = 0
        self._least = 2
        self.suspects: set[int] = set()
        self.lost: list[Lost] = []

    def next_for(self, source: int) -> Place | None:
        """A place to ask this source for, None where there is none now: others may still be asked. It is to be
        answered."""
        if source in self.suspects:
            return None
        for place, vote in self._open.items():
            if source not in vote.said:
                del self._open[place]
                self._asked += 1
                return place
        return None

    def answer(self, source: int, place: Place, digest: bytes | None) -> None:
        """What ``source`` says, None where it does not answer."""
        vote = self._votes[place]
        vote.said[source] = digest
        self._asked -= 1
        if (winner := vote.winner(self._least)) is not None:
            self._decide(vote, winner)
        elif len(vote.said) < MOST_VOTES:
            self._open[place] = vote

    def _decide(self, vote: _Vote, winner: bytes) -> None:
        lost = [Lost(each, vote.place, said) for each, said in vote.said.items() if said is not None and said != winner]
        self.lost += lost
        self.suspects.update(each.source for each in lost)
        self._undecided.pop(vote.place, None)
        self._is_any_wrong |= vote.said[vote.place.owner] != winner

    def end(self) -> None:
        """Nobody is left to ask: where they do not agree, what more of them say than anything else has won."""
        for vote in list(self._undecided.values()):
            if (leader := vote.leader()) is not None:
                self._decide(vote, leader)

    def ask_further(self) -> None:
        """From now on it takes three of one mind, at every place."""
        self._least = MAJORITY
        self._open = OrderedDict((place, vote) for place, vote in self._votes.items() if len(vote.said) < MOST_VOTES)
        self._undecided = dict(self._votes)

    @property
    def is_asking(self) -> bool:
        """Whether somebody is asked at this moment: what it says may bring more questions."""
        return self._asked > 0

    @property
    def all_agree(self) -> bool:
        """Whether every place was found to be as its owner brought it."""
        return not self._undecided and not self._is_any_wrong


def samples(parts: Mapping[int, Extents]) -> list[Place]:
    """A few places of what each source brought, evenly over its part. ``parts``: its extents, by source."""
    return [
        place
        for source, extents in parts.items()
        for place in dict.fromkeys(_at(source, extents, (2 * at + 1) / (2 * PLACES_EACH)) for at in range(PLACES_EACH))
    ]  # fmt: skip


def _at(source: int, extents: Extents, share: float) -> Place:
    offset = int(sum(end - start for start, end in extents) * share)
    for start, end in extents:
        if offset < end - start:
            begin = max(start, min(start + offset, end - PLACE_BYTES))
            return Place(begin, min(begin + PLACE_BYTES, end), source)
        offset -= end - start
    start, end = extents[-1]
    return Place(max(start, end - PLACE_BYTES), end, source)


def everything(parts: Mapping[int, Extents]) -> list[Place]:
    """All that the sources brought."""
    owned = sorted((start, end, source) for source, extents in parts.items() for start, end in extents)
    return [
        Place(at, min(at + CHUNK_BYTES, end), source)
        for start, end, source in owned for at in range(start, end, CHUNK_BYTES)
    ]  # fmt: skip
