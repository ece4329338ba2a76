"""Sources of a long list that came to nothing, forgotten, so that there is room to ask the rest of it.

What a list can cost is bounded by those that are remembered at a time: each event looks through them, and each holds
its error. So a list is asked to its end in any case, and no more than that is held of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from thunderdl.errors import ThunderdlError

if TYPE_CHECKING:
    from thunderdl.engine.candidates import Candidate


def remembered(candidates: list[Candidate], origin: Candidate) -> list[Candidate]:
    """Those that the user has named, that have brought something, or that may be asked again; and the first one."""
    return [each for each in candidates if each is origin or not _is_forgettable(each)]


def telling(attempts: list[ThunderdlError], forgotten: set[str]) -> list[ThunderdlError]:
    """The attempts without those at the URLs that are forgotten, but for the last of each kind: of what a thousand
    mirrors failed by the reasons are told."""
    last = {type(error): error for error in attempts if _where(error) in forgotten}
    return [error for error in attempts if _where(error) not in forgotten or last[type(error)] is error]


def _is_forgettable(candidate: Candidate) -> bool:
    is_of_use = candidate.source is not None or candidate.opening is not None or candidate.wants_proof
    return candidate.is_foreign and candidate.error is not None and not is_of_use and not candidate.is_removed


def _where(error: ThunderdlError) -> object:
    return getattr(error, "url", getattr(error, "where", None))
