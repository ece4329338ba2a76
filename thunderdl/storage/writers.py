"""Who else is at work on a file, as far as the system tells (Linux)."""

from __future__ import annotations

import fcntl
import os
import signal


def lock_owner(fd: int) -> int | None:
    """The process that holds the lock of an open file (proc(5): /proc/locks shows nothing inside some containers).
    Raises OSError where the system tells of no locks."""
    found = os.fstat(fd)
    place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    with open("/proc/locks", encoding="ascii", errors="replace") as locks:
        rows = [line.split() for line in locks]
    for row in rows:
        if len(row) >= 6 and row[1] == "FLOCK" and row[5] == place and row[4].isdigit() and row[4] != "0":
            return int(row[4])
    return None


def is_written_elsewhere(path: str) -> bool:
    """Whether somebody has it open for writing who knows nothing of our locks; False where that cannot be told, or
    where nothing is in it: one of ours that was just made is not locked yet.

    Browsers, too, call what they are bringing ``NAME.part``.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        if not os.lstat(path).st_size:
            return False
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Whoever opens it in these microseconds waits for us, and we are told by a signal: one that is ignored, since
        # SIGIO ends a program.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        return not _has_lease(fd) and lock_owner(fd) is None
    except OSError:
        # Another user's file, or a file system without leases.
        return False
    finally:
        os.close(fd)


def _has_lease(fd: int) -> bool:
    """Whether nobody has it open for writing (fcntl(2), "Leases"). Raises OSError."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return False
    return True
