"""A link that was refused as expired gets another URL, where there is anybody to ask for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.engine.refreshing import EXPIRED, MAX_REFRESHES, RefreshFailed, can_refresh, expired, new_url
from thunderdl.errors import SourceError, clause
from thunderdl.model import ExpiredLink
from thunderdl.storage.paths import name_from_url

if TYPE_CHECKING:
    from thunderdl.engine.candidates import Candidate


async def refreshed(candidate: Candidate, error: SourceError) -> SourceError | None:
    """None where a link that has expired has now another URL; else the error that tells why not."""
    if error.status not in EXPIRED or not can_refresh(candidate.options) or candidate.refreshed >= MAX_REFRESHES:
        return error
    candidate.refreshed += 1
    link = ExpiredLink(url=candidate.url, name=name_from_url(candidate.url), size_bytes=None, why=clause(error))
    try:
        candidate.go_to(await new_url(candidate.options, link))
    except RefreshFailed as failed:
        return expired(candidate.url, f"{clause(error)}; {failed}")
    return None
