"""What a finished file tells of where it came from: its time, extended attributes, macOS's quarantine mark.

Put on by descriptor before the file gets its final name, so that who sees the name sees the marks. None of them is
worth a failed download: what the system or the file system refuses is told in a clause, and the file is saved.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ORIGIN = "user.xdg.origin.url"
REFERRER = "user.xdg.referrer.url"
QUARANTINE = "com.apple.quarantine"
# Chrome's flags: downloaded, and to be asked about when it is opened for the first time.
_QUARANTINE_FLAGS = "0081"
_UNKNOWN_HERE = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS))

Mark = Callable[[int], None]  # puts marks on the file that is open as this descriptor; never raises


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """``modified_s``: Unix time to give it; ``origin``, ``referrer``: URLs without secrets; ``quarantine``: whether
    macOS is to check it when it is first opened, which no other system can."""

    modified_s: float | None = None
    origin: str | None = None
    referrer: str | None = None
    quarantine: bool = False


def put_marks(fd: int, marks: Marks) -> Iterator[str]:
    """Put them on; yields a clause for each that could not be."""
    for name, value in _attributes(marks):
        try:
            _set_attribute(fd, name, value)
        except OSError as error:
            unknown = error.errno in _UNKNOWN_HERE
            reason = "the file system keeps none" if unknown else (error.strerror or "refused").lower()
            yield f"the extended attribute {name} was not set: {reason}"
    # Last: to set an attribute touches the time of the change alone, to write touches this one.
    if marks.modified_s is not None:
        try:
            os.utime(fd, (time.time(), marks.modified_s))
        except (OSError, OverflowError, ValueError):
            yield "the time that the server gave was not set: the file system cannot hold it"


def mark_all(folder: str, mark: Mark) -> None:
    """Put marks on every regular file below ``folder``; links are not followed."""
    for above, _, names in os.walk(folder):
        for name in names:
            try:
                fd = os.open(os.path.join(above, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    mark(fd)
            finally:
                os.close(fd)


def _attributes(marks: Marks) -> Iterator[tuple[str, bytes]]:
    if marks.origin is not None:
        yield ORIGIN, marks.origin.encode()
    if marks.referrer is not None:
        yield REFERRER, marks.referrer.encode()
    if marks.quarantine and sys.platform == "darwin":
        yield QUARANTINE, f"{_QUARANTINE_FLAGS};{int(time.time()):08x};thunderdl;".encode("ascii")


def _set_attribute(fd: int, name: str, value: bytes) -> None:
    """Raises OSError. Python's own os.setxattr is there on Linux alone."""
    if sys.platform == "linux":
        os.setxattr(fd, name, value)
    else:
        _set_on_macos(fd, name, value)


def _set_on_macos(fd: int, name: str, value: bytes) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        set_attribute = libc.fsetxattr
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    # fsetxattr(2) of macOS: two arguments more than Linux has, position and options.
    set_attribute.argtypes = [
        ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_int,
    ]  # fmt: skip
    set_attribute.restype = ctypes.c_int
    if set_attribute(fd, name.encode(), value, len(value), 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
