"""Wrong bytes: who served them, what is fetched again, and where.

Where pieces have hashes, a bad piece names its source. Where only a whole-file checksum is known, sources are compared
with each other (:mod:`thunderdl.core.hunting`), and what the suspects brought is fetched again from the rest; of two
sources one's part is fetched again from the other, the source with the least first. When the checksum is right then,
and the new bytes differ from the old, a suspect served wrong ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thunderdl.core.hunting import LEAST_SOURCES, Extents, Hunt, Place, everything, samples
from thunderdl.core.protocol import Blamed, Cleared, Event, PieceBad, Suspected
from thunderdl.engine.candidates import Candidate, Candidates
from thunderdl.engine.comparing import compare
from thunderdl.engine.ledger import Ledger
from thunderdl.engine.opening import First, Opening
from thunderdl.engine.session import Session
from thunderdl.errors import BadContent, shown_url
from thunderdl.formats.fast_digest import fast_hasher

_READ_BYTES = 1 << 20

# Which places are to be compared, of what each source brought.
Search = Callable[[Mapping[int, Extents]], list[Place]]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """``digests``: of the extents as the suspect had served them; ``places``: what it was asked for to compare, and
    ``said``: their digests as it served them."""

    source: int
    extents: tuple[tuple[int, int], ...]
    digests: tuple[bytes, ...]
    places: tuple[tuple[int, int], ...] = ()
    said: tuple[bytes, ...] = ()


class Blame:
    """Of one download. ``tell``: takes events for the scheduler; ``notes``: what the user is told."""

    def __init__(
        self, session: Session, ledger: Ledger, candidates: Candidates, notes: list[str],
        tell: Callable[[Event], None],
    ) -> None:  # fmt: skip
        self._session, self._ledger, self._candidates = session, ledger, candidates
        self._notes, self._tell = notes, tell
        self._suspicions: list[Suspicion] = []
        # Each once, the cheap one first.
        self._searches: list[Search] = [samples, everything]

    def bad_piece(self, start: int, end: int) -> None:
        """A piece does not match its hash: fetch it again, elsewhere where there is an elsewhere."""
        suspects = self._ledger.origin.sources_of(start, end)
        served = [c.url for c in self._candidates.all if c.id in suspects]
        names = ", ".join(map(shown_url, served)) or "an earlier run"
        self._notes.append(f"bytes {start}-{end - 1} from {names} did not match their hash; fetched again")
        self._candidates.attempts.append(
            BadContent(f"bytes {start}-{end - 1}", "the given hash", "another", tuple(served))
        )
        self.void(start, end)
        # Several had a part in it: nobody is blamed for what another may have done.
        culprits = suspects if len(suspects) == 1 else frozenset[int]()
        self._tell(PieceBad(start, end, suspects, culprits))

    def distrust(self, source: int) -> None:
        """What it brought is fetched again, but for what was compared with a hash, or is just being."""
        for start, end in self._ledger.unproven_of(source):
            self.void(start, end)
            self._tell(PieceBad(start, end, frozenset({source}), frozenset()))

    async def hunt(self, error: BadContent) -> bool:
        """The whole is wrong and no piece says where: what those brought is fetched again from others who are found to
        say something else than most. Where that shows nobody, the part of one after the other.

        False where nobody is left to suspect, or nobody else could serve it.
        """
        self._candidates.attempts.append(error)
        served = [c for c in self._candidates.all if c.source and self._candidates.is_used(c.id)]
        while len(served) >= LEAST_SOURCES and self._searches:
            hunt = await self._begin_hunt(served, self._searches.pop(0))
            await self._compare(hunt, served)
            if not self._searches and hunt.all_agree and not hunt.suspects:
                hunt.ask_further()
                await self._compare(hunt, served)
            if suspicions := self._suspicions_of(hunt):
                self._fetch_elsewhere(suspicions)
                return True
            if not self._searches and hunt.all_agree:
                # All of it is as two others have it, too: it is the checksum that nobody's file has.
                return False
        suspicion = self._next_suspicion(served)
        if suspicion is None:
            return False
        name = shown_url(self._candidates.by_id(suspicion.source).url)
        self._notes.append(f"the checksum was wrong; the part from {name} was fetched again elsewhere to compare")
        if self._suspicions:
            # What was fetched instead of the last suspect's part was no better: it was somebody else.
            self._tell(Cleared(self._suspicions[-1].source))
        self._suspicions.append(suspicion)
        self._fetch_again(suspicion)
        return True

    async def _begin_hunt(self, served: list[Candidate], search: Search) -> Hunt:
        """Over the places that ``search`` names of what those brought."""
        ledger = self._ledger
        places = search({c.id: extents for c in served if (extents := ledger.origin.extents_of(c.id))})

        def read() -> list[tuple[Place, bytes]]:
            return [(place, _digest(ledger.part.fd, place.start, place.end)) for place in places]

        self._notes.append(f"the checksum was wrong; {len(served)} sources were compared at {len(places)} places")
        return Hunt(await self._session.on_disk(read))

    async def _compare(self, hunt: Hunt, served: list[Candidate]) -> None:
        sent = await compare(self._session, hunt, [c.id for c in served], self._ask)
        hunt.end()
        for source_id, count in sent.items():
            if source := self._candidates.source_of(source_id):
                source.wasted_bytes += count

    async def _ask(self, source: int, first: First) -> Opening:
        return await self._candidates.ask(self._candidates.by_id(source), first)

    def _suspicions_of(self, hunt: Hunt) -> list[Suspicion]:
        """Of each that lost a vote all that it brought, and what it said."""
        found: list[Suspicion] = []
        for source in sorted(hunt.suspects):
            part = tuple(self._ledger.origin.extents_of(source))
            said = [(each.place, each.digest) for each in hunt.lost if each.source == source]
            digests = tuple(_digest(self._ledger.part.fd, start, end) for start, end in part)
            places = tuple((place.start, place.end) for place, _ in said)
            found.append(Suspicion(source, part, digests, places, tuple(digest for _, digest in said)))
        return found

    def _fetch_elsewhere(self, suspicions: list[Suspicion]) -> None:
        self._suspicions += suspicions
        for suspicion in suspicions:
            self._tell(Suspected(suspicion.source))
        for suspicion in suspicions:
            self._fetch_again(suspicion)

    def _fetch_again(self, suspicion: Suspicion) -> None:
        for start, end in suspicion.extents:
            self.void(start, end)
        for start, end in suspicion.extents:
            self._tell(PieceBad(start, end, frozenset({suspicion.source}), frozenset()))

    def settle(self) -> None:
        """The whole is right now: name those who had served something else."""
        for each in self._suspicions:
            fd = self._ledger.part.fd
            now = tuple(_digest(fd, start, end) for start, end in (*each.extents, *each.places))
            if now != (*each.digests, *each.said):
                name = shown_url(self._candidates.by_id(each.source).url)
                self._notes.append(f"{name} served wrong bytes; the file is right now")
                self._tell(Blamed(each.source))

    def _next_suspicion(self, served: list[Candidate]) -> Suspicion | None:
        suspected = {suspicion.source for suspicion in self._suspicions}
        parts = {c.id: tuple(self._ledger.origin.extents_of(c.id)) for c in served if c.id not in suspected}
        parts = {source: extents for source, extents in parts.items() if extents}
        if not parts or len(served) < 2:
            return None
        source = min(parts, key=lambda one: sum(end - start for start, end in parts[one]))
        digests = tuple(_digest(self._ledger.part.fd, start, end) for start, end in parts[source])
        return Suspicion(source, parts[source], digests)

    def void(self, start: int, end: int) -> None:
        """``[start, end)`` counts no more, and was fetched for nothing."""
        for first, last, source_id in self._ledger.origin.within(start, end):
            if source := self._candidates.source_of(source_id):
                source.wasted_bytes += last - first
                source.bytes -= last - first
        self._ledger.origin.remove(start, end)
        self._ledger.drop(start, end)


def _digest(fd: int, start: int, end: int) -> bytes:
    hasher = fast_hasher()
    for at in range(start, end, _READ_BYTES):
        hasher.update(os.pread(fd, min(_READ_BYTES, end - at), at))
    return hasher.digest()
