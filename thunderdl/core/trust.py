"""Whether two answers speak of the same bytes, and who is to blame when they do not. Pure.

Tiers, strongest first (RFC 9110 section 8.8): a size that differs proves another version; equal strong entity
tags prove the same one. Tags that differ prove little: CDN nodes often make their own for one file, so equal
Last-Modified and equal size leave the question open, to be settled by comparing bytes.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from dataclasses import dataclass, field

from thunderdl.model import Validators


class Verdict(enum.Enum):
    SAME = "same"
    UNPROVEN = "unproven"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What is known of one version: ``size`` in bytes or None, and validators as sent."""

    size: int | None = None
    validators: Validators = field(default_factory=Validators)

    def __str__(self) -> str:
        facts = [f"{self.size} bytes"] if self.size is not None else []
        if self.validators.etag:
            facts.append(f"ETag {self.validators.etag}")
        if self.validators.last_modified:
            facts.append(f"of {self.validators.last_modified}")
        return ", ".join(facts) or "unknown"


def compare(known: Version, seen: Version) -> Verdict:
    """Whether ``seen`` is the version ``known``, for two answers of one URL."""
    if known.size is not None and seen.size is not None and known.size != seen.size:
        return Verdict.DIFFERENT
    tags = known.validators.strong_etag, seen.validators.strong_etag
    dates = known.validators.last_modified, seen.validators.last_modified
    same_size = known.size is not None and known.size == seen.size
    if tags[0] and tags[0] == tags[1]:
        return Verdict.SAME
    if None not in tags:
        return Verdict.UNPROVEN if same_size and dates[0] and dates[0] == dates[1] else Verdict.DIFFERENT
    if None not in dates:
        if dates[0] != dates[1] or not same_size:
            return Verdict.DIFFERENT
        # Weak tags that differ: Apache's, for a file written twice within the second that the date can show.
        return Verdict.SAME if known.validators.etag == seen.validators.etag else Verdict.UNPROVEN
    return Verdict.UNPROVEN


class Provenance:
    """Who brought which bytes: sorted, disjoint extents, the last writer wins."""

    __slots__ = ("_ends", "_sources", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._sources: list[int] = []

    def add(self, start: int, end: int, source: int) -> None:
        """``[start, end)`` came from ``source``."""
        if start >= end:
            return
        at = bisect_right(self._starts, start) - 1
        # The usual case: a lane goes on where it was.
        free_behind = at + 1 == len(self._starts) or self._starts[at + 1] >= end
        if at >= 0 and self._ends[at] == start and self._sources[at] == source and free_behind:
            self._ends[at] = end
            return
        self.remove(start, end)
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._ends.insert(at, end)
        self._sources.insert(at, source)

    def remove(self, start: int, end: int) -> None:
        """Forget who brought ``[start, end)``."""
        kept = [(a, b, s) for a, b, s in self.within(start, end, clip=False)]
        if not kept:
            return
        first = bisect_right(self._starts, kept[0][0]) - 1
        last = first + len(kept)
        pieces = [(a, min(b, start), s) for a, b, s in kept if a < start]
        pieces += [(max(a, end), b, s) for a, b, s in kept if b > end]
        self._starts[first:last] = [a for a, _, _ in pieces]
        self._ends[first:last] = [b for _, b, _ in pieces]
        self._sources[first:last] = [s for _, _, s in pieces]

    def within(self, start: int, end: int, *, clip: bool = True) -> list[tuple[int, int, int]]:
        """The extents (start, end, source) that touch ``[start, end)``, cut to it unless ``clip`` is False."""
        found = []
        at = max(0, bisect_right(self._starts, start) - 1)
        while at < len(self._starts) and self._starts[at] < end:
            a, b = self._starts[at], self._ends[at]
            if b > start:
                found.append((max(a, start), min(b, end), self._sources[at]) if clip else (a, b, self._sources[at]))
            at += 1
        return found

    def sources_of(self, start: int, end: int) -> frozenset[int]:
        return frozenset(source for _, _, source in self.within(start, end))

    def most_of(self, start: int, end: int, *, looks: int = 32) -> int | None:
        """Who brought most of ``[start, end)``, by the first ``looks`` extents that lie there; None for nobody."""
        brought = dict[int, int]()
        first = max(0, bisect_right(self._starts, start) - 1)
        for at in range(first, min(first + looks, len(self._starts))):
            if self._starts[at] >= end:
                break
            if (here := min(self._ends[at], end) - max(self._starts[at], start)) > 0:
                brought[self._sources[at]] = brought.get(self._sources[at], 0) + here
        return max(brought, key=brought.__getitem__, default=None)

    def extents_of(self, source: int) -> list[tuple[int, int]]:
        """All that ``source`` brought."""
        return [(a, b) for a, b, s in zip(self._starts, self._ends, self._sources, strict=True) if s == source]
