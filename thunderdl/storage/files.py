"""Part files: opened, locked, made durable, and put under their final name. Plain blocking calls.

It writes no content but that of small files (the movers write through ``PartFile.fd``), and knows no journal.

Invariants:
1. The final name appears by one link or rename, of data that an fsync has put on the disk; what another
   program put there meanwhile is never overwritten unless the policy is OVERWRITE.
2. Only a regular file with no other name is written to: no symbolic link is followed, no FIFO or device opened.
3. A part file has one owner, by flock. The lock is on the file that has the name, not on one renamed away.
4. After a failed sync nothing is synced or committed until the owner has said, by
   :meth:`PartFile.acknowledge_loss`, that it counts the bytes since the last barrier as missing: the pages may
   be clean and yet not on the disk, a second fsync would succeed (Rebello et al., USENIX ATC 2020).
5. Every OSError leaves as a StorageError with one sentence of advice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Callable

from thunderdl.errors import DiskFull, FolderNotMade, StorageError, TargetExists, TargetLocked
from thunderdl.options import Exists
from thunderdl.storage.marks import Mark
from thunderdl.storage.paths import free_name
from thunderdl.storage.writers import is_written_elsewhere, lock_owner

JOURNAL_SUFFIX = ".journal"
PART_SUFFIX = ".part"

Bytes = bytes | bytearray | memoryview

_OPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FRESH_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o666
_OPEN_ATTEMPTS = 100

_NO_LOCKS_HERE = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL))
_NO_LINKS_HERE = frozenset((errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EACCES))
_NO_FOLDER_SYNC = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EACCES, errno.EBADF))

AGAIN = "then run the same command again, it goes on from here"
_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", f"free some space, {AGAIN}"),
    errno.EDQUOT: ("your disk quota is used up", f"free some space, {AGAIN}"),
    errno.EACCES: ("permission denied", "choose a folder that you may write to with --dir"),
    errno.EPERM: ("the system does not permit it", "choose another folder with --dir"),
    errno.EROFS: ("the file system is read-only", "choose another folder with --dir"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "choose a shorter one with --out"),
    errno.EIO: ("the disk reports an error", f"check the disk and the system's log, {AGAIN}"),
    errno.EMFILE: ("too many open files", "raise the limit with ulimit -n, or lower --jobs or --connections"),
    errno.ENFILE: ("the system has too many open files", "close some programs or lower --jobs"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "choose another folder with --dir"),
    errno.EISDIR: ("it is a folder", "choose another name with --out"),
    errno.ELOOP: ("it is a symbolic link", "remove it, or choose another name with --out"),
    errno.EFBIG: ("too large for this file system or for your limit", "choose another disk with --dir"),
    errno.ENOENT: ("the file or its folder is gone", "run the same command again"),
    errno.EEXIST: ("the name is taken", "choose another name with --out"),
    errno.ENXIO: ("it is no regular file", "remove it, or choose another name with --out"),
    errno.ENODEV: ("the disk is gone", f"connect it, {AGAIN}"),
    errno.ESTALE: ("the network folder has lost the file", f"check the connection, {AGAIN}"),
    errno.ETXTBSY: ("it is a program that is running", "stop it, or choose another name with --out"),
    errno.EBUSY: ("it is in use", "choose another name with --out"),
    errno.ENOMEM: ("the system is out of memory", "close some programs or lower --jobs"),
}


def storage_fault(path: str, error: OSError) -> StorageError:
    """The error of our tree for what the system said of ``path``: what happened and what to do."""
    code = error.errno or 0
    reason, advice = _REASONS.get(code, (os.strerror(code).lower() if code else str(error), ""))
    kind = DiskFull if code in (errno.ENOSPC, errno.EDQUOT) else StorageError
    return kind(path, reason, advice)


def ensure_folder(path: str) -> None:
    """Make the folder and those above it where they are absent. Raises DiskFull, FolderNotMade."""
    try:
        os.makedirs(path or ".", exist_ok=True)
    except OSError as error:
        # makedirs says EEXIST where a file has the folder's name.
        taken = OSError(errno.ENOTDIR, "") if error.errno == errno.EEXIST else error
        fault = storage_fault(path, taken)
        if isinstance(fault, DiskFull):
            raise fault from error
        if error.errno == errno.ENOENT:
            # Nothing was there that could be gone: a place where no folders can be, as /proc.
            fault = StorageError(path, "no folder can be made there", "choose another one with --dir")
        raise FolderNotMade(path, fault.reason, fault.advice) from error


def free_space(folder: str) -> int:
    """Bytes that this user may still write in the folder's file system. Raises StorageError."""
    try:
        found = os.statvfs(folder or ".")
    except OSError as error:
        raise storage_fault(folder, error) from error
    return found.f_bavail * found.f_frsize


