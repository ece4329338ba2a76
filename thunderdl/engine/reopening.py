"""What an earlier run left of one file: its part file and journal, opened and locked. Blocking.

A part file of another length than its journal speaks of, or of a download that is over, brings nothing back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from thunderdl.core.ranges import RangeSet
from thunderdl.core.trust import Version
from thunderdl.errors import JournalUnusable, StorageError
from thunderdl.model import Validators
from thunderdl.storage.files import PartFile, journal_path
from thunderdl.storage.journal import Journal, current_boot_id
from thunderdl.storage.records import Header, JournalDamaged
from thunderdl.storage.recovery import is_whole, resume


@dataclass(slots=True)
class Resumed:
    """What a journal brought back."""

    header: Header
    written: RangeSet = field(default_factory=RangeSet)
    # Against the piece hashes that the header tells of.
    verified: RangeSet = field(default_factory=RangeSet)

    @property
    def version(self) -> Version:
        known = Validators(etag=self.header.etag, last_modified=self.header.last_modified)
        return Version(size=self.header.size, validators=known)


@dataclass(frozen=True, slots=True)
class Reopened:
    """``journal``: None where there is none, or none that can be read."""

    part: PartFile
    journal: Journal | None = None
    resumed: Resumed | None = None


def reopen(target: str, *, trust_none: bool) -> Reopened:
    """The part file of ``target``, new where there is none, and what its journal tells of it; ``trust_none``: all that
    it tells is compared with the file. Raises StorageError."""
    part = PartFile.open(target)
    try:
        path = journal_path(part.path)
        if not os.path.lexists(path):
            return Reopened(part)
        if part.found_bytes == 0 and os.path.lexists(target):
            part = _published(part, path) or part
        try:
            journal, found, extents = resume(path, part.fd, current_boot_id(), trust_none=trust_none)
        except JournalDamaged:
            return Reopened(part)
        if part.found_bytes == 0 and os.path.lexists(target):
            # Of a download that is over: nothing of it is left to go on from.
            return Reopened(part, journal)
        if found.header.size == 0:
            return Reopened(part, journal)
        resumed = Resumed(found.header)
        if found.header.size == part.found_bytes > 0:
            # A part file of another length, or of a size that nobody told, is none that this journal speaks of.
            resumed.written = RangeSet((e.start, e.end) for e in extents)
            resumed.verified = RangeSet(pair for pair in found.verified if resumed.written.covers(*pair))
        return Reopened(part, journal, resumed)
    except BaseException as error:
        if isinstance(error, JournalUnusable) and not part.found_bytes:
            # Only our own empty part file goes; the journal is for the user to decide on.
            part.discard()
        part.close()
        raise


def _published(part: PartFile, path: str) -> PartFile | None:
    """The finished file in place of an empty part file, where it is what the journal at ``path`` tells of: a crash
    came between commit and the end of the journal. Reads the file once. None where it is anything else.

    Raises StorageError.
    """
    finished = PartFile.open_published(part.target)
    if finished is None:
        return None
    try:
        whole = is_whole(path, finished.fd)
        if whole:
            part.discard()
    except StorageError:
        finished.close()
        raise
    if not whole:
        finished.close()
        return None
    return finished
