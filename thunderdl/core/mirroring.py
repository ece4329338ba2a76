"""Whether a listed file is to be fetched again: decided from what the list says, what is here, what is remembered.

Pure. The order of trust: a digest, where the list has one; else the list's own words, the same as when the file was
fetched; else what the server says of the file itself, compared as rsync and ``wget -N`` do. A file that was touched
here since is never taken for the one that was fetched.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

# A file younger than this when it was fetched may change once more within the minute that lists are exact to.
YOUNG_S = 120.0


class Local(NamedTuple):
    """A regular file that is here."""

    size_bytes: int
    mtime_ns: int


class Kept(NamedTuple):
    """What was remembered of a file: how it was left, and what was said of it then; "" for what was not said."""

    size_bytes: int
    mtime_ns: int
    digest: str = ""
    etag: str = ""
    stated: str = ""

    def is_of(self, local: Local) -> bool:
        """Whether nobody has touched the file since."""
        return self.size_bytes == local.size_bytes and self.mtime_ns == local.mtime_ns


class Claim(NamedTuple):
    """What a list says of a file; "" and None for what it does not say."""

    size_bytes: int | None = None
    digest: str = ""
    stated: str = ""


class Facts(NamedTuple):
    """What the server says of the file itself; ``modified_s``: Unix seconds."""

    size_bytes: int | None
    modified_s: float | None
    etag: str = ""


class Verdict(enum.Enum):
    """What to do about a file: nothing, fetch it, compare its digest, ask the server about it."""

    UNCHANGED = "unchanged"
    FETCH = "fetch"
    HASH = "hash"
    ASK = "ask"


def judged(claim: Claim, local: Local | None, kept: Kept | None) -> Verdict:
    """What to do at first sight."""
    if local is None or claim.size_bytes not in (None, local.size_bytes):
        return Verdict.FETCH
    is_untouched = kept is not None and kept.is_of(local)
    if claim.digest:
        same = is_untouched and kept is not None and kept.digest == claim.digest
        return Verdict.UNCHANGED if same else Verdict.HASH
    if is_untouched and kept is not None and claim.stated and kept.stated == claim.stated:
        return Verdict.UNCHANGED
    return Verdict.ASK


def after_asking(facts: Facts, local: Local, kept: Kept | None) -> Verdict:
    """UNCHANGED or FETCH, once the server has told of the file."""
    if facts.size_bytes not in (None, local.size_bytes):
        return Verdict.FETCH
    if facts.modified_s is not None:
        same = int(facts.modified_s) == local.mtime_ns // 1_000_000_000
    else:
        same = bool(facts.etag) and kept is not None and kept.is_of(local) and kept.etag == facts.etag
    return Verdict.UNCHANGED if same else Verdict.FETCH


def lasting_words(stated: str, modified_s: float | None, now_s: float) -> str:
    """The list's words, where they will tell of the next change: it is exact to a minute, and files change twice."""
    return stated if modified_s is not None and now_s - modified_s >= YOUNG_S else ""
