"""Wrong bytes: who served them, what is fetched again, and where.

Where pieces have hashes, a bad piece names its source. Where only a whole-file checksum is known, one source's
part is fetched again from the others, the source with the least first; when the checksum is right then, and the
new bytes differ from the old, that source served wrong ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from thunderdl.core.protocol import Blamed, Cleared, Event, PieceBad
from thunderdl.engine.candidates import Candidate, Candidates
from thunderdl.engine.ledger import Ledger
from thunderdl.errors import BadContent, shown_url
from thunderdl.formats.fast_digest import fast_hasher

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Suspicion:
    """``digests``: of the extents as the suspect had served them."""

    source: int
    extents: tuple[tuple[int, int], ...]
    digests: tuple[bytes, ...]


class Blame:
    """Of one download. ``tell``: takes events for the scheduler; ``notes``: what the user is told."""

    def __init__(
        self, ledger: Ledger, candidates: Candidates, notes: list[str], tell: Callable[[Event], None]
    ) -> None:  # fmt: skip
        self._ledger, self._candidates, self._notes, self._tell = ledger, candidates, notes, tell
        self._suspicions: list[Suspicion] = []

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

    def hunt(self, error: BadContent) -> bool:
        """The whole is wrong and no piece says where: fetch one source's part again from others.

        False where nobody is left to suspect, or nobody else could serve it.
        """
        self._candidates.attempts.append(error)
        suspicion = self._next_suspicion([c for c in self._candidates.all if c.source])
        if suspicion is None:
            return False
        name = shown_url(self._candidates.by_id(suspicion.source).url)
        self._notes.append(f"the checksum was wrong; the part from {name} was fetched again elsewhere to compare")
        for start, end in suspicion.extents:
            self.void(start, end)
        if self._suspicions:
            # What was fetched instead of the last suspect's part was no better: it was somebody else.
            self._tell(Cleared(self._suspicions[-1].source))
        self._suspicions.append(suspicion)
        for start, end in suspicion.extents:
            self._tell(PieceBad(start, end, frozenset({suspicion.source}), frozenset()))
        return True

    def settle(self) -> None:
        """The whole is right now: name the last suspect, where what it served was something else."""
        if not self._suspicions:
            return
        last = self._suspicions[-1]
        if last.digests != tuple(_digest(self._ledger.part.fd, start, end) for start, end in last.extents):
            name = shown_url(self._candidates.by_id(last.source).url)
            self._notes.append(f"{name} served wrong bytes; the file is right now")
            self._tell(Blamed(last.source))

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
