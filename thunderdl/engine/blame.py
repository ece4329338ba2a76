"""Finding the culprit where only a whole-file checksum is known.

One source's part is fetched again from the others, the source with the least first; when the checksum is right
then, and the new bytes differ from the old, that source served wrong ones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import xxhash

from thunderdl.engine.ledger import Ledger

_READ_BYTES = 1 << 20


class Served(Protocol):
    """A candidate, as far as blame goes."""

    @property
    def id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Suspicion:
    """``digests``: of the extents as the suspect had served them."""

    source: int
    extents: tuple[tuple[int, int], ...]
    digests: tuple[bytes, ...]

    def differs(self, ledger: Ledger) -> bool:
        """Whether what lies there now is something else."""
        return self.digests != tuple(_digest(ledger.part.fd, start, end) for start, end in self.extents)


def whole_file_suspects(ledger: Ledger, before: Sequence[Suspicion], served: Sequence[Served]) -> Suspicion | None:
    """Whose part to fetch again next; None where nobody is left, or nobody else could serve it."""
    suspected = {suspicion.source for suspicion in before}
    parts = {one.id: tuple(ledger.origin.extents_of(one.id)) for one in served if one.id not in suspected}
    parts = {source: extents for source, extents in parts.items() if extents}
    if not parts or len(served) < 2:
        return None
    source = min(parts, key=lambda one: sum(end - start for start, end in parts[one]))
    digests = tuple(_digest(ledger.part.fd, start, end) for start, end in parts[source])
    return Suspicion(source, parts[source], digests)


def _digest(fd: int, start: int, end: int) -> bytes:
    hasher = xxhash.xxh3_64()
    for at in range(start, end, _READ_BYTES):
        hasher.update(os.pread(fd, min(_READ_BYTES, end - at), at))
    return hasher.digest()
