"""Bytes that another program left under a file's own name become a download that was begun here.

What is there is taken on trust as far as its size goes: that is what ``--continue`` asks for. Whether it is of the
version that the server has is told by nobody; a checksum finds out.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from typing import TYPE_CHECKING

from thunderdl.core.ranges import RangeSet
from thunderdl.errors import StorageError
from thunderdl.storage.files import PartFile, journal_path, part_path, storage_fault
from thunderdl.storage.journal import Journal, current_boot_id
from thunderdl.storage.records import Header, Kept

if TYPE_CHECKING:
    from thunderdl.engine.asking import Info


def adopt(path: str, there: RangeSet, info: Info, mirrors: tuple[str, ...] = ()) -> bool:
    """Make the file at ``path`` the part file of a download of ``info`` of which ``there`` is done. Blocking.

    False, and nothing is changed, where the size is unknown, where something was begun under that name already, or
    where ``path`` is no regular file. Raises StorageError.
    """
    part = part_path(path)
    if info.size_bytes is None or os.path.lexists(part) or os.path.lexists(journal_path(part)) or not _is_plain(path):
        return False
    header = Header(
        url=info.url, mirrors=mirrors, name=os.path.basename(path), size=info.size_bytes, etag=info.validators.etag,
        last_modified=info.validators.last_modified, boot_id=current_boot_id(), created=int(time.time()),
    )  # fmt: skip
    # The journal first: a journal without its part file says that nothing is there, the other way round the bytes
    # would be nobody's.
    journal = Journal.create(journal_path(part), header)
    with contextlib.closing(journal):
        try:
            os.rename(path, part)
        except OSError as error:
            journal.delete()
            raise storage_fault(path, error) from error
        _record(path, there, info.size_bytes, journal)
    return True


def _record(path: str, there: RangeSet, size_bytes: int, journal: Journal) -> None:
    part = PartFile.open(path)
    with contextlib.closing(part):
        journal.append([Kept(start, min(end, part.found_bytes)) for start, end in there if start < part.found_bytes])
        # A part file of another length is none that the journal speaks of.
        part.resize(size_bytes)
        with contextlib.suppress(StorageError):
            mark = journal.mark()
            part.sync()
            journal.barrier(mark)


def _is_plain(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
