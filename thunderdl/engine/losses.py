"""At the end of a download: which sources were of no use, why, and who brought the file where the first one did not.

Sentences for the Result's notes. It looks, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from thunderdl.errors import BadContent, DownloadFailed, ThunderdlError, clause, shown_url

if TYPE_CHECKING:
    from thunderdl.core.roster import Source
    from thunderdl.engine.candidates import Candidate, Candidates

# So many that the user has not named are told of one by one; more are counted.
MOST_NAMED = 3
# So many different reasons are told of those that are counted.
MOST_REASONS = 4


def losses(candidates: Candidates, books: Mapping[int, Source], noted: Iterable[str]) -> Iterator[str]:
    """A note on each source that was of no use, or not to the end, where ``noted`` does not tell of it; of many that
    somebody else has named one for all of them."""
    if not candidates.all:
        return
    known = {note.partition(" is not used")[0] for note in noted if " is not used" in note}
    lost = [each for each in candidates.all if _is_lost(candidates, each, books)]
    silent = [each for each in lost if shown_url(each.url) not in known]
    origin = candidates.origin
    saviours = _saviours(candidates) if origin in lost else ""
    foreign = [each for each in silent if each.is_foreign and each is not origin]
    counted = foreign if len(foreign) > MOST_NAMED else []
    for each in silent:
        if each not in counted:
            any_more = " any more" if each.id in books else ""
            saved = f"; {saviours}" if saviours and each is origin else ""
            yield f"{shown_url(each.url)} is not used{any_more}: {_why(candidates, each, books)}{saved}"
    if counted:
        reasons = Counter(_why(candidates, each, books) for each in counted)
        told = [f"{reason} ({count})" for reason, count in reasons.most_common(MOST_REASONS)]
        rest = [f"other reasons ({sum(reasons.values()) - sum(c for _, c in reasons.most_common(MOST_REASONS))})"]
        yield f"{_mirrors(counted)} are not used: {', '.join(told + rest * (len(reasons) > MOST_REASONS))}"
    if saviours and origin not in silent:
        yield saviours
    yield from forgotten(candidates)


def forgotten(candidates: Candidates) -> Iterator[str]:
    """A note on those of a long list that are told of nowhere else."""
    if candidates.forgotten:
        yield f"{candidates.forgotten} mirrors more were asked before, and were of no use"


def not_told_by(error: ThunderdlError, notes: Iterable[str]) -> list[str]:
    """Those of the notes that say more than the error of the download: of a source whose wrong content it tells of it
    need not be told that it is not used."""
    told = error.most_telling if isinstance(error, DownloadFailed) else error
    beginning = f"{told.where} is not used: its file has " if isinstance(told, BadContent) else None
    return [note for note in notes if beginning is None or not note.startswith(beginning)]


def _is_lost(candidates: Candidates, candidate: Candidate, books: Mapping[int, Source]) -> bool:
    known = books.get(candidate.id)
    if candidate.is_removed:
        return False
    return not known.usable if known else candidates.fault_of(candidate) is not None


def _why(candidates: Candidates, candidate: Candidate, books: Mapping[int, Source]) -> str:
    known, fault = books.get(candidate.id), candidates.fault_of(candidate)
    said = known.note if known else next(reversed(candidate.notes), "")
    return said or (clause(fault) if fault else "a lasting fault")


def _saviours(candidates: Candidates) -> str:
    """The first link was dead, or died: who brought the file. Empty where it was none of the URLs."""
    brought = [each for each in candidates.all if each.source and each.source.bytes and each is not candidates.origin]
    if not brought:
        return ""
    most = max(brought, key=lambda each: each.source.bytes if each.source else 0)
    if len(brought) == 1:
        return f"saved by {_mirrors(brought)}, {shown_url(most.url)}"
    return f"saved by {_mirrors(brought)}, most from {shown_url(most.url)}"


def _mirrors(some: list[Candidate]) -> str:
    """``12 mirrors of x.meta4``."""
    named = dict.fromkeys(shown_url(each.told_by) for each in some if each.told_by)
    count = f"{len(some)} mirror" if len(some) == 1 else f"{len(some)} mirrors"
    return f"{count} of {' and '.join(named)}" if named else count
