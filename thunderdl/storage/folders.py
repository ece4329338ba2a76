"""The folder in which a torrent of several files grows: made, locked, checked, published. Plain blocking calls.

``NAME.part/files/`` is libtorrent's; ``NAME.part/state`` says which pieces are there, ``NAME.part/request`` what is
wanted (:mod:`thunderdl.storage.wishes`). When all is there, what is in
``files/`` gets its final name by one rename.

Invariants:
1. Nothing below ``NAME.part`` that is a symbolic link, a device or a second name of another file is written to:
   :meth:`PartFolder.open` refuses it before anybody begins (libtorrent follows links, its 3e61c6dd9).
2. A part folder has one owner, by flock.
3. A final name that is taken is never replaced unless the policy is OVERWRITE; then file by file, through no link,
   and files that the torrent does not know stay.
4. The state is there as a whole or not at all, and is gone before the files are moved: pieces that it claims are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator

from thunderdl.errors import StorageError, TargetExists
from thunderdl.options import Exists
from thunderdl.storage.files import (
    close_quietly,
    ensure_folder,
    lock,
    move_to_free,
    part_path,
    storage_fault,
    sync_data,
    sync_folder,
)
from thunderdl.storage.journal import current_boot_id
from thunderdl.storage.paths import free_name
from thunderdl.storage.replacing import replace_file
from thunderdl.storage.wishes import remove_wish

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAGIC = b"thunderdl pieces 1 "
_ON_DISK = b"on-disk"
MAX_STATE_BYTES = 256 * 1024 * 1024
# One sync of everything instead of one for each file.
_MANY_FILES = 64
_ATTEMPTS = 100
_ADVICE = "remove it, or choose another folder with --dir"


class PartFolder:
    """``target``: the final name; ``path``: of the folder; ``files``: where the files grow."""

    def __init__(self, target: str, fd: int, *, is_fresh: bool) -> None:
        self.target, self.path, self._fd, self.is_fresh = target, part_path(target), fd, is_fresh
        self.files, self._state = os.path.join(self.path, "files"), os.path.join(self.path, "state")

    @classmethod
    def open(cls, target: str) -> PartFolder:
        """Open or make it, lock it, and look that it holds plain files alone. Raises StorageError, TargetLocked."""
        path = part_path(target)
        try:
            is_fresh = _made(path)
            fd = os.open(path, _FOLDER_FLAGS)
        except OSError as error:
            raise storage_fault(path, error) from error
        try:
            lock(path, fd)
            check_plain(path)
            folder = cls(target, fd, is_fresh=is_fresh)
            ensure_folder(folder.files)
            return folder
        except OSError as error:
            close_quietly(fd)
            raise storage_fault(path, error) from error
        except BaseException:
            close_quietly(fd)
            raise

    def read_state(self) -> bytes | None:
        """What :meth:`write_state` was given, where it still holds: the machine has not been started anew since, or
        all was on the disk then. None where there is none, or none that holds."""
        try:
            fd = os.open(self._state, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(fd, "rb") as stream:
                raw = stream.read(MAX_STATE_BYTES)
        except OSError:
            return None
        head, _, state = raw.partition(b"\n")
        vouched = (_MAGIC + _ON_DISK, _MAGIC + current_boot_id().encode())
        return state if head in vouched else None

    def forget_state(self) -> None:
        """Have the next run compare all that is there with the hashes."""
        with contextlib.suppress(OSError):
            os.unlink(self._state)

    def write_state(self, state: bytes, *, on_disk: bool) -> None:
        """Keep it for the next run. ``on_disk``: the files were synced after all that it tells of. Raises
        StorageError."""
        vouched = _ON_DISK if on_disk else current_boot_id().encode()
        try:
            replace_file(self._state, _MAGIC + vouched + b"\n" + state)
        except OSError as error:
            raise storage_fault(self._state, error) from error

    def sync(self) -> None:
        """Put all of the files on the disk. Raises StorageError."""
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(self.files) for name in names]
        if len(paths) > _MANY_FILES:
            os.sync()
            return
        for path in paths:
            _sync_file(path)
        for folder, _, _ in os.walk(self.files, topdown=False):
            sync_folder(folder)

    def show(self, root: str, look: Callable[[int], None]) -> None:
        """Have ``look`` see what will be published, open; nothing where there is nothing yet."""
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(os.path.join(self.files, root), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                look(fd)
            finally:
                close_quietly(fd)

    def publish(self, root: str, exists: Exists) -> str:
        """Give ``root`` (of what is in the files) its final name by the policy, and remove the rest; the path that it
        got. Raises StorageError, TargetExists; all is then still there."""
        self.sync()
        source = os.path.join(self.files, root)
        if exists in (Exists.REFUSE, Exists.SKIP) and os.path.lexists(self.target):
            raise TargetExists(self.target)
        try:
            # A torrent may hold nothing but empty files that were not wanted.
            if not os.path.lexists(source):
                os.mkdir(source)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._state)
            final = _published(source, self.target, exists)
        except OSError as error:
            raise storage_fault(self.target, error) from error
        sync_folder(os.path.dirname(final))
        self._clear()
        self.close()
        return final

    def remove_file(self, path: str) -> None:
        """Remove one of the files, and the folders that only it was in. Raises StorageError."""
        try:
            os.unlink(os.path.join(self.files, path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_fault(path, error) from error
        folder = os.path.dirname(path)
        with contextlib.suppress(OSError):
            while folder:
                os.rmdir(os.path.join(self.files, folder))
                folder = os.path.dirname(folder)

    def discard(self) -> None:
        """Remove it with all that is in it: nothing has come yet. Raises StorageError."""
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise storage_fault(self.path, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give up the lock; the folder stays. Closing twice does not matter."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            close_quietly(fd)

    def _clear(self) -> None:
        """What is left after the files have gone: pieces that overlap with unwanted files. Anything that is not ours
        stays, and the folder with it."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self.files):
                if name.endswith(".parts"):
                    os.unlink(os.path.join(self.files, name))
            remove_wish(self.path)
            os.rmdir(self.files)
            os.rmdir(self.path)


