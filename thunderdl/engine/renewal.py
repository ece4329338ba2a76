"""A source whose link has run out, or whose login has: one of its lanes asks for another request, all go on with it.

Three ways, the cheapest first: the server's own question is answered (a nonce that is stale); the URL that the user
gave is asked once more, where it redirects to a link that is signed for a while; somebody is asked for a new URL.

Invariants:
1. Once for all lanes: whoever comes while it is asked waits for the same answer.
2. No byte of a new link is taken before its file was found to be the same: by size and validators, else by comparing
   bytes that are there.
3. It ends: after :data:`MAX_REFRESHES` times in a row that brought no byte there is no further one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from thunderdl.core.trust import Verdict, Version, compare
from thunderdl.engine.access import Hop, options_for_fresh
from thunderdl.engine.candidates import Candidate
from thunderdl.engine.opening import First, Opening, OpenSource, open_source, origin_of, release
from thunderdl.engine.refreshing import EXPIRED, MAX_REFRESHES, RefreshFailed, can_refresh, expired, new_url
from thunderdl.engine.session import Session
from thunderdl.errors import AccessDenied, LinkExpired, PassingFault, SourceError, ThunderdlError, clause, shown_url
from thunderdl.formats.expiry import stated_expiry
from thunderdl.model import ExpiredLink
from thunderdl.options import Options
from thunderdl.sources.http.bucket import Meter
from thunderdl.sources.http.wire import Request as WebRequest
from thunderdl.sources.http.wire import parse_url

if TYPE_CHECKING:
    from thunderdl.sources.base import Request
from thunderdl.storage.paths import name_from_url

# So long before its stated end a link is renewed.
AHEAD_S = 30.0
_ONE_BYTE = First(0, 1, is_urgent=True)


class Renewal:
    """``agrees``: whether the bytes of a URL are those that are there, asked where validators prove nothing;
    ``on_renewed``: told once the candidate has another link for good."""

    def __init__(
        self, session: Session, candidate: Candidate, source: OpenSource, meter: Meter,
        agrees: Callable[[str, Options], Awaitable[bool]], notes: list[str],
        on_renewed: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:  # fmt: skip
        self._session, self._candidate, self._source = session, candidate, source
        self._meter, self._agrees, self._notes, self._on_renewed = meter, agrees, notes, on_renewed
        self._task: asyncio.Task[None] | None = None
        self._in_vain = 0
        self._bytes_before = -1
        self._looked_at: Request | None = None
        self._ends: float | None = None
        self._asked_ahead_for: float | None = None

    def may_help(self, error: ThunderdlError) -> bool:
        """Whether another request may bring what ``error`` denied to this one."""
        if not isinstance(error, SourceError) or error.status not in EXPIRED or isinstance(error, LinkExpired):
            return False
        return self._answerable(error) or self._is_redirected or can_refresh(self._candidate.options)

    async def renew(self, refused: Request, error: ThunderdlError) -> None:
        """Return once the source has another request than ``refused``. Raises LinkExpired where there is none, and
        what went wrong where that may pass."""
        if self._source.request is refused:
            await asyncio.shield(self._begun(error))

    def look_ahead(self, clock: Callable[[], float]) -> None:
        """Renew a link that says that it ends soon. ``clock``: seconds since 1970."""
        if self._looked_at is not self._source.request:
            self._looked_at = self._source.request
            self._ends = stated_expiry(self._looked_at.address.url)
        if self._ends is None or self._ends == self._asked_ahead_for or self._ends - clock() > AHEAD_S:
            return
        if self._is_redirected or can_refresh(self._candidate.options):
            # Once for each end: a clock that is wrong, here or there, must not make us ask for ever.
            self._asked_ahead_for = self._ends
            # One that fails is no failure yet: the link may hold for longer than it says.
            self._begun(None).add_done_callback(lambda task: task.cancelled() or task.exception())

    def close(self) -> None:
        """Ask nobody any more."""
        if self._task is not None:
            self._task.cancel()

    @property
    def _is_redirected(self) -> bool:
        return self._source.request.address.url != parse_url(self._candidate.where).url

    def _begun(self, error: ThunderdlError | None) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = self._session.loop.create_task(self._once(error))
        return self._task

    def _answerable(self, error: SourceError) -> bool:
        request = self._source.request
        is_signed = isinstance(request, WebRequest) and request.sign is not None
        return isinstance(error, AccessDenied) and is_signed and bool(error.challenges)

    async def _once(self, error: ThunderdlError | None) -> None:
        if self._source.bytes > self._bytes_before:
            self._in_vain = 0
        self._bytes_before, self._in_vain = self._source.bytes, self._in_vain + 1
        why = clause(error) if error is not None else "it says that it ends now"
        if self._in_vain > MAX_REFRESHES:
            raise expired(self._candidate.url, f"{why}; renewed {MAX_REFRESHES} times in vain")
        if isinstance(error, SourceError) and self._answerable(error) and self._answer(error):
            return
        if self._is_redirected:
            try:
                await self._reopen(self._candidate.where, self._candidate.options)
            except (PassingFault, LinkExpired):
                raise
            except ThunderdlError as failed:
                why = clause(failed)
            else:
                return
        if not can_refresh(self._candidate.options):
            raise expired(self._candidate.url, why)
        await self._refresh(why)

    def _answer(self, error: SourceError) -> bool:
        """A nonce that is stale: the login knows the next one then, and so does the request that it signs."""
        assert isinstance(error, AccessDenied)
        assert isinstance(self._source.request, WebRequest)
        request, candidate, access = self._source.request, self._candidate, self._session.access
        hop = Hop(request.address, origin_of(candidate.where) or "")
        if not access.answers(hop, error.challenges, candidate.options, request):
            return False
        self._source.request = access.request(hop, candidate.options)
        return True

    async def _refresh(self, why: str) -> None:
        candidate, size = self._candidate, self._source.version.size
        link = ExpiredLink(url=candidate.url, name=name_from_url(candidate.url), size_bytes=size, why=why)
        try:
            found = await new_url(candidate.options, link)
        except RefreshFailed as failed:
            raise expired(candidate.url, f"{why}; {failed}") from None
        same = origin_of(found) == origin_of(candidate.where)
        try:
            await self._reopen(found, options_for_fresh(candidate.options, same_origin=same))
        except (PassingFault, LinkExpired):
            raise
        except ThunderdlError as failed:
            raise expired(candidate.url, f"{why}; the new link failed: {clause(failed)}") from None
        candidate.go_to(found)
        self._on_renewed(candidate)

    async def _reopen(self, url: str, options: Options) -> None:
        try:
            told_by = self._candidate.told_by
            opening = await open_source(self._session, url, options, _ONE_BYTE, self._meter, told_by)
        except SourceError as error:
            error.url = self._candidate.url
            raise
        release(self._session, opening)
        await self._prove(url, options, opening)
        self._source.request = opening.request
        note = f"{shown_url(self._candidate.url)}: the link had expired and was renewed"
        if note not in self._notes:
            self._notes.append(note)

    async def _prove(self, url: str, options: Options, opening: Opening) -> None:
        """Raise LinkExpired where the file behind another link is another one."""
        before, head = self._source.version, opening.head
        seen = Version(size=head.total_bytes, validators=head.validators)
        if head.status == 206 and seen.size == before.size:
            verdict = compare(before, seen)
            # Tags and dates that differ may be those of another node; the hash that was given settles it at the end.
            doubtful = verdict is Verdict.UNPROVEN or (verdict is Verdict.DIFFERENT and _has_hash(options))
            if verdict is Verdict.SAME or (doubtful and await self._agrees(url, options)):
                return
        raise expired(self._candidate.url, f"behind the new link is another file ({seen}, not {before})")


def _has_hash(options: Options) -> bool:
    return options.checksum is not None or options.piece_hashes is not None
