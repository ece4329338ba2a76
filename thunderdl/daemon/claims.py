"""Claims: how a crash between a file's final name and the end of its task is told from one before it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from thunderdl.daemon.jobs import Claim, Job
from thunderdl.daemon.store import Store
from thunderdl.errors import StorageError
from thunderdl.storage.files import JOURNAL_SUFFIX, part_path, remove_leftover


def claim_of(fd: int, folder: str) -> Claim:
    """The claim on the file, or folder, that is open as ``fd`` and about to get its final name in ``folder``."""
    found = os.fstat(fd)
    size = found.st_size if stat.S_ISREG(found.st_mode) else 0
    return Claim(device=found.st_dev, inode=found.st_ino, folder=folder, size_bytes=size, modified_ns=found.st_mtime_ns)


def claiming(job: Job, folder: str, store: Store) -> Callable[[int], None]:
    """What claims the job's file, open and about to get its final name in ``folder``, for a thread of the disk's."""

    def claim(fd: int) -> None:
        job.claim = claim_of(fd, folder)
        # It waits until the claim is on the disk.
        with contextlib.suppress(StorageError):
            store.write([job]).result()

    return claim


def is_claimed(claim: Claim, path: str) -> bool:
    """Whether what has that name is what was claimed, and has not been changed since."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if (found.st_dev, found.st_ino, found.st_mtime_ns) != (claim.device, claim.inode, claim.modified_ns):
        return False
    return not stat.S_ISREG(found.st_mode) or found.st_size == claim.size_bytes


def finished_by(claim: Claim) -> str | None:
    """The final path of what was claimed; None where it has none yet. Clears away what the crash left beside it."""
    try:
        with os.scandir(claim.folder) as entries:
            paths = [entry.path for entry in entries if entry.inode() == claim.inode]
    except OSError:
        return None
    for path in paths:
        if path == part_path(path.removesuffix(part_path(""))) or not is_claimed(claim, path):
            continue
        remove_leftover(path)
        if not os.path.lexists(part_path(path)) and os.path.lexists(part_path(path) + JOURNAL_SUFFIX):
            os.unlink(part_path(path) + JOURNAL_SUFFIX)
        return path
    return None
