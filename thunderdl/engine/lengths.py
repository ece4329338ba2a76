"""Who has a file of another length than was said has another file: found by the first answer, before all is fetched."""

from __future__ import annotations

from thunderdl.engine.candidates import Candidate, Candidates, FirstRange
from thunderdl.engine.offers import Offer
from thunderdl.engine.opening import Opening, release
from thunderdl.engine.resumption import version_of
from thunderdl.engine.session import Session
from thunderdl.engine.single import whole_body
from thunderdl.errors import BadContent, shown_url


async def first_as_long(
    session: Session, candidates: Candidates, first_range: FirstRange, offer: Offer, said_bytes: int, notes: list[str]
) -> Candidate:
    """The first candidate that has a file of ``said_bytes``, as ``offer`` says, or does not tell how long its file is.
    Raises as :meth:`Candidates.first` does."""
    first = await candidates.first(first_range)
    while (opening := first.opening) is not None and (found := _length(opening)) not in (None, said_bytes):
        release(session, opening)
        where = shown_url(first.url)
        first.error = BadContent(where, f"{said_bytes} bytes{offer.said}", f"{found} bytes")
        candidates.attempts.append(first.error)
        first = await candidates.next_after(first)
        notes.append(f"{where} is not used: its file has {found} bytes, not {said_bytes}")
    return first


def check_length(url: str, offer: Offer | None, found_bytes: int) -> None:
    """Raise BadContent where a body that told no length ended with another one than ``offer`` says."""
    if offer is not None and offer.size not in (None, found_bytes):
        raise BadContent(shown_url(url), f"{offer.size} bytes{offer.said}", f"{found_bytes} bytes")


def _length(opening: Opening) -> int | None:
    """Of the file, as an answer tells it, None where it does not. Raises BadResponse for what is none."""
    body = whole_body(opening)
    return version_of(opening).size if body is None else len(body)
