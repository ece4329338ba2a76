"""Whether what an earlier run left may be kept: bytes of two versions are never mixed.

By tiers: a size or strong validators that differ mean another version; where validators prove nothing (a CDN
whose nodes make their own entity tags), bytes that are there are fetched once more and compared.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial

from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.engine.candidates import Candidate, Candidates, from_the_start
from thunderdl.engine.ledger import Identity, Ledger
from thunderdl.engine.opening import OPENING_BYTES, First, Opening, open_source, release
from thunderdl.engine.overlap import Ask, same_bytes
from thunderdl.engine.session import Session
from thunderdl.errors import BadResponse, ContentChanged, LinkExpired, shown_url
from thunderdl.options import Options


def version_of(opening: Opening) -> Version:
    """The version that an answer speaks of. Raises BadResponse for a length that is none.

    A coded range is a range of nobody knows what (RFC 9110 section 14.4): its total is no size of the file.
    """
    if opening.head.coded:
        return Version(validators=opening.head.validators)
    try:
        return Version(size=opening.head.total_bytes, validators=opening.head.validators)
    except ValueError as error:
        raise BadResponse(opening.url, str(error)) from None


def first_range(ledger: Ledger | None, candidate: Candidate) -> First:
    """What a first request asks for: something missing, each source at another place; If-Range from the origin."""
    resumed = ledger.resumed if ledger else None
    if resumed is None or resumed.header.size is None:
        return from_the_start(candidate)
    gaps = list(resumed.written.gaps(0, resumed.header.size))
    if not gaps:
        return from_the_start(candidate)
    start, end = gaps[(candidate.id - 1) % len(gaps)]
    tag = resumed.version.validators.strong_etag if candidate.id == 1 and start else None
    return First(start, min(end - start, OPENING_BYTES), tag)


class Resumption:
    """Settles, after the first answer, what of the ledger counts, and sets it going. ``anew``: the one to begin anew
    with, told why; ``is_ours``: whether the part of a path was begun by this download."""

    def __init__(
        self, session: Session, options: Options, ledger: Ledger, notes: list[str],
        anew: Callable[[Ledger, str], Awaitable[Ledger]], is_ours: Callable[[str], bool],
    ) -> None:  # fmt: skip
        self._session, self._options, self.ledger, self._notes = session, options, ledger, notes
        self._anew, self._is_ours = anew, is_ours

    async def settle(self, candidates: Candidates, first: Candidate, opening: Opening) -> tuple[Opening, Version]:
        """Go on from the journal where it speaks of this version, else begin anew and say why.

        The opening to go on with (another one where the first asked for the wrong place), and its version.
        """
        version, resumed, reason = version_of(opening), self.ledger.resumed, ""
        if resumed is not None and resumed.written.total:
            reason = await self._why_not(resumed.version, version, opening, partial(candidates.ask, first))
            if not reason:
                version = Version(size=resumed.header.size, validators=version.validators)
                self.ledger.go_on(version)
                return await self._at_a_gap(first, opening, version), version
            if first.fresh_url is not None:
                # Somebody said that this is the same file: nothing is thrown away for a mistake of theirs.
                told = f"behind the new link is another file ({version}, not {resumed.version})"
                raise LinkExpired(first.url, told, "what is there was kept")
            self.ledger = await self._anew(self.ledger, reason)
        if opening.head.status == 416 or (opening.head.status == 206 and opening.transfer.start):
            opening = await self._reopen(first, opening, 0)
            version = version_of(opening)
        identity = Identity(
            url=candidates.origin.url,
            mirrors=tuple(c.url for c in candidates.all if c is not candidates.origin and not c.is_foreign),
            name=os.path.basename(self.ledger.part.target),
            version=version,
        )
        await self._session.to_its_end(self.ledger.begin, identity)
        return opening, version

    async def _why_not(self, before: Version, now: Version, opening: Opening, ask: Ask) -> str:
        """Empty where what is there may be kept."""
        if opening.head.status == 416:
            return f"the server has another size now ({now.size} bytes, it was {before.size})"
        verdict = compare(before, now)
        if verdict is Verdict.DIFFERENT:
            return str(ContentChanged(opening.url, str(before), str(now))).rstrip(".")
        # An entity tag tells versions of one URL apart (RFC 9110 section 8.8.3): nginx makes it of time and size.
        if verdict is Verdict.UNPROVEN or not self._is_ours(self.ledger.part.target):
            if opening.head.status == 200 and opening.head.get("accept-ranges") != "bytes":
                return "the server sends no ranges, and nothing proves that the file is the same"
            if not await same_bytes(self._session, ask, self.ledger):
                return f"{shown_url(opening.url)} now serves other bytes"
        return ""

    async def _at_a_gap(self, first: Candidate, opening: Opening, version: Version) -> Opening:
        """If-Range was answered with the whole file although it is the same (a CDN's node): ask without it."""
        if opening.head.status != 200 or opening.head.get("accept-ranges") == "none":
            return opening
        gap = self.ledger.written.first_gap(0, version.size or 0)
        return await self._reopen(first, opening, gap[0]) if gap and gap[0] else opening

    async def _reopen(self, first: Candidate, opening: Opening, start: int) -> Opening:
        release(self._session, opening)
        first.opening = None
        meter = opening.transfer.meter
        first.opening = await open_source(
            self._session, first.where, first.options, First(start), meter, first.told_by
        )  # fmt: skip
        return first.opening
