"""The digest behind a URL's ``#``: what the file must have by the word of whoever wrote the URL.

A fragment never reaches the server: who writes an algorithm's name there wants the file checked. So one that is no
digest is refused as ``--checksum`` refuses it, and not passed over: the file was saved unverified otherwise, by a link
that was cut short in copying, or ``#sha256=$SUM`` of a script in which SUM was empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thunderdl.errors import UsageError, printable, shown_url
from thunderdl.formats.hashes import ALGORITHMS
from thunderdl.formats.stated_digests import fragment_digests, unreadable_digest
from thunderdl.options import Options

_MOST_SHOWN = 80


def with_url_digest(options: Options, urls: Sequence[str], notes: list[str]) -> Options:
    """The options with the digest of the first URL as the checksum, where none was given; a contradiction is noted."""
    stated = fragment_digests(urls[0]) if urls else ()
    if (given := options.checksum) is None:
        return replace(options, checksum=stated[0]) if stated else options
    for other in stated:
        if other.algorithm == given.algorithm and other != given:
            notes.append(
                f"{shown_url(urls[0])[:200]} tells another {other.algorithm}; the checksum that was given counts"
            )
    return options


def refuse_unreadable(urls: Sequence[str]) -> None:
    """Raise UsageError where the first URL has a digest that cannot be read."""
    if not urls or (found := unreadable_digest(urls[0])) is None:
        return
    algorithm, part = found
    where, shown = shown_url(urls[0].partition("#")[0])[:200], printable(part)[:_MOST_SHOWN]
    if algorithm is None:
        raise UsageError(f"{where}: {shown!r} behind it contradicts another digest there; leave one of them out.")
    digits = 2 * ALGORITHMS[algorithm]
    raise UsageError(f"{where}: {shown!r} behind it is no {algorithm} of {digits} hex digits; mend it or leave it out.")