def sync_data(fd: int) -> None:
    """Put the file's bytes on the disk, and what is needed to find them. Raises OSError."""
    if sys.platform == "darwin":
        # fsync(2) of macOS leaves the bytes in the drive's cache; F_FULLFSYNC alone does not.
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
            os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_folder(folder: str) -> None:
    """Put the folder's names on the disk: the new ones are there after a power loss. Raises StorageError.

    File systems that know no such thing are taken as they are.
    """
    try:
        fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            close_quietly(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise storage_fault(folder, error) from error


def write_at(fd: int, data: Bytes, offset: int) -> None:
    """All of it: a disk that fills takes a part first and says nothing. Raises OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written


def close_quietly(fd: int) -> None:
    """Close it: a fault that close(2) tells of says nothing of what a sync has covered, and the rest counts for
    nothing anyway. The descriptor is gone either way."""
    with contextlib.suppress(OSError):
        os.close(fd)


def part_path(target: str) -> str:
    """Where the bytes of ``target`` lie until it is whole."""
    return target + PART_SUFFIX


def journal_path(part: str) -> str:
    """Where the journal of the part file ``TARGET.part`` lies."""
    return part + JOURNAL_SUFFIX


def _nothing() -> None:
    """Nothing is to be done."""


class PartFile:
    """``TARGET.part``, open and locked by this process. Made by :meth:`open`.

    ``fd``: for pread, pwrite and recv into it; ``found_bytes``: its length when it was opened, 0 for a new one;
    ``published``: it has its final name already (see :meth:`open_published`), and is only read.
    """

    __slots__ = ("_sync_failed", "fd", "found_bytes", "path", "published", "target")

    def __init__(self, target: str, fd: int, found_bytes: int, *, published: bool = False) -> None:
        self.target, self.path, self.fd, self.found_bytes = target, part_path(target), fd, found_bytes
        self.published = published
        self._sync_failed = False

    @classmethod
    def open(cls, target: str) -> PartFile:
        """Open or make the part file, and lock it.

        Raises TargetLocked where another process (or another task of this one) has it, StorageError where
        the name is anything but a regular file of its own or the system refuses.
        """
        path = part_path(target)
        fd = open_locked(
            path, _open_part, _check_regular, lambda fd: has_name(fd, path) and not _is_leftover(path, target, fd),
            "choose another name with --out",
        )  # fmt: skip
        return cls(target, fd, os.fstat(fd).st_size)

    @classmethod
    def open_published(cls, target: str) -> PartFile | None:
        """What has the final name, to be looked at and committed as it is: where a crash came between commit and
        the end of the journal. Never written to; None where there is no regular file, or another process has it.
        """
        try:
            fd = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            _check_regular(target, fd)
            lock(target, fd)
            return cls(target, fd, os.fstat(fd).st_size, published=True)
        except (OSError, StorageError):
            close_quietly(fd)
            return None

    def resize(self, size: int) -> None:
        """Make it ``size`` bytes long, without taking the space yet. Raises StorageError."""
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            raise storage_fault(self.path, error) from error

    @property
    def sync_failed(self) -> bool:
        """Whether a sync failed and the loss was not acknowledged yet."""
        return self._sync_failed

    def sync(self) -> None:
        """Put its bytes on the disk.

        Raises StorageError; everything written since the last sync that succeeded is then to be counted as
        missing, and every further sync raises until :meth:`acknowledge_loss`.
        """
        if self._sync_failed:
            raise StorageError(self.path, "bytes were lost when they were put on the disk", "fetch them again")
        try:
            sync_data(self.fd)
        except OSError as error:
            self._sync_failed = True
            raise storage_fault(self.path, error) from error

    def acknowledge_loss(self) -> None:
        """The owner has marked everything since the last barrier missing; it may be written and synced again."""
        self._sync_failed = False

    def commit(self, exists: Exists, mark: Mark | None = None, drop_journal: Callable[[], None] = _nothing) -> str:
        """Put it on the disk and under its final name, and close it; the path that it got. ``mark``: puts on what it
        tells of where it came from; ``drop_journal``: called when it has its final name, and before its part's name is
        free: another download that begins under that name has a journal of its own.

        ``exists`` decides where something has taken the name meanwhile: OVERWRITE replaces it (and gives no more
        permissions than it had), RENAME takes a free name beside it, REFUSE and SKIP raise TargetExists and
        leave the part file open. Raises StorageError; the part file is then still there.
        """
        if mark is not None:
            mark(self.fd)
        self.sync()
        try:
            if not has_name(self.fd, self.target if self.published else self.path):
                raise StorageError(self.path, "something else has been put in its place", "run the same command again")
            final = self._published_at(exists, drop_journal)
        except OSError as error:
            raise storage_fault(self.path, error) from error
        self.close()
        sync_folder(os.path.dirname(final))
        return final

    def _published_at(self, exists: Exists, drop_journal: Callable[[], None]) -> str:
        if not self.published:
            return _publish(self.path, self.target, exists, self.fd, drop_journal)
        drop_journal()
        return self.target

    def discard(self) -> None:
        """Remove it (not what somebody else has put under its name), and close it. Raises StorageError."""
        try:
            if self.fd >= 0 and not self.published and has_name(self.fd, self.path):
                os.unlink(self.path)
        except OSError as error:
            raise storage_fault(self.path, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close it and give up the lock; the file stays. Closing twice does not matter."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            close_quietly(fd)

    def __repr__(self) -> str:
        state = "closed" if self.fd < 0 else "sync failed" if self._sync_failed else "open"
        return f"<PartFile {self.path!r} {state}>"


def write_small(target: str, data: Bytes, exists: Exists, mark: Mark | None = None) -> str:
    """A whole small file at once: part file, bytes, fsync, final name; the path that it got.

    The name itself is on the disk only after :func:`sync_folder`, which the caller does for many files together.
    Outcomes and errors are those of :meth:`PartFile.commit` and :meth:`PartFile.open`; after an error nothing
    of it is left.
    """
    path = part_path(target)
    try:
        fd = os.open(path, _FRESH_FLAGS, _MODE)
    except FileExistsError:
        return _write_small_over(target, data, exists, mark)
    except OSError as error:
        raise storage_fault(path, error) from error
    try:
        lock(path, fd)
        if has_name(fd, path):
            return _fill_and_publish(fd, path, target, data, exists, mark)
    except OSError as error:
        raise storage_fault(path, error) from error
    finally:
        close_quietly(fd)
    # Before it was locked another one has found it, and filled and published it: it is theirs.
    return _write_small_over(target, data, exists, mark)


def _write_small_over(target: str, data: Bytes, exists: Exists, mark: Mark | None) -> str:
    """The same where a part file is there already: left by a crash, or of another process."""
    part = PartFile.open(target)
    try:
        os.ftruncate(part.fd, 0)
        return _fill_and_publish(part.fd, part.path, target, data, exists, mark)
    except OSError as error:
        raise storage_fault(part.path, error) from error
    finally:
        part.close()


def _fill_and_publish(fd: int, path: str, target: str, data: Bytes, exists: Exists, mark: Mark | None) -> str:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if mark is not None:
            mark(fd)
        sync_data(fd)
        return _publish(path, target, exists, fd)
    except BaseException:
        with contextlib.suppress(OSError):
            if has_name(fd, path):
                os.unlink(path)
        raise


def _publish(path: str, target: str, exists: Exists, fd: int, drop_journal: Callable[[], None] = _nothing) -> str:
    """Move the part file to the final name by the policy. Raises OSError, TargetExists."""
    if exists is Exists.OVERWRITE:
        _narrow_mode(target, fd)
        os.replace(path, target)
        drop_journal()
        return target
    final = target
    for _ in range(_OPEN_ATTEMPTS):
        try:
            move_to_free(path, final, drop_journal)
        except FileExistsError as error:
            if exists is not Exists.RENAME:
                raise TargetExists(target) from error
            final = free_name(target, os.path.lexists)
        else:
            return final
    raise TargetExists(target)


def move_to_free(path: str, final: str, meanwhile: Callable[[], None] = _nothing) -> None:
    """Rename without replacing: FileExistsError where the name is taken. ``meanwhile``: done while it has both names,
    where that can be."""
    try:
        os.link(path, final)
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        # FAT, some network folders: no hard links. Between look and rename another program could slip in.
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final) from error
        os.rename(path, final)
        meanwhile()
    else:
        meanwhile()
        # The final name is there: whatever happens now, this is done. The next run removes what is left.
        with contextlib.suppress(OSError):
            os.unlink(path)


def remove_leftover(target: str) -> None:
    """Remove the second name of a finished file, where a crash came between its two names in a commit."""
    path = part_path(target)
    try:
        if not os.path.samestat(os.stat(path, follow_symlinks=False), os.stat(target, follow_symlinks=False)):
            return
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return
    try:
        _check_regular(path, fd)
        # A process that is at work right here, between the two names, holds the lock.
        lock(path, fd)
        _is_leftover(path, target, fd)
    except (OSError, StorageError):
        return
    finally:
        close_quietly(fd)


def _narrow_mode(target: str, fd: int) -> None:
    """A file that replaces another gives nobody more than that one did (the class of curl's CVE-2022-32207). Raises
    StorageError for a device and its like: as root, ``-o /dev/null --overwrite`` would take it away from everybody."""
    try:
        old = os.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(old.st_mode):
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & ~old.st_mode:
            os.fchmod(fd, mode & old.st_mode)
    elif not stat.S_ISLNK(old.st_mode) and not stat.S_ISDIR(old.st_mode):
        raise StorageError(target, "it is no regular file", "choose another name with --out")


def _open_part(path: str) -> int:
    if not os.path.lexists(journal_path(path)) and is_written_elsewhere(path):
        raise TargetLocked(path, "another program is writing it", "wait for it, or choose another name with --out")
    try:
        return os.open(path, _OPEN_FLAGS | os.O_CREAT, _MODE)
    except OSError as error:
        raise storage_fault(path, error) from error


def _check_regular(path: str, fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise StorageError(path, "it is no regular file", "remove it, or choose another name with --out")


def has_name(fd: int, path: str) -> bool:
    """Whether the open file still is what the name stands for."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(fd))


def _is_leftover(path: str, target: str, fd: int) -> bool:
    """Whether this is a part file that was published and then not unlinked (a crash between the two).

    It is unlinked then: to write to it would be to write to the finished file. Any other second name is refused.
    """
    found = os.fstat(fd)
    if found.st_nlink < 2:
        return False
    try:
        finished = os.path.samestat(os.stat(target, follow_symlinks=False), found)
    except FileNotFoundError:
        finished = False
    if not finished:
        raise StorageError(path, "it is a hard link to another file", "remove it, or choose another name with --out")
    os.unlink(path)
    return True


def open_locked(
    path: str, opened: Callable[[str], int], check: Callable[[str, int], None], is_it: Callable[[int], bool],
    otherwise: str,
) -> int:  # fmt: skip
    """The file at ``path``, locked: opened anew as long as it is another one that was locked, since somebody had put it
    in place meanwhile. ``check``: raises for what is no such file; ``is_it``: whether the one that is locked is meant;
    ``otherwise``: what to do where it never is. Raises TargetLocked, StorageError."""
    for _ in range(_OPEN_ATTEMPTS):
        fd = opened(path)
        try:
            check(path, fd)
            lock(path, fd)
            if is_it(fd):
                return fd
        except OSError as error:
            close_quietly(fd)
            raise storage_fault(path, error) from error
        except BaseException:
            close_quietly(fd)
            raise
        close_quietly(fd)
    raise StorageError(path, "it is being replaced all the time", otherwise)


def lock(path: str, fd: int) -> None:
    """Become the owner of an open part file or folder. Raises TargetLocked, OSError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TargetLocked(path, f"{_holder(fd)} is at work on it", "wait for it, or stop it") from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise


def _holder(fd: int) -> str:
    owner = None
    with contextlib.suppress(OSError):
        owner = lock_owner(fd)
    return "another process" if owner is None else "this process" if owner == os.getpid() else f"process {owner}"
