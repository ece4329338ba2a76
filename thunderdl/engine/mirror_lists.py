"""Mirrors of a download by a list that its user named: base URLs, as projects publish them.

A list is a guess of where a file may be. Whoever is found through it is a stranger: it brings bytes only where a hash
tells them from others, or where its validators are those of the origin.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from thunderdl.engine.access import of_stranger
from thunderdl.engine.documents import fetched, read
from thunderdl.engine.offers import Offer
from thunderdl.errors import UsageError, shown_url
from thunderdl.formats.mirror_lists import MAX_BYTES, mirror_guesses, parse_mirror_list

if TYPE_CHECKING:
    from thunderdl.engine.session import Session
    from thunderdl.options import Options


async def offer_of_list(session: Session, reference: str, original: str, options: Options) -> Offer:
    """Where the file at ``original`` may be, by the list that ``reference``, a path or a URL, names.

    Raises UsageError where the list names no mirror, ThunderdlError where it cannot be had.
    """
    if "://" in reference:
        # Another server than the download's, mostly: what the user gave for that one is not for it.
        document = await fetched(session, reference, of_stranger(options), most_bytes=MAX_BYTES)
    else:
        document = await session.on_disk(read, reference, MAX_BYTES)
    guesses = await session.on_disk(_guesses, document, reference, original)
    if not guesses:
        raise UsageError(f"{shown_url(reference)}: it names no mirror where {shown_url(original)} could be.")
    instead = {before: after for each in guesses for before, after in pairwise(each)}
    return Offer(told_by=reference, urls=tuple(each[0] for each in guesses), instead=instead)


def _guesses(document: bytes, reference: str, original: str) -> tuple[tuple[str, ...], ...]:
    bases = parse_mirror_list(document, reference if "://" in reference else None)
    return mirror_guesses(original, bases)