def check_plain(folder: str) -> None:
    """Raise StorageError where something in the folder is neither a folder nor a regular file with one name."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    raise StorageError(entry.path, "it is a symbolic link", _ADVICE)
                if stat.S_ISDIR(found.st_mode):
                    waiting.append(entry.path)
                elif not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                    raise StorageError(entry.path, "it is no file of its own", _ADVICE)


def check_parents(target: str, paths: Iterable[str]) -> None:
    """Raise StorageError where a folder that one of ``paths`` (relative to ``target``) would lie in is a link or a
    file: what is there already must not lead elsewhere."""
    for folder in {"", *_parents(paths)}:
        path = os.path.join(target, folder) if folder else target
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            # Of a file in a folder's place its own row tells.
            continue
        except OSError as error:
            raise storage_fault(path, error) from error
        if not stat.S_ISDIR(mode):
            reason = "it is a symbolic link" if stat.S_ISLNK(mode) else "it is a file, not a folder"
            raise StorageError(path, reason, _ADVICE)


def check_name(folder: str, name: str) -> None:
    """The same for ``name``, a relative one that a stranger gave, in a folder of the user's, which may be a link."""
    first, separator, rest = name.partition("/")
    if separator:
        check_parents(os.path.join(folder, first), [rest])


def _parents(paths: Iterable[str]) -> Iterator[str]:
    known: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder and folder not in known:
            known.add(folder)
            yield folder
            folder = os.path.dirname(folder)


def _made(path: str) -> bool:
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    return True


def _sync_file(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            sync_data(fd)
        finally:
            close_quietly(fd)
    except OSError as error:
        raise storage_fault(path, error) from error


def _published(source: str, target: str, exists: Exists) -> str:
    is_folder = stat.S_ISDIR(os.lstat(source).st_mode)
    if exists is Exists.OVERWRITE and os.path.lexists(target):
        if is_folder:
            _merge(source, target)
        else:
            os.replace(source, target)
        return target
    final = target
    for _ in range(_ATTEMPTS):
        try:
            _move_to_free(source, final, is_folder=is_folder)
        except FileExistsError:
            if exists is not Exists.RENAME:
                raise TargetExists(target) from None
            final = free_name(target, os.path.lexists)
        else:
            return final
    raise TargetExists(target)


def _move_to_free(source: str, final: str, *, is_folder: bool) -> None:
    """Rename without replacing. A folder cannot replace anything but an empty one (rename(2))."""
    if not is_folder:
        move_to_free(source, final)
        return
    if os.path.lexists(final):
        raise FileExistsError
    os.rename(source, final)


def _merge(source: str, target: str) -> None:
    """Move each file of ``source`` to its place in ``target``. Raises OSError."""
    with _opened(source) as source_fd, _opened(target) as target_fd:
        _merge_open(source_fd, target_fd)
    os.rmdir(source)


def _merge_open(source_fd: int, target_fd: int) -> None:
    """Nothing is followed: each folder is opened below the one above it."""
    for name in os.listdir(source_fd):
        if not stat.S_ISDIR(os.stat(name, dir_fd=source_fd, follow_symlinks=False).st_mode):
            os.replace(name, name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
            continue
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=target_fd)
        with _opened(name, source_fd) as inner_source, _opened(name, target_fd) as inner_target:
            _merge_open(inner_source, inner_target)
        os.rmdir(name, dir_fd=source_fd)


@contextlib.contextmanager
def _opened(path: str, below: int | None = None) -> Iterator[int]:
    fd = os.open(path, _FOLDER_FLAGS, dir_fd=below)
    try:
        yield fd
    finally:
        close_quietly(fd)
