"""What peers sent for a magnet link, kept until its download is whole: going on needs nobody who has it.

It lies in the user's cache folder (XDG Base Directory Specification), under the info-hash, since a link tells no more:
the name of the download is in what is kept. What is found there is data of anybody's: whether it is what the link
names is decided by its hash, not here. Losing it costs asking peers again, so no fault here ends a download.
Invariant: a name in the folder holds all that was kept under it, or is not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time

from thunderdl.storage.files import close_quietly, ensure_folder, storage_fault, sync_data, sync_folder

MAX_BYTES = 64 * 1024 * 1024
# What was never finished, and nobody comes back for.
FORGET_AFTER_S = 180 * 86_400.0
_KEY = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def cache_folder() -> str | None:
    """Where it is kept; None where the user has no such place."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # "All paths must be absolute"; others are to be ignored.
    base = base if os.path.isabs(base) else os.path.expanduser("~/.cache")
    return os.path.join(base, "thunderdl", "metainfo") if os.path.isabs(base) else None


def keep(info_hash: str, metainfo: bytes) -> None:
    """Keep it under ``info_hash`` (hexadecimal), on the disk. Raises StorageError."""
    folder = cache_folder()
    if folder is None or not _KEY.fullmatch(info_hash) or find(info_hash) == metainfo:
        return
    ensure_folder(folder)
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)
    path = os.path.join(folder, info_hash)
    fresh = f"{path}.{os.getpid()}~"
    try:
        _write(fresh, metainfo)
        os.replace(fresh, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise storage_fault(path, error) from error
    sync_folder(folder)
    _forget_old(folder)


def find(info_hash: str) -> bytes | None:
    """What is kept under it; None where there is nothing, or no plain file of sensible size."""
    folder = cache_folder()
    if folder is None or not _KEY.fullmatch(info_hash):
        return None
    try:
        fd = os.open(os.path.join(folder, info_hash), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return None
        with open(fd, "rb", closefd=False) as stream:
            return stream.read(MAX_BYTES)
    except OSError:
        return None
    finally:
        close_quietly(fd)


def forget(info_hash: str) -> None:
    """It is needed no more."""
    folder = cache_folder()
    if folder is not None and _KEY.fullmatch(info_hash):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, info_hash))


def _write(path: str, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as stream:
        stream.write(data)
        stream.flush()
        sync_data(stream.fileno())


def _forget_old(folder: str) -> None:
    before = time.time() - FORGET_AFTER_S
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < before:
                os.unlink(entry.path)
